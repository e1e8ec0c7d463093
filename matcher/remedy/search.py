"""Search: the cheapest changes that would make a bid match, each of another kind, each tried.

For one member every offer is weighed, so the cheapest is found wherever the costs of single demands decide
(`matcher.remedy.demands`). A gang takes offers in the order of what each would need; the fewest of them
that have a place for all members make the change. It costs a few array steps and some dozen trials,
whatever the number of offers.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ledger.market.bid import AGREE_SHIFT, REPLICAS
from matcher.book import Book
from matcher.orders import BidOrder
from matcher.question import Question, ask
from matcher.ranking import Rows, first, first_of_each
from matcher.remedy.change import Change, Remedy, changes_between
from matcher.remedy.costs import Costs, costs, mended_rates
from matcher.remedy.mending import mended
from matcher.remedy.seating import dearest, placed, placed_on
from matcher.remedy.sentences import sentence
from matcher.remedy.trial import MOST_DRAWN, matches_alone

Mask: TypeAlias = NDArray[np.bool_]
_KINDS: Final = 4
"""how many different sets of failing dimensions are looked at, the cheapest first"""
_TRIES: Final = 3
_PRICES: Final = 64
"""prices at which a draw is tried"""
_COMMONEST: Final = 6
"""sets of failing dimensions among which a gang's offers may fail alike"""
_WIDEST: Final = 2
"""times a gang's members: among how many offers it is placed"""


def remedies(question: Question, book: Book, seated: list[int]) -> tuple[Remedy, ...]:
    """The cheapest ways to a match, cheapest first and one of each kind; `seated` are the rows of the
    members that have a place as it is, which are too few."""
    search = _Search(question, book)
    found = [
        *search.dearer(),
        *search.smaller(seated),
        *search.looser(),
        *(search.together() if question.order.members > 1 else search.alone()),
    ]
    kinds: dict[tuple[str, ...], Remedy] = {}
    for one in sorted(found, key=_turn):
        kinds.setdefault(tuple(change.demand for change in one.changes), one)
    return tuple(kinds.values())


class _Search:
    def __init__(self, question: Question, book: Book) -> None:
        self._question = question
        self._order = question.order
        self._book = book
        self._weighed: tuple[Costs, Costs] | None = None
        self._stated: set[tuple[Change, ...]] = set()

    def _weights(self) -> tuple[Costs, Costs]:
        """What each offer would take, and what a member would then cost there; worked out once."""
        if self._weighed is None:
            rates = mended_rates(self._question)
            self._weighed = costs(self._question, rates), rates
        return self._weighed

    def dearer(self) -> Iterator[Remedy]:
        """The lowest limit at which it matches with nothing else changed."""
        question, order = self._question, self._order
        rows = question.failing_within(("price",))
        if order.replicated:
            yield from self._drawn_dearer(rows)
            return
        seated = placed_on(question, rows)
        if seated and len(seated) == order.members:
            yield from self._tried(_with_limit(order, dearest(question, seated)), seated)

    def _drawn_dearer(self, rows: Rows) -> Iterator[Remedy]:
        """Each higher price is tried, lowest first, since every further offer makes another draw."""
        if len(rows) > MOST_DRAWN:
            return
        limit = self._order.bid.limit_rate
        prices = sorted({int(rate) for rate in self._question.rates[rows] if rate > limit})
        tried = (self._tried(_with_limit(self._order, price), ()) for price in prices[:_PRICES])
        yield from islice((remedy for found in tried for remedy in found), 1)

    def smaller(self, seated: list[int]) -> Iterator[Remedy]:
        """As many members as have a place now."""
        most = min(len(seated), self._order.members - 1)
        least = 2 if self._order.replicated else 1
        tried = (
            self._tried(with_members(self._order, count), seated) for count in range(most, least - 1, -1)
        )
        yield from islice((remedy for found in islice(tried, _TRIES) for remedy in found), 1)

    def looser(self) -> Iterator[Remedy]:
        """Each demand on how the members lie to one another, dropped."""
        order = self._order
        if order.members > 1 and not order.replicated:
            apart = replace(order, bid=replace(order.bid, flags=0))
            for other in (apart, replace(order, same_domain=False), replace(order, same_provider=False)):
                if other != order:
                    question = replace(self._question, order=other)
                    yield from self._tried(other, placed(question))

    def alone(self) -> Iterator[Remedy]:
        """For each of the cheapest kinds of change, the offer that needs the least of it; where the price is
        all, the cheapest was tried before."""
        question = self._question
        total, rates = self._weights()
        left = np.isfinite(total) & (question.failing != question.bit("price"))
        for _ in range(_KINDS):
            best = first(np.flatnonzero(left), (total, rates), _TRIES, question.settle)
            if not best:
                return
            yield from islice(self._mended(best), 1)
            left &= question.failing != question.failing[best[0]]

    def _mended(self, rows: Iterable[int]) -> Iterator[Remedy]:
        for row in rows:
            order = mended(self._order, self._question.offers.part([row]), self._question.at)
            if order is not None:
                yield from self._tried(order, (row,))

    def together(self) -> Iterator[Remedy]:
        """What the fewest offers with a place for all need together: of those that fail alike and lightly, or
        where that finds nothing of all."""
        question, (total, _) = self._question, self._weights()
        finite, fit = np.isfinite(total), question.failing == 0
        word = self._lightest(finite, total)
        found = [] if word is None else list(self._joined(finite & (fit | (question.failing == word))))
        yield from found or self._joined(finite)

    def _lightest(self, finite: Mask, total: Costs) -> int | None:
        """Of the commonest failings the one that takes least to mend; the price alone was tried before."""
        failing = self._question.failing
        words, counts = np.unique(failing[finite & (failing != 0)], return_counts=True)
        commonest = words[np.argsort(-counts, kind="stable")][:_COMMONEST].tolist()
        others = [word for word in commonest if word != self._question.bit("price")]
        return min(others, key=lambda word: float(np.median(total[finite & (failing == word)])), default=None)

    def _joined(self, left: Mask) -> Iterator[Remedy]:
        question, weights = self._question, self._weights()
        rows, most = np.flatnonzero(left), _WIDEST * self._order.members
        if self._order.distinct:
            providers = question.offers.column("provider")
            ranked = first_of_each(rows, weights, most, question.settle, providers)
        else:
            ranked = first(rows, weights, most, question.settle)
        part = question.part(ranked)
        union = self._least_union(part)
        if union is not None:
            seated = placed(ask(union, part.offers, part.at))
            yield from self._tried(union, [ranked[place] for place in seated])

    def _least_union(self, part: Question) -> BidOrder | None:
        """The bid changed for the shortest beginning of the offers that makes a place for every member."""
        unions, question = [self._order], part
        for place in range(len(part.offers.orders)):
            if question.failing[place]:
                union = mended(unions[-1], part.offers.part([place]), part.at) or unions[-1]
                if union != unions[-1]:
                    unions.append(union)
                    question = ask(union, part.offers, part.at)
            if place + 1 >= self._order.members and _has_room(unions[-1], part):
                break
        found = bisect_left(unions, True, key=lambda union: _has_room(union, part))
        return unions[found] if found < len(unions) else None

    def _tried(self, order: BidOrder, rows: Sequence[int]) -> Iterator[Remedy]:
        """The remedy, where the changed bid really matches; of a draw all that may take part do."""
        at, changes = self._question.at, changes_between(self._order, order)
        if not changes or changes in self._stated:
            return
        if order.replicated:
            rows = np.flatnonzero(ask(order, self._question.offers, at).failing == 0).tolist()
        if len(rows) <= MOST_DRAWN and matches_alone(self._book, order, self._question, rows):
            self._stated.add(changes)
            yield Remedy(order=order, changes=changes, at=at)


def _turn(remedy: Remedy) -> tuple[int, int, list[str]]:
    """Cheapest first, then the fewest changes, then by what is said: how a set is spelled changes with each
    process."""
    return remedy.cost, len(remedy.changes), [sentence(change) for change in remedy.changes]


def with_members(order: BidOrder, count: int) -> BidOrder:
    """The order for fewer members, with what its flags say of them."""
    flags = order.bid.flags if count > 1 else 0
    if order.replicated:
        flags = REPLICAS | min(order.bid.agree, count) << AGREE_SHIFT
    return replace(order, bid=replace(order.bid, members=count, flags=flags))


def _with_limit(order: BidOrder, rate: int) -> BidOrder:
    return replace(order, bid=replace(order.bid, limit_rate=max(rate, order.bid.limit_rate)))


def _has_room(order: BidOrder, part: Question) -> bool:
    return len(placed(ask(order, part.offers, part.at))) == order.members
