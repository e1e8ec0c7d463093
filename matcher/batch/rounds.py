"""Rounds: several orders served together, each from a short list of its cheapest places.

Most epochs are easy: everybody's cheapest place is free, and then nothing can be better. Where it is not,
the lists are made so long that no order could need a place beyond them (each member of the others blocks one
at most; in crowds they end at some hundreds), and whoever still found nothing looks further down its list,
to its end or `_MOST` places.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from ledger.market.identity import BidId
from matcher.batch.candidates import Entrant, Posed, pose
from matcher.batch.contests import Contest
from matcher.batch.gathering import roomy
from matcher.batch.settled import Seat, spend
from matcher.book import Book
from matcher.columns import OfferView
from matcher.fragmentation.demand import Demand
from matcher.index.place import Place
from matcher.orders import BidOrder
from matcher.welfare.problem import Member, Solution
from matcher.welfare.solve import BRISK, solve, unrivalled

_SPARE = 3
"""places that the first, short lists hold beyond one for each member"""
_LONGEST = 256
"""places on a list before its order is known to need more"""
_FURTHER = 8
_MOST = 2_048
"""places on any list: effort is bounded, whoever waits"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Who sits where. `view` holds the offers that the lists name, with what they had before; `lost` could
    have been served somewhere and were not; no placement is worth more than `bound` (milli-base-units per
    hour times seconds)."""

    view: OfferView
    seats: tuple[Seat, ...]
    lost: tuple[Entrant, ...]
    bound: int


def play(book: Book, drawn: OfferView | None, waiting: Sequence[Contest], at: int) -> Round:
    """Serve the waiting orders; `drawn` is the view from which replicas were served before, if any were."""
    lists = _Lists(book, waiting, at)
    if not lists.entrants():
        return Round(view=book.some(()), seats=(), lost=(), bound=lists.ideal())
    posed = _posed(book, drawn, lists)
    solution = unrivalled(posed.problem)
    if solution is None:
        lists.lengthen()
        posed = _posed(book, drawn, lists)
        solution = solve(posed.problem, BRISK)
    while lists.lengthen_lost(_won(posed, solution)):
        posed = _posed(book, drawn, lists)
        solution = solve(posed.problem, BRISK)
    seats = _seated(posed, solution)
    seats += _vague_seats(posed, seats, _tables(book))
    return _round(posed, solution, seats, lists)


class _Lists:
    """Each order's cheapest places, as many as were looked up so far."""

    def __init__(self, book: Book, waiting: Sequence[Contest], at: int) -> None:
        self._book, self._at = book, at
        self._numbered = [(number, order) for number, contest in enumerate(waiting) for order in contest]
        members = sum(max(order.members for order in contest) for contest in waiting)
        self._enough = min(members, _LONGEST)
        self._asked: dict[BidId, int] = {}
        self._cut: set[BidId] = set()
        self._least: dict[BidId, int] = {}
        self._places: dict[BidId, tuple[Place, ...]] = {}
        for _, order in self._numbered:
            self._look(order, order.members + _SPARE)
            if not self._places[order.id]:
                self._finds_more(order)

    def entrants(self) -> list[Entrant]:
        """Each order that has places at all."""
        return [
            Entrant(order=order, contest=number, places=self._places[order.id])
            for number, order in self._numbered
            if self._places[order.id]
        ]

    def cut(self, order: BidOrder) -> bool:
        """Whether there may be more places than were listed."""
        return order.id in self._cut

    def any_cut(self) -> bool:
        """Whether there may be more places than were listed for anybody."""
        return bool(self._cut)

    def lengthen(self) -> None:
        """List as many places as could be of use to anybody."""
        for _, order in self._numbered:
            if self.cut(order) and self._asked[order.id] < self._enough:
                self._look(order, self._enough)

    def lengthen_lost(self, won: Set[int]) -> bool:
        """Look further for those whose contest nobody won; False where nobody finds more places."""
        lost = [order for number, order in self._numbered if number not in won]
        longer = [order for order in lost if self._finds_more(order)]
        return bool(longer)

    def ideal(self) -> int:
        """What all would be worth if everybody had the cheapest place for itself."""
        best: dict[int, int] = {}
        for number, order in self._numbered:
            if self._places[order.id] or self.cut(order):
                gain = order.bid.limit_rate - self._least[order.id]
                best[number] = max(gain * order.bid.duration * order.members, best.get(number, 0))
        return sum(best.values())

    def _finds_more(self, order: BidOrder) -> bool:
        before = len(self._places[order.id])
        while len(self._places[order.id]) == before and self.cut(order) and self._asked[order.id] < _MOST:
            self._look(order, min(self._asked[order.id] * _FURTHER, _MOST))
        return len(self._places[order.id]) > before

    def _look(self, order: BidOrder, length: int) -> None:
        found = self._book.cheapest(order, self._at, length)
        self._asked[order.id] = length
        self._cut.discard(order.id)
        if len(found) == length:
            self._cut.add(order.id)
        if found:
            self._least[order.id] = found[0].cost
        self._places[order.id] = found
        if found and (order.same_provider or order.same_domain):
            self._places[order.id] = roomy(self._book.some(place.offer for place in found), order, found)


def _posed(book: Book, drawn: OfferView | None, lists: _Lists) -> Posed:
    entrants = lists.entrants()
    return pose(_view(book, drawn, entrants), entrants, _tables(book))


def _tables(book: Book) -> Demand | None:
    return book.demand.tables() if book.demand.shapes else None


def _view(book: Book, drawn: OfferView | None, entrants: Sequence[Entrant]) -> OfferView:
    """The offers that the lists name, by id."""
    names = sorted({place.offer for one in entrants for place in one.places})
    if drawn is None:
        return book.some(names)
    rows = {order.id: row for row, order in enumerate(drawn.orders)}
    return drawn.part([rows[name] for name in names])


def _won(posed: Posed, solution: Solution) -> Set[int]:
    """The contests of which an order is served."""
    return {posed.entrants[number].contest for number, members in enumerate(solution.chosen) if members}


def _served(posed: Posed, seats: Sequence[Seat]) -> set[int]:
    """The contests of which an order has these seats."""
    seated = {seat.order.id for seat in seats}
    return {one.contest for one in posed.entrants if one.order.id in seated}


def _vague_seats(posed: Posed, seats: Sequence[Seat], demand: Demand | None) -> list[Seat]:
    """The seats of those whose worth is lost in the rounding of much larger sums: one after another, the
    worthiest first, in the room that is left."""
    vague = posed.vague()
    if not vague:
        return []
    view = posed.view.part(range(len(posed.view.orders)))
    spend(view, seats)
    done = _served(posed, seats)
    found: list[Seat] = []
    for one in vague:
        if one.contest not in done:
            alone = pose(view, [one], demand)
            seated = _seated(alone, solve(alone.problem, BRISK))
            spend(view, seated)
            found += seated
            done |= {one.contest} if seated else set()
    return found


def _seated(posed: Posed, solution: Solution) -> list[Seat]:
    return [
        seat
        for entrant, places in zip(posed.entrants, solution.chosen, strict=True)
        for seat in _seats(posed.view, entrant, places)
    ]


def _seats(view: OfferView, entrant: Entrant, members: Sequence[Member]) -> Iterator[Seat]:
    rated = {place.offer: place for place in entrant.places} if members else {}
    for member in members:
        offer = view.orders[member.offer]
        place = rated[offer.id]
        yield Seat(
            order=entrant.order,
            offer=offer,
            ask_rate=place.rate,
            bonus=place.bonus,
            devices=member.devices,
        )


def _round(posed: Posed, solution: Solution, seats: Sequence[Seat], lists: _Lists) -> Round:
    ideal, won = lists.ideal(), _served(posed, seats)
    whole = posed.scale.cut == 0 and not lists.any_cut()
    return Round(
        view=posed.view,
        seats=tuple(seats),
        lost=tuple(one for one in posed.entrants if one.contest not in won),
        bound=min(ideal, posed.scale.exact(solution.bound)) if whole else ideal,
    )
