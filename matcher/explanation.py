"""Explanation: for one bid, what it would get, what excludes every other offer, and what would change that.

It asks the same conditions as the clearing, and each change that it states was tried by the clearing, so
that what is told is what happens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ledger.market.identity import OfferId
from ledger.market.money import escrow_for
from matcher.book import Book
from matcher.orders import BidOrder
from matcher.question import Question, ask
from matcher.ranking import Rows, first
from matcher.remedy.change import Remedy
from matcher.remedy.facing import facing
from matcher.remedy.search import remedies
from matcher.remedy.seating import placed_on
from matcher.remedy.waiting import Ending, waits
from matcher.wording import line

SHOWN: Final = 50
"""how many offers an explanation lists of each kind, nearest first; its counts are of all"""
STATED: Final = 4
"""how many remedies an explanation states, the cheapest ones"""
NAMED: Final = 3
"""how many of the offers that fail on one dimension alone are named"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An offer that may serve one member: `rate` milli-base-units per hour, `escrow` base units."""

    offer: OfferId
    rate: int
    escrow: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """An offer that may not, with each dimension that fails and, beside it, a line for people; `rate` is what
    a member would cost there."""

    offer: OfferId
    rate: int
    dimensions: tuple[str, ...]
    detail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One dimension: how many offers fail on it, and how many on it `alone`, the cheapest of those named."""

    dimension: str
    excluded: int
    alone: int
    named: tuple[OfferId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`eligible` cheapest first, empty unless all members have a place: the first is what a bid of one
    member would get alone. `excluded` nearest first; of both the first `SHOWN`, and how many there are.
    `obstacles` the most excluding first. `remedies` the cheapest first, none where it matches now or no
    change was found. `would_match_at` is the lowest limit above the bid's own at which it would match, None
    where it matches now or no price would do."""

    eligible: tuple[Quote, ...]
    excluded: tuple[Exclusion, ...]
    would_match_at: int | None
    eligible_count: int = 0
    excluded_count: int = 0
    obstacles: tuple[Obstacle, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    @property
    def remedy(self) -> Remedy | None:
        """The cheapest change that would make it match."""
        return self.remedies[0] if self.remedies else None


def explain(bid: BidOrder, book: Book, ends: Sequence[Ending] = ()) -> Explanation:
    """How the live offers stand to this bid at its arrival; the bid need not be in the book. Where the caller
    knows when leases end, waiting for that is one of the remedies."""
    question = ask(bid, book.offers(), bid.arrived_at)
    fit = question.failing_within(())
    seated = placed_on(question, fit)
    if len(seated) >= bid.members and len(fit):
        return _served(question, fit)
    waited = waits(question, book, ends, seated) if ends else ()
    found = sorted((*remedies(question, book, seated), *waited), key=lambda remedy: remedy.cost)
    return Explanation(
        eligible=(),
        excluded=_excluded(question, np.arange(len(question.failing)), len(seated)),
        would_match_at=_price_of(found),
        excluded_count=len(question.failing),
        obstacles=_obstacles(question, fit),
        remedies=tuple(found[:STATED]),
    )


def eligible_offers(order: BidOrder, book: Book) -> tuple[OfferId, ...]:
    """Every offer that may serve a member of the order at its arrival, in no particular order."""
    question = ask(order, book.offers(), order.arrived_at)
    return tuple(question.offers.orders[row].id for row in question.failing_within(()).tolist())


def _served(question: Question, fit: Rows) -> Explanation:
    out = np.flatnonzero(question.failing)
    return Explanation(
        eligible=tuple(_quote(question, row) for row in question.cheapest(fit, SHOWN)),
        excluded=_excluded(question, out, question.order.members),
        would_match_at=None,
        eligible_count=len(fit),
        excluded_count=len(out),
        obstacles=_obstacles(question, fit[:0]),
    )


def _quote(question: Question, row: int) -> Quote:
    rate = int(question.rates[row])
    escrow = escrow_for(rate, question.order.bid.duration)
    return Quote(offer=question.offers.orders[row].id, rate=rate, escrow=escrow)


def _excluded(question: Question, rows: Rows, placed: int) -> tuple[Exclusion, ...]:
    missed = np.bitwise_count(question.failing)
    nearest = first(rows, (missed, question.rates, question.lots), SHOWN, question.settle)
    return tuple(_exclusion(question, row, placed) for row in nearest)


def _exclusion(question: Question, row: int, placed: int) -> Exclusion:
    pair = facing(question, row, placed)
    dimensions = question.missed(row) or (_gangs(question.order),)
    lines = tuple(line(name, pair) for name in dimensions)
    return Exclusion(offer=pair.offer.id, rate=pair.rate, dimensions=dimensions, detail=lines)


def _gangs(order: BidOrder) -> str:
    """The dimension of an offer that could serve one member while the others have no place."""
    terms = (
        ("same_provider", order.same_provider),
        ("same_domain", order.same_domain),
        ("distinct", order.distinct),
    )
    return next((name for name, asked in terms if asked), "members")


def _obstacles(question: Question, fit: Rows) -> tuple[Obstacle, ...]:
    """Each dimension that excludes any offer; `fit` could serve one member and are out with the others."""
    found = [
        _obstacle(question, name, fit) for name in dict.fromkeys((*question.names, _gangs(question.order)))
    ]
    return tuple(sorted((one for one in found if one.excluded), key=lambda one: -one.excluded))


def _obstacle(question: Question, name: str, fit: Rows) -> Obstacle:
    bit = question.bit(name)
    excluded = int(np.count_nonzero(question.failing & bit))
    alone = np.flatnonzero(question.failing == bit) if excluded else fit[:0]
    if name == _gangs(question.order) and len(fit):
        excluded, alone = excluded + len(fit), fit
    named = tuple(question.offers.orders[row].id for row in question.cheapest(alone, NAMED))
    return Obstacle(dimension=name, excluded=excluded, alone=len(alone), named=named)


def _price_of(found: Sequence[Remedy]) -> int | None:
    """The limit of the remedy that changes nothing else."""
    alone = (one for one in found if [change.demand for change in one.changes] == ["price"])
    return next((one.order.bid.limit_rate for one in alone), None)
