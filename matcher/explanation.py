"""Explanation: for one bid, what it would get and why every other offer is out, in words of the market.

It asks the same conditions as the clearing, so that what is told is what happens.
"""

from dataclasses import dataclass

import numpy as np

from ledger.market.identity import OfferId
from ledger.market.money import escrow_for
from matcher.book import Book
from matcher.columns import Numbers, OfferView
from matcher.eligibility import Mask, conditions
from matcher.orders import BidOrder
from matcher.placement import drawn, places
from matcher.pricing import ask_rates, executed_rate
from matcher.wording import Pair, line


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An offer that may serve one member: `rate` milli-base-units per hour, `escrow` base units."""

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
    """`eligible` cheapest first, empty unless all members have a place: the first is what a bid of one
    member would get alone. `excluded` nearest first. `would_match_at` is the lowest limit above the bid's
    own at which it would match, None where it matches now or no price would do."""

    eligible: tuple[Quote, ...]
    excluded: tuple[Exclusion, ...]
    would_match_at: int | None


def explain(bid: BidOrder, book: Book) -> Explanation:
    """How each live offer stands to this bid at its arrival; the bid need not be in the book."""
    question = _Question(bid, book.offers())
    eligible: list[Quote] = []
    excluded: list[Exclusion] = []
    for row in question.nearest_first():
        missed = question.missed(row)
        if missed:
            excluded.append(_exclusion(question.pair(row), missed))
        else:
            eligible.append(_quote(question.pair(row)))
    return Explanation(
        eligible=tuple(eligible), excluded=tuple(excluded), would_match_at=question.would_match_at()
    )


class _Question:
    """One bid put to all offers: each dimension's verdict on each, and how many members have a place."""

    def __init__(self, bid: BidOrder, offers: OfferView) -> None:
        self._bid = bid
        self._offers = offers
        self._rates = ask_rates(offers.ask, bid.bid.want)
        self._found = list(conditions(offers, bid, self._rates, bid.arrived_at))
        self._placed = len(places(offers, bid, self._rates, self._fitting(self._found)))

    def missed(self, row: int) -> tuple[str, ...]:
        """The dimensions on which this offer fails; `distinct` or `members` where it could serve one member
        and the others have no place."""
        failing = tuple(name for name, met in self._found if not _holds(met, row))
        if failing or self._placed >= self._bid.members:
            return failing
        return ("distinct" if self._bid.distinct else "members",)

    def pair(self, row: int) -> Pair:
        offers, rate = self._offers, int(self._rates[row])
        seconds = self._bid.bid.duration
        locks = offers.stake_bps > 0 and rate > 0
        return Pair(
            order=self._bid,
            offer=offers.orders[row],
            free=offers.free_of(row),
            stake=offers.stakes[offers.provider_of(row)],
            lock=offers.lock_for(rate, seconds),
            longest=offers.longest_for(row, rate) if locks else seconds,
            placed=self._placed,
        )

    def nearest_first(self) -> list[int]:
        missed = np.zeros(len(self._offers.orders), dtype=np.int64)
        for _, met in self._found:
            missed += np.logical_not(met)
        keys = [
            (out, rate, *drawn(self._bid, offer))
            for out, rate, offer in zip(
                missed.tolist(), self._rates.tolist(), self._offers.orders, strict=True
            )
        ]
        return sorted(range(len(keys)), key=keys.__getitem__)

    def would_match_at(self) -> int | None:
        """The lowest limit at which every member has a place, None where it matches now or never would."""
        if self._placed >= self._bid.members:
            return None
        rows = self._fitting([(name, met) for name, met in self._found if name != "price"])
        if self._bid.replicated:
            return self._drawn_at(rows)
        placed = places(self._offers, self._bid, self._rates, rows)
        dearest = max((int(self._rates[row]) for row in placed), default=None)
        return dearest if len(placed) == self._bid.members else None

    def _drawn_at(self, rows: Numbers) -> int | None:
        """Each higher price is tried, lowest first, since every further offer makes another draw."""
        above = {int(rate) for rate in self._rates[rows] if rate > self._bid.bid.limit_rate}
        for limit in sorted(above):
            within = rows[self._rates[rows] <= limit]
            if len(places(self._offers, self._bid, self._rates, within)) == self._bid.members:
                return limit
        return None

    def _fitting(self, found: list[tuple[str, Mask]]) -> Numbers:
        fit = np.ones(len(self._offers.orders), dtype=np.bool_)
        for _, met in found:
            fit &= met
        return np.flatnonzero(fit)


def _holds(met: Mask, row: int) -> bool:
    return met if isinstance(met, bool) else bool(met[row])


def _quote(pair: Pair) -> Quote:
    rate = executed_rate(pair.offer, pair.order)
    return Quote(offer=pair.offer.id, rate=rate, escrow=escrow_for(rate, pair.order.bid.duration))


def _exclusion(pair: Pair, missed: tuple[str, ...]) -> Exclusion:
    return Exclusion(
        offer=pair.offer.id, dimensions=missed, detail=tuple(line(name, pair) for name in missed)
    )
