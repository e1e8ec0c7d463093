"""Explanation: for one bid, what it would get and why every other offer is out, in words of the market.

It asks the same conditions as the clearing, so that what is told is what happens.
"""

from dataclasses import dataclass

import numpy as np

from ledger.market.identity import OfferId
from ledger.market.money import escrow_for
from matcher.book import Book
from matcher.clearing import drawn
from matcher.columns import Numbers, OfferView
from matcher.eligibility import Mask, conditions
from matcher.orders import BidOrder
from matcher.pricing import ask_rates, executed_rate
from matcher.wording import Pair, line


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An offer that may serve the bid: `rate` milli-base-units per hour, `escrow` base units."""

    offer: OfferId
    rate: int
    escrow: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """An offer that may not, with each dimension that fails and, beside it, a line for people."""

    offer: OfferId
    dimensions: tuple[str, ...]
    detail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`eligible` cheapest first: the first is what the bid would get alone. `excluded` nearest first.
    `would_match_at` is the lowest rate among offers that fail on price alone, None without such."""

    eligible: tuple[Quote, ...]
    excluded: tuple[Exclusion, ...]
    would_match_at: int | None


def explain(bid: BidOrder, book: Book) -> Explanation:
    """How each live offer stands to this bid at its arrival; the bid need not be in the book."""
    offers = book.offers()
    rates = ask_rates(offers.ask, bid.bid.want)
    found = list(conditions(offers, bid, rates, bid.arrived_at))
    eligible: list[Quote] = []
    excluded: list[Exclusion] = []
    for row in _nearest_first(offers, bid, rates, found):
        pair = Pair(order=bid, offer=offers.orders[row], free=offers.free_of(row))
        missed = tuple(name for name, met in found if not _holds(met, row))
        if missed:
            excluded.append(_exclusion(pair, missed))
        else:
            eligible.append(_quote(pair))
    priced_out = {one.offer for one in excluded if one.dimensions == ("price",)}
    lowest = (int(rates[row]) for row, one in enumerate(offers.orders) if one.id in priced_out)
    return Explanation(
        eligible=tuple(eligible), excluded=tuple(excluded), would_match_at=min(lowest, default=None)
    )


def _holds(met: Mask, row: int) -> bool:
    return met if isinstance(met, bool) else bool(met[row])


def _nearest_first(
    offers: OfferView, bid: BidOrder, rates: Numbers, found: list[tuple[str, Mask]]
) -> list[int]:
    missed = np.zeros(len(offers.orders), dtype=np.int64)
    for _, met in found:
        missed += np.logical_not(met)
    keys = [
        (out, rate, *drawn(bid, offer))
        for out, rate, offer in zip(missed.tolist(), rates.tolist(), offers.orders, strict=True)
    ]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _quote(pair: Pair) -> Quote:
    rate = executed_rate(pair.offer, pair.order)
    return Quote(offer=pair.offer.id, rate=rate, escrow=escrow_for(rate, pair.order.bid.duration))


def _exclusion(pair: Pair, missed: tuple[str, ...]) -> Exclusion:
    return Exclusion(
        offer=pair.offer.id, dimensions=missed, detail=tuple(line(name, pair) for name in missed)
    )
