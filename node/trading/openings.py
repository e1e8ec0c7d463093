"""Openings: from what the matcher chose to a plan in the books, whole gangs at once, drawn replicas with
their draw; and once more where a reorganisation took an opening back."""

from dataclasses import dataclass

from ledger.books.books import Books
from ledger.books.rows import JobRow, LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.market.facts import BidAccepted, Draw
from ledger.market.identity import Digest, OfferId
from ledger.market.lifecycle import LeaseState
from ledger.market.outbox import IntentState
from matcher.clearing import Match
from matcher.explanation import eligible_offers
from matcher.orders import BidOrder
from node.trading.planning import Attempt, Place, Plan, Planner, Prepared, open_key
from node.trading.standing_book import StandingBook
from node.trading.venue import Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An order as it was matched: one attempt of a job, in one of its ways."""

    match: Match
    placed: BidOrder


class Openings:
    """Plans in the caller's unit of work; the book is as it was when the matcher chose."""

    def __init__(self, books: Books, venue: Venue, standing: StandingBook) -> None:
        self._books = books
        self._standing = standing
        self.planner = Planner(venue)

    def plan(self, unit: Unit, chosen: Chosen, order: BidAccepted | JobRow, at: int) -> Plan:
        """Plan the leases of a match of `order`."""
        attempt = self._attempt(chosen, order)
        places = [self._place(member.offer, member.rate) for member in chosen.match.members]
        return self.planner.plan(unit, attempt, places, at)

    def prepare(self, chosen: Chosen, order: BidAccepted, at: int) -> Prepared | None:
        """The plan of a match of one member, to be recorded with many others; None for a gang."""
        if len(chosen.match.members) > 1:
            return None
        (member,) = chosen.match.members
        place = self._place(member.offer, member.rate)
        return self.planner.prepare(chosen.match.bid, self._attempt(chosen, order), place, at)

    def _attempt(self, chosen: Chosen, order: BidAccepted | JobRow) -> Attempt:
        match, placed = chosen.match, chosen.placed
        way = next(way for way in order.ways if match.bid in way.attempt_ids)
        number = way.attempt_ids.index(match.bid)
        return Attempt(
            job=order.job,
            number=number,
            signed=way.attempts[number],
            draw=self._draw(placed) if placed.replicated else None,
        )

    def _place(self, name: OfferId, rate: int) -> Place:
        listed = self._standing.book.offer(name)
        assert listed is not None
        return Place(offer_id=name, offer=listed.offer, rate=rate)

    def _draw(self, order: BidOrder) -> Draw:
        """What anybody needs in order to repeat the draw of the order's providers."""
        block = self._standing.block
        return Draw(
            seed=Digest(order.seed),
            block_number=block.number,
            block_hash=block.hash,
            eligible=eligible_offers(order, self._standing.book),
        )

    def plan_vanished(self, at: int) -> None:
        """Plans whose opening a reorganisation took back, though the outbox is done with them, are wished
        anew; should the first transaction come back as well, the contract opens the nonce once."""
        for row in self._books.queries.leases(states=(LeaseState.PLANNED,)):
            assert row.planned_at is not None
            intent = self._books.queries.intent(open_key(row.id, row.planned_at))
            if intent is not None and intent.state is IntentState.DONE:
                with self._books.transaction() as unit:
                    self.planner.plan_again(unit, row, intent.instruction, at)

    def beside(self, row: LeaseRow) -> list[LeaseRow]:
        """The planned leases of the row's bid, itself included."""
        planned = self._books.queries.leases(job=row.job, states=(LeaseState.PLANNED,))
        return [one for one in planned if one.terms.bid == row.terms.bid]
