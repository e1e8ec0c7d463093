"""Round: one clearing of all that rests and all that enters, and one commit of what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.books.books import Books
from ledger.books.opening import Opening
from ledger.books.rows import JobRow
from ledger.books.unit_of_work import Unit
from ledger.market.errors import Broken, LostRace, MarketError, Rejected
from ledger.market.facts import BidAccepted
from ledger.market.identity import Address
from matcher.book import BidPlaced, BidRemoved
from matcher.bundle.drawing import Drawn
from matcher.clearing import Match, clear
from matcher.orders import BidOrder
from node.trading.admission import Order
from node.trading.epochs import Epochs
from node.trading.gathering import Ticket
from node.trading.intake import Intake
from node.trading.openings import Chosen, Openings
from node.trading.planning import Plan, Prepared
from node.trading.remembered import Remembered
from node.trading.resting import INCLUSION_SECONDS, REMATCH_SECONDS
from node.trading.waiting import Entry, next_bids

NEWEST = (1 << 59) - 1
"""an entering order's place in the queue: behind all that rest"""
_ENTERING = 1 << 20
RESTING_AN_EPOCH = 16
"""resting orders that are planned in one epoch of entering ones; the others follow in the next, before all
that enters then"""


@dataclass(slots=True)
class _Entering:
    """An order on its way into the books: as the matcher sees it, what was found for it, and its plan."""

    ticket: Ticket
    orders: list[BidOrder]
    accepted: BidAccepted
    chosen: Chosen | None = None
    planned: Plan | None = None
    prepared: Prepared | None = None
    row: JobRow | None = None


class Round:
    """Under the exchange's lock, with the memory caught up."""

    def __init__(
        self, books: Books, remembered: Remembered, openings: Openings, intake: Intake, epochs: Epochs
    ) -> None:
        self._books = books
        self._remembered = remembered
        self._standing = remembered.standing
        self._openings = openings
        self._intake = intake
        self._epochs = epochs
        self._turns = remembered.turns

    def serve(self, tickets: Sequence[Ticket], at: int) -> None:
        """Answer every ticket; one that fails by itself is served alone, so that it fails nobody else."""
        try:
            self._serve(tickets, at, RESTING_AN_EPOCH)
        except (Broken, LostRace, Rejected):
            if len(tickets) < 2:
                raise
            for ticket in tickets:
                if not ticket.answered:
                    self._serve_alone(ticket, at)

    def clear(self, at: int) -> None:
        """Match what rests."""
        self._serve((), at, None)

    def _serve_alone(self, ticket: Ticket, at: int) -> None:
        try:
            self._remembered.catch_up(at)
            self._serve([ticket], at, 0)
        except MarketError as error:
            ticket.refuse(error)

    def _serve(self, tickets: Sequence[Ticket], at: int, most_resting: int | None) -> None:
        self._standing.stir()
        for _ in self._turns.first(at):
            self._clear_pass(at)
        self._serve_all(tickets, at, most_resting)
        for _ in self._turns.after(at):
            self._clear_pass(at)

    def _clear_pass(self, at: int) -> None:
        """What the book shows for the time of a pass, by the same rules; nobody is set aside by it."""
        if at < self._remembered.paused_until:
            return
        with self._remembered.changing():
            resting, drawn = self._choose((), at)
            planned, numbers = self._commit(resting, (), drawn, at)
            self._remembered.news.own(*numbers)
            self._remember(planned, (), at)

    def _serve_all(self, tickets: Sequence[Ticket], at: int, most_resting: int | None) -> None:
        entering = self._enter(tickets, at)
        if not entering and (at < self._remembered.paused_until or not self._standing.book.bids()):
            return
        with self._remembered.changing():
            resting, drawn = self._choose(entering, at)
            due = resting if most_resting is None else resting[:most_resting]
            taken = self._kept(entering)
            planned, numbers = self._commit(due, taken, drawn, at)
            self._remembered.news.own(*numbers)
            self._remember(planned, taken, at)
            self._turns.look(at)
            if len(due) == len(resting):
                self._standing.settle()
        self._answer(entering)

    def _enter(self, tickets: Sequence[Ticket], at: int) -> list[_Entering]:
        entering = []
        for place, ticket in enumerate(tickets):
            try:
                entry = entry_of(ticket.order, NEWEST - _ENTERING + place)
                orders = self._standing.orders(entry, at + INCLUSION_SECONDS)
            except MarketError as error:
                ticket.refuse(error)
                continue
            starts_at = max(order.start_at for order in orders)
            accepted = _accepted(ticket, starts_at if starts_at > at else 0)
            entering.append(_Entering(ticket=ticket, orders=orders, accepted=accepted))
        return entering

    def _choose(
        self, entering: Sequence[_Entering], at: int
    ) -> tuple[list[tuple[JobRow, Chosen]], Drawn | None]:
        """Clear the book with what enters; what was found for resting orders, in the order of serving, and
        the epoch as it is published, where anything was found."""
        book = self._standing.book
        placed = {order.id: one for one in entering for order in one.orders}
        for order in (order for one in entering for order in one.orders):
            book.apply(BidPlaced(order=order))
        moment = at + INCLUSION_SECONDS
        clearing = clear(book, moment)
        drawn = None
        if clearing.matches:
            drawn = self._epochs.draw(book, clearing, moment, self._standing.block)
        resting = []
        for match in clearing.matches:
            matched = book.bid(match.bid)
            assert matched is not None
            chosen = Chosen(match=match, placed=matched)
            if match.bid in placed:
                placed[match.bid].chosen = chosen if matched.start_at <= at else None
            elif (row := self._still_rests(match, matched, at)) is not None:
                resting.append((row, chosen))
        for name in placed:
            book.apply(BidRemoved(bid=name))
        return resting, drawn

    def _still_rests(self, match: Match, order: BidOrder, at: int) -> JobRow | None:
        """The row of a matched order that is just so in the books; others leave the book."""
        orders = self._remembered.orders
        if orders.rests(order.job):
            row = orders.row(order.job)
            if match.bid in next_bids(row) and self._remembered.may_match(row, at):
                return row if order.start_at <= at else None
        self._standing.take_out(order.job)
        return None

    def _kept(self, entering: Sequence[_Entering]) -> list[_Entering]:
        """The orders that matched or may wait; the others are answered."""
        kept: list[_Entering] = []
        waiting: Counter[Address] = Counter()
        for one in entering:
            buyer = one.ticket.buyer
            try:
                if one.chosen is None and one.accepted.wait_until <= one.ticket.at:
                    one.ticket.find_nothing(one.orders)
                    continue
                if one.chosen is None:
                    self._intake.check_may_rest(buyer, waiting[buyer])
                    waiting[buyer] += 1
            except Rejected as error:
                one.ticket.refuse(error)
                continue
            kept.append(one)
        return kept

    def _commit(
        self, due: Sequence[tuple[JobRow, Chosen]], taken: Sequence[_Entering], drawn: Drawn | None, at: int
    ) -> tuple[list[Plan], tuple[int, int]]:
        """Write it all in one unit of work; the plans of resting orders, and the journal's numbers before
        and after."""
        if not due and not taken and drawn is None:
            return [], (0, 0)
        with self._books.transaction() as unit:
            before = unit.queries.newest_entry()
            plans = [self._openings.plan(unit, chosen, row, at) for row, chosen in due]
            self._open(unit, taken, at)
            if drawn is not None:
                self._epochs.publish(unit, drawn, at)
            return plans, (before, unit.queries.newest_entry())

    def _open(self, unit: Unit, taken: Sequence[_Entering], at: int) -> None:
        for one in taken:
            if one.chosen is not None:
                one.prepared = self._openings.prepare(one.chosen, one.accepted, at)
        known = unit.known_leases(one.prepared.lease for one in taken if one.prepared)
        for one in taken:
            if one.prepared is not None and one.prepared.lease in known:
                one.prepared = None
        rows = unit.open_all([_opening(one) for one in taken])
        for one, row in zip(taken, rows, strict=True):
            one.row = row
            if one.prepared is not None:
                one.planned = one.prepared.plan
            elif one.chosen is not None:
                one.planned = self._openings.plan(unit, one.chosen, one.accepted, at)
                one.row = unit.queries.job(row.job)

    def _remember(self, plans: Sequence[Plan], taken: Sequence[_Entering], at: int) -> None:
        self._remembered.orders.update([plan.job for plan in plans])
        for plan in plans:
            self._hold(plan)
        for one in taken:
            assert one.row is not None
            self._remembered.orders.put(one.row, rests=one.planned is None)
            if one.planned is not None:
                self._hold(one.planned)
            else:
                self._standing.wait(one.row, one.orders)
        self._standing.accepted([one.orders[0] for one in taken])

    def _hold(self, planned: Plan) -> None:
        """A plan was committed: its order waits no more, and its leases take capacity."""
        self._standing.take_out(planned.job)
        for lease, terms in planned.leases:
            self._standing.plan(lease, terms)

    def _answer(self, entering: Sequence[_Entering]) -> None:
        for one in entering:
            if not one.ticket.answered:
                assert one.row is not None
                one.ticket.accept(one.row)


def entry_of(order: Order, sequence: int = NEWEST) -> Entry:
    """The first attempt of a new order."""
    ways = tuple((way.ids[0], way.bid, way.job) for way in order.ways)
    signatures = tuple(way.attempts[0].signature for way in order.ways)
    return Entry(job=order.id, sequence=sequence, ways=ways, signatures=signatures)


def _accepted(ticket: Ticket, starts_at: int) -> BidAccepted:
    """What is journalled; an order that starts later waits until then, however long it would wait else."""
    order = ticket.order
    first, *others = (way.as_alternative() for way in order.ways)
    return BidAccepted(
        job=order.id,
        document=first.document,
        attempts=first.attempts,
        attempt_ids=first.attempt_ids,
        accepted_at=ticket.at,
        wait_until=max(ticket.at + ticket.wait, starts_at + REMATCH_SECONDS if starts_at else 0),
        alternatives=tuple(others),
        delegate=order.delegate,
    )


def _opening(one: _Entering) -> Opening:
    documents = tuple((way.document, way.canonical) for way in one.ticket.order.ways)
    if one.prepared is None:
        return Opening(accepted=one.accepted, documents=documents)
    return Opening(
        accepted=one.accepted, documents=documents, planned=one.prepared.fact, key=one.prepared.key
    )
