"""Book: the live offers with their free capacity and stake and the waiting bids, changed by events alone.

Capacity that leases hold is remembered while an offer is off the book, so that an agent which falls
silent and comes back does not lend the same cores twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.market.identity import Address, BidId, OfferId
from ledger.market.resource import Quantities
from matcher.columns import OfferColumns, OfferView
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
    """A lease was planned on an offer, listed or not; to be applied once a lease."""

    offer: OfferId
    want: Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFreed:
    """A lease closed or its plan failed; to be applied once a lease, and never below 0 in use."""

    offer: OfferId
    want: Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeChanged:
    """A provider's stake that no lease locks, in base units: what the chain says is free, less the locks of
    leases that are planned and not open yet. Nothing said is 0."""

    provider: Address
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BidPlaced:
    """A bid waits. A second one with its id replaces it."""

    order: BidOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class BidRemoved:
    """A bid waits no more: matched, cancelled or lapsed. Unknown ones change nothing."""

    bid: BidId


BookEvent = (
    OfferListed | OfferDelisted | CapacityTaken | CapacityFreed | StakeChanged | BidPlaced | BidRemoved
)


class Book:
    """One owner applies events; `clear` and `explain` only look. A lease locks `stake_bps` (basis points)
    of its escrow from its provider's stake."""

    def __init__(self, events: Iterable[BookEvent] = (), *, stake_bps: int = 0) -> None:
        self._columns = OfferColumns()
        self._stake_bps = stake_bps
        self._stakes: dict[Address, int] = {}
        self._used: dict[OfferId, Quantities] = {}
        self._bids: dict[BidId, BidOrder] = {}
        for event in events:
            self.apply(event)

    def apply(self, event: BookEvent) -> None:
        """Take one event into account; `Rejected` where a lane's use would exceed its width."""
        match event:
            case OfferListed(order=order):
                self._columns.put(order, order.offer.capacity.less(self.used(order.id)))
            case OfferDelisted(offer=offer):
                if offer in self._columns:
                    self._columns.drop(offer)
            case CapacityTaken(offer=offer, want=want):
                self._use(offer, self.used(offer).plus(want))
            case CapacityFreed(offer=offer, want=want):
                self._use(offer, self.used(offer).less(want))
            case StakeChanged(provider=provider, free=free):
                self._stakes[provider] = free
            case BidPlaced(order=bid):
                self._bids[bid.id] = bid
            case BidRemoved(bid=removed):
                self._bids.pop(removed, None)

    def _use(self, offer: OfferId, used: Quantities) -> None:
        self._used[offer] = used
        if not any(used):
            del self._used[offer]
        if offer in self._columns:
            capacity = self._columns.order(offer).offer.capacity
            self._columns.set_free(offer, capacity.less(used))

    def used(self, offer: OfferId) -> Quantities:
        """What leases hold of an offer, on the book or off it."""
        return self._used.get(offer, Quantities())

    def stake(self, provider: Address) -> int:
        """A provider's stake as the last `StakeChanged` told it, in base units."""
        return self._stakes.get(provider, 0)

    def offer(self, offer: OfferId) -> OfferOrder | None:
        """A live offer, or None."""
        return self._columns.order(offer) if offer in self._columns else None

    def bid(self, bid: BidId) -> BidOrder | None:
        """A waiting bid, or None."""
        return self._bids.get(bid)

    def bids(self) -> tuple[BidOrder, ...]:
        """The waiting bids, in no particular order."""
        return tuple(self._bids.values())

    def offers(self) -> OfferView:
        """The live offers as columns, with copies of free capacity and stake that the caller may spend."""
        return self._columns.view(self._stakes, self._stake_bps)
