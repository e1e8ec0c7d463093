"""Book: the live offers with their free capacity and stake and the waiting bids, changed by events alone.

Capacity that leases hold is remembered while an offer is off the book, so that an agent which falls
silent and comes back does not lend the same cores twice. `best` and `cheapest` find one bid's offers among
all of them in microseconds, without a copy of the book.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, OfferId
from ledger.market.resource import Quantities
from matcher.columns import OfferView
from matcher.devices import Devices
from matcher.index.classes import TypicalDemand
from matcher.index.holding import Hold, Holding, hold_of
from matcher.index.place import Place
from matcher.index.standing import StandingOffers
from matcher.orders import BidOrder, OfferOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferListed:
    """An offer takes part: registered, its document known, its agent alive. A second one replaces."""

    order: OfferOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferDelisted:
    """An offer takes part no more; its leases keep their capacity. Unknown ones change nothing."""

    offer: OfferId


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityTaken:
    """A lease was planned on an offer, listed or not; to be applied once a lease. It uses the `devices` of
    these numbers, or where none are named `count` devices that `matcher.devices` chooses, 0 for as few as
    can be."""

    offer: OfferId
    want: Quantities
    devices: tuple[int, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFreed:
    """A lease closed or its plan failed; to be applied once a lease, and never below 0 in use. Devices are
    named as they were taken."""

    offer: OfferId
    want: Quantities
    devices: tuple[int, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityStated:
    """All that leases hold of a listed offer at once, and what is free on each of its devices (all of each
    where none is named): how a book is made again without the history of its leases."""

    offer: OfferId
    used: Quantities
    free_milli: tuple[int, ...] = ()
    free_memory: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeChanged:
    """A provider's stake that no lease locks, in base units: what the chain says is free, less the locks of
    leases that are planned and not open yet. Nothing said is 0."""

    provider: Address
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandStated:
    """What is typically asked for, in place of what was said before: of equally cheap offers a bid takes the
    one that leaves least stranded by it."""

    demand: TypicalDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class BidPlaced:
    """A bid waits. A second one with its id replaces it."""

    order: BidOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class BidRemoved:
    """A bid waits no more: matched, cancelled or lapsed. Unknown ones change nothing."""

    bid: BidId


BookEvent = (
    OfferListed
    | OfferDelisted
    | CapacityTaken
    | CapacityFreed
    | CapacityStated
    | StakeChanged
    | DemandStated
    | BidPlaced
    | BidRemoved
)


class Book:
    """One owner applies events; `clear` and `explain` only look. A lease locks `stake_bps` (basis points)
    of its escrow from its provider's stake."""

    def __init__(self, events: Iterable[BookEvent] = (), *, stake_bps: int = 0) -> None:
        self._offers = StandingOffers(stake_bps)
        self._away: dict[OfferId, Holding] = {}
        self._bids: dict[BidId, BidOrder] = {}
        for event in events:
            self.apply(event)

    def apply(self, event: BookEvent) -> None:
        """Take one event into account; `Rejected` where a lane's use would exceed its width."""
        match event:
            case CapacityTaken(offer=offer, want=want):
                self._lend(offer, 1, want, hold_of(want, event.devices, event.count))
            case CapacityFreed(offer=offer, want=want):
                self._lend(offer, -1, want, hold_of(want, event.devices, event.count))
            case BidPlaced(order=bid):
                self._bids[bid.id] = bid
                self._offers.expect(bid)
            case BidRemoved(bid=removed):
                self._bids.pop(removed, None)
                self._offers.forget(removed)
            case StakeChanged(provider=provider, free=free):
                self._offers.tell_stake(provider, free)
            case DemandStated(demand=demand):
                self._offers.state_demand(demand)
            case CapacityStated():
                self._state(event)
            case OfferListed(order=order):
                self._list(order)
            case OfferDelisted(offer=offer):
                self._delist(offer)

    def _list(self, order: OfferOrder) -> None:
        self._delist(order.id)
        self._offers.put(order, self._away.pop(order.id, None))

    def _delist(self, offer: OfferId) -> None:
        if offer in self._offers:
            held = self._offers.drop(offer)
            if held is not None:
                self._away[offer] = held

    def _lend(self, offer: OfferId, sign: int, want: Quantities, hold: Hold) -> None:
        if self._offers.lend(offer, sign, want, hold):
            return
        held = self._away.setdefault(offer, Holding())
        held.shift(sign, want, hold)
        if not any(held.used):
            del self._away[offer]

    def _state(self, stated: CapacityStated) -> None:
        if stated.offer not in self._offers:
            raise Rejected(
                "offer-not-listed",
                "The use of an offer was stated that is not on the book.",
                "List the offer first.",
            )
        free = list(zip(stated.free_milli, stated.free_memory, strict=True))
        self._offers.state(stated.offer, stated.used, free)

    @property
    def stake_bps(self) -> int:
        """Basis points of its escrow that a lease locks of its provider's stake."""
        return self._offers.stake_bps

    def stakes(self) -> Mapping[Address, int]:
        """Each provider's stake as the last `StakeChanged` told it, in base units."""
        return MappingProxyType(self._offers.stakes)

    @property
    def demand(self) -> TypicalDemand:
        """What is typically asked for, as the last `DemandStated` told it."""
        return self._offers.demand

    def offer_ids(self) -> Iterable[OfferId]:
        """The live offers, in no particular order."""
        return iter(self._offers)

    def used(self, offer: OfferId) -> Quantities:
        """What leases hold of an offer, on the book or off it."""
        if offer in self._offers:
            return self._offers.used(offer)
        held = self._away.get(offer)
        return Quantities() if held is None else held.used

    def stake(self, provider: Address) -> int:
        """A provider's stake as the last `StakeChanged` told it, in base units."""
        return self._offers.stake(provider)

    def offer(self, offer: OfferId) -> OfferOrder | None:
        """A live offer, or None."""
        return self._offers.order(offer) if offer in self._offers else None

    def devices(self, offer: OfferId) -> Devices | None:
        """What is free on each device of a live offer, or None."""
        return self._offers.devices(offer) if offer in self._offers else None

    def bid(self, bid: BidId) -> BidOrder | None:
        """A waiting bid, or None."""
        return self._bids.get(bid)

    def bids(self) -> tuple[BidOrder, ...]:
        """The waiting bids, in no particular order."""
        return tuple(self._bids.values())

    def offers(self) -> OfferView:
        """The live offers as columns, with copies of free capacity and stake that the caller may spend."""
        return self._offers.view()

    def some(self, offers: Iterable[OfferId]) -> OfferView:
        """These live offers alone, each once, as columns in this order, with copies that the caller may
        spend; its cost does not grow with the book."""
        return self._offers.some(offers)

    def best(self, order: BidOrder, at: int) -> Place | None:
        """The cheapest live offer that may serve one member of the order at the time `at`, or None. Of
        equally cheap ones the one that leaves least stranded by the stated demand, and then the lot decides;
        at most `matcher.index.standing.MOST_TIED` are compared. The order need not wait in the book."""
        return self._offers.best(order, at)

    def cheapest(self, order: BidOrder, at: int, n: int) -> tuple[Place, ...]:
        """The `n` cheapest live offers that may each serve one member, by cost and then by lot."""
        return self._offers.cheapest(order, at, n)

    def part(self, offers: Iterable[OfferId]) -> "Book":
        """A book of these live offers alone, with what leases hold of them and what their providers have at
        stake and the same demand; without bids."""
        book = Book(stake_bps=self._offers.stake_bps)
        book._offers.state_demand(self.demand)
        for offer in offers:
            order = self._offers.order(offer)
            book._offers.put(order, self._offers.held(offer))
            book._offers.tell_stake(order.offer.provider, self.stake(order.offer.provider))
        return book
