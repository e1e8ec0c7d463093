"""What a careful programmer writes first: all offers in one array pass, and sorted lists with an early exit.

Both find the same cheapest rate as the book, by the same conditions; neither keeps anything durable.
"""

from collections import defaultdict

import numpy as np

from ledger.market.domains import permits
from ledger.market.money import rate_of
from ledger.market.resource import Quantities
from matcher.columns import OfferView
from matcher.eligibility import eligible
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import ask_rates
from tests.factories import NOW


class FullScan:
    """numpy: every condition on every offer, then the least rate."""

    def __init__(self, view: OfferView) -> None:
        self._view = view

    def best(self, order: BidOrder) -> tuple[int, int] | None:
        """The row and rate of the cheapest."""
        rates = ask_rates(self._view.ask, order.bid.want)
        rows = np.flatnonzero(eligible(self._view, order, rates, NOW))
        if not rows.size:
            return None
        row = int(rows[rates[rows].argmin()])
        return row, int(rates[row])

    def take(self, place: tuple[int, int], want: Quantities) -> None:
        self._view.free[:, place[0]] -= np.array(tuple(want), dtype=np.uint64)

    def give(self, place: tuple[int, int], want: Quantities) -> None:
        self._view.free[:, place[0]] += np.array(tuple(want), dtype=np.uint64)


class SortedLists:
    """Python: a list by model and region, cheapest device first, searched until no cheaper one can come."""

    def __init__(self, offers: list[OfferOrder]) -> None:
        self._lists: dict[tuple[int, int], list[OfferOrder]] = defaultdict(list)
        self._free = {order.id: order.offer.capacity for order in offers}
        for order in sorted(offers, key=lambda one: one.offer.ask.gpu):
            self._lists[order.offer.traits.model, order.offer.traits.regions].append(order)

    def best(self, order: BidOrder) -> tuple[OfferOrder, int] | None:
        """The cheapest offer and its rate."""
        demand, found = order.bid.traits, None
        lowest = order.bid.limit_rate + 1
        for (model, region), offers in self._lists.items():
            if demand.model not in (0, model) or not region & demand.regions:
                continue
            for offer in offers:
                if offer.offer.ask.gpu * order.bid.want.gpu >= lowest:
                    break
                rate = rate_of(offer.offer.ask, order.bid.want)
                if rate < lowest and self._serves(offer, order):
                    found, lowest = (offer, rate), rate
        return found

    def _serves(self, offer: OfferOrder, order: BidOrder) -> bool:
        bid, signed = order.bid, offer.offer
        return (
            not bid.traits.unmet_by(signed.traits)
            and offer.reputation >= order.min_reputation
            and signed.min_seconds <= bid.duration <= signed.max_seconds
            and signed.valid_until >= NOW + bid.duration
            and signed.provider not in order.exclude
            and signed.provider != bid.buyer
            and bid.want.within(self._free[offer.id])
            and permits(offer.domain, order.allow, order.deny)
        )

    def take(self, place: tuple[OfferOrder, int], want: Quantities) -> None:
        self._free[place[0].id] = self._free[place[0].id].less(want)

    def give(self, place: tuple[OfferOrder, int], want: Quantities) -> None:
        self._free[place[0].id] = self._free[place[0].id].plus(want)
