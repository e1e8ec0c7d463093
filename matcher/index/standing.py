"""StandingOffers: the live offers as columns for those who look at all of them, and as an index for one bid.

Both say the same. A demand that the kernels do not know is put to the numpy conditions, offer by offer in
the order of price, so that an answer is the same whichever way it was found.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ledger.market.identity import Address, BidId, OfferId
from ledger.market.resource import LANE_NAMES, Quantities
from matcher.columns import OfferColumns, OfferView, most_escrow
from matcher.devices import Devices
from matcher.eligibility import bonus_in, eligible
from matcher.index.classes import TypicalDemand, classes_of
from matcher.index.demand import Demand, pack
from matcher.index.domain_verdicts import DomainVerdicts
from matcher.index.holding import NOTHING, Hold, Holding
from matcher.index.layout import F_ROW, FAR, SECONDS_LIMIT, Array
from matcher.index.offer_index import OfferIndex, room_for
from matcher.index.place import Place
from matcher.index.search import COLLISION
from matcher.orders import BidOrder, OfferOrder
from matcher.placement import drawn
from matcher.pricing import ask_rates

_GPU_USED = len(LANE_NAMES) + LANE_NAMES.index("gpu")
_NONE: Array = np.zeros(0, dtype=np.int64)
MOST_TIED = 1_024
"""equally cheap places whose classes are compared"""
_FIRST_LOOK = 16
"""places that are put to the conditions at first; each further look takes eight times as many"""


class StandingOffers:
    """Changed by its book alone."""

    def __init__(self, stake_bps: int) -> None:
        self.stake_bps = stake_bps
        self._columns = OfferColumns()
        self._index = OfferIndex()
        self.stakes: dict[Address, int] = {}
        self.demand = TypicalDemand()
        self._tables = self.demand.tables()
        self._escrows: Array = np.zeros(_FIRST_LOOK, dtype=np.int64)
        self._demands: dict[BidId, tuple[BidOrder, Demand]] = {}
        self._verdicts = DomainVerdicts(self._columns.domains)
        self._one = room_for(1)

    def __iter__(self) -> Iterator[OfferId]:
        return iter(self._columns.rows)

    def __contains__(self, offer: OfferId) -> bool:
        return offer in self._columns.rows

    def put(self, order: OfferOrder, held: Holding | None) -> None:
        """Add an offer that is not here, of which leases hold so much."""
        columns = self._columns
        providers = len(columns.providers)
        row = columns.add(order, tuple(Quantities() if held is None else held.used))
        if held is not None:
            held.settle(row, columns.devices)
        numbers = columns.numbers(row)
        self._index.put(row, *_indexed(row, numbers), order)
        if len(columns.providers) > providers:
            self._tell_escrow(order.offer.provider, providers)

    def drop(self, offer: OfferId) -> Holding | None:
        """Take an offer out; what leases hold of it, or None."""
        held, row = self.held(offer), self._columns.rows[offer]
        self._index.drop(row, self._columns.drop(row))
        return held

    def held(self, offer: OfferId) -> Holding | None:
        """What leases hold of an offer, or None where none does."""
        used = self.used(offer)
        return Holding(used=used, devices=self.devices(offer)) if any(used) else None

    def lend(self, offer: OfferId, sign: int, want: Quantities, hold: Hold) -> bool:
        """Take (1) or give back (-1) what a lease holds; False where the offer is not here."""
        columns = self._columns
        row = columns.rows.get(offer)
        if row is None:
            return False
        if not self._index.lend(columns.lanes, row, sign, want):
            self.used(offer).plus(want)
        if hold.numbers:
            columns.devices.shift(row, sign, hold.numbers, hold.share, hold.memory)
            if sign < 0 and not columns.lanes[row, _GPU_USED]:
                columns.devices.state(row, ())
        return True

    def state(self, offer: OfferId, used: Quantities, free: Sequence[tuple[int, int]]) -> None:
        """Leases hold `used` of an offer, and so many milli and MiB are `free` on each device; all of each
        where none is named."""
        now = self.used(offer)
        self.lend(offer, -1, now, NOTHING)
        self.lend(offer, 1, used, NOTHING)
        self._columns.devices.state(self._columns.rows[offer], free)

    def used(self, offer: OfferId) -> Quantities:
        """What leases hold of an offer."""
        return self._columns.used(self._columns.rows[offer])

    def order(self, offer: OfferId) -> OfferOrder:
        return self._columns.order(offer)

    def devices(self, offer: OfferId) -> Devices:
        return self._columns.devices.devices(self._columns.rows[offer])

    def tell_stake(self, provider: Address, free: int) -> None:
        """A provider's free stake, whether it has offers here or not."""
        self.stakes[provider] = free
        number = self._columns.providers.get(provider)
        if number is not None:
            self._tell_escrow(provider, number)

    def _tell_escrow(self, provider: Address, number: int) -> None:
        if not self.stake_bps:
            return
        if number >= len(self._escrows):
            self._escrows = np.concatenate((self._escrows, np.zeros_like(self._escrows)))
        self._escrows[number] = min(FAR, most_escrow(self.stake(provider), self.stake_bps))

    def stake(self, provider: Address) -> int:
        return self.stakes.get(provider, 0)

    def view(self) -> OfferView:
        """All of them, with copies of what a viewer may spend."""
        return self._columns.view(self.stakes, self.stake_bps)

    def some(self, offers: Iterable[OfferId]) -> OfferView:
        """These alone, in this order, each once, with copies of what a viewer may spend."""
        return self._columns.some(
            [self._columns.rows[offer] for offer in offers], self.stakes, self.stake_bps
        )

    def expect(self, order: BidOrder) -> None:
        """A bid waits: its numbers are kept from now on."""
        self._demands[order.id] = order, self._pack(order)

    def forget(self, bid: BidId) -> None:
        """A bid waits no more."""
        self._demands.pop(bid, None)

    def _pack(self, order: BidOrder) -> Demand:
        return pack(order, self._columns.providers, self._columns.profiles)

    def _demand(self, order: BidOrder) -> Demand:
        kept = self._demands.get(order.id)
        known = len(self._columns.providers) + len(self._columns.profiles)
        if kept is None or kept[0] is not order:
            return self._pack(order)
        if kept[1].strangers and kept[1].known != known:
            self.expect(order)
            return self._demands[order.id][1]
        return kept[1]

    def state_demand(self, demand: TypicalDemand) -> None:
        """What is typically asked for, from now on."""
        self.demand = demand
        self._tables = demand.tables()

    def best(self, order: BidOrder, at: int) -> Place | None:
        """The cheapest; of equally cheap ones, the first by lot of those that leave least stranded."""
        if not self.demand.shapes:
            return self._first(order, at)
        found = self.cheapest(order, at, 2)
        if len(found) < 2 or found[0].cost < found[1].cost:
            return found[0] if found else None
        tied = self._tied(order, at, found[0].cost)
        classes = classes_of(self._tables, order, self.some(place.offer for place in tied))
        return tied[classes.index(max(classes))]

    def _first(self, order: BidOrder, at: int) -> Place | None:
        """The first by cost and then by lot; the short way for the many bids that nothing holds up."""
        demand = self._demand(order)
        if not (demand.plain and demand.servable and demand.in_range) or at > demand.last:
            found = self.cheapest(order, at, 1)
            return found[0] if found else None
        number = COLLISION if at + demand.duration >= SECONDS_LIMIT else self._search(demand, at, self._one)
        if number == COLLISION:
            return next(iter(self._by_conditions(order, at, 1)), None)
        if not number:
            return None
        cost, _, row, rate = self._one[0].tolist()
        return Place(self._columns.orders[row].id, rate, rate - cost)

    def _tied(self, order: BidOrder, at: int, cost: int) -> tuple[Place, ...]:
        """Those of this cost, which is the lowest; at most `MOST_TIED`, the first by lot."""
        found = self.cheapest(order, at, _FIRST_LOOK)
        if len(found) == _FIRST_LOOK and found[-1].cost == cost:
            found = self.cheapest(order, at, MOST_TIED)
        return tuple(place for place in found if place.cost == cost)

    def cheapest(self, order: BidOrder, at: int, n: int) -> tuple[Place, ...]:
        """The `n` cheapest that may each serve one member, by cost and then by lot."""
        demand = self._demand(order)
        if not demand.servable or at > demand.last or n < 1:
            return ()
        if not demand.in_range or at + demand.duration >= SECONDS_LIMIT:
            return self._by_conditions(order, at, n)
        if demand.plain:
            found = self._one if n == 1 else room_for(min(n, len(self._columns)))
            number = self._search(demand, at, found)
            places = self._places(found, max(0, number))
        else:
            number, places = self._by_looks(order, demand, at, n)
        return self._by_conditions(order, at, n) if number == COLLISION else places

    def _search(self, demand: Demand, at: int, found: Array) -> int:
        if not len(self._columns):
            return 0
        domains = _NONE if demand.domains is None else self._verdicts.of(demand.domains)
        escrows = self._escrows if self.stake_bps else _NONE
        return self._index.search(demand, domains, escrows, self._columns.devices, at, found)

    def _places(self, found: Array, number: int) -> tuple[Place, ...]:
        orders = self._columns.orders
        return tuple(
            Place(offer=orders[row].id, rate=rate, bonus=rate - cost)
            for cost, _, row, rate in found[:number].tolist()
        )

    def _by_looks(self, order: BidOrder, demand: Demand, at: int, n: int) -> tuple[int, tuple[Place, ...]]:
        """Offers that the kernels let pass, put to all conditions in the order of cost, more at a time."""
        look, served = max(n, _FIRST_LOOK), len(self._columns)
        while True:
            found = room_for(min(look, served))
            number = self._search(demand, at, found)
            passing = self._passing(order, found[: max(0, number)], at)
            if number < len(found) or len(passing) >= n or len(found) == served:
                return number, self._places(passing[:n], n)
            look *= 8

    def _passing(self, order: BidOrder, found: Array, at: int) -> Array:
        rows = found[:, F_ROW].tolist()
        if not rows:
            return found
        part = self._columns.some(rows, self.stakes, self.stake_bps)
        fit: Array = found[eligible(part, order, ask_rates(part.ask, order.bid.want), at)]
        return fit

    def _by_conditions(self, order: BidOrder, at: int, n: int) -> tuple[Place, ...]:
        """The same by the conditions alone, over all columns: any size of number, any lot."""
        view = self.view()
        rates = ask_rates(view.ask, order.bid.want)
        found = []
        for row in np.flatnonzero(eligible(view, order, rates, at)).tolist():
            offer, rate = view.orders[row], int(rates[row])
            bonus = bonus_in(order, offer.domain)
            found.append((rate - bonus, *drawn(order, offer), rate, bonus, offer.id))
        return tuple(Place(offer=name, rate=rate, bonus=bonus) for *_, rate, bonus, name in sorted(found)[:n])


def _indexed(row: int, numbers: list[int]) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """A row of the columns in the order of the index's layout."""
    vendors, regions, features, memory, capability, model, least, most, until = numbers[:9]
    reputation, provider, domain, profile, _, _, lot = numbers[9:16]
    ask, free = numbers[16:22], numbers[23:29]
    words = (*free, *ask, vendors, memory, capability, model, least, most, min(until, SECONDS_LIMIT))
    return (*words, reputation, provider, domain, profile, row), (features, regions, lot)
