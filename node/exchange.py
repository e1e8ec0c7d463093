"""The exchange: the node's single writer. Whatever changes an order, a lease or the book goes through it.

One lock; each change is committed to the books first (facts and wishes in one transaction) and applied
to what the exchange remembers after. Orders gather at its door and are served together
(`node.trading.gathering`). What the chain must do is left to the outbox as wishes; nothing here waits
for a transaction. Every method may be called twice with the same input. The exchange's lock is taken
before the books' writer lock, never the other way round.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from ledger.books.books import Books
from ledger.books.rows import JobRow
from ledger.books.unit_of_work import Unit
from ledger.market.bid import Bid
from ledger.market.errors import LostRace, MarketError, Rejected
from ledger.market.events import LeaseOpened
from ledger.market.facts import (
    BidWithdrawn,
    ChainObserved,
    ChainRewound,
    JobReported,
    PlanFailed,
)
from ledger.market.identity import NO_DIGEST, Address, BidId, LeaseId, text
from ledger.market.lifecycle import CANCELLED_BY_BUYER, WAIT_OVER, JobState, LeaseState
from ledger.market.money import escrow_for
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt
from ledger.market.wire import Plain
from matcher.book import BidPlaced, BidRemoved, Book
from matcher.clearing import Match, clear
from matcher.explanation import explain
from matcher.orders import BidOrder
from node.trading.admission import Order, read_job
from node.trading.continuing import Continuing
from node.trading.epochs import Epochs
from node.trading.followed import AccountView, told_by
from node.trading.funds import Funds, refund_of
from node.trading.gathering import Gathering, Ticket
from node.trading.intake import Intake
from node.trading.listing import ReputationOf, newcomer
from node.trading.next_lease import check_goes_on
from node.trading.openings import Openings
from node.trading.preempting import Tell, nobody
from node.trading.presence import Heartbeat, Presence
from node.trading.refusal import NoMatch, explained_plain, places_plain
from node.trading.remembered import Remembered
from node.trading.resting import HOPELESS, INCLUSION_SECONDS, rests_until
from node.trading.round import NEWEST, Round
from node.trading.standing_book import StandingBook
from node.trading.turns import Turns
from node.trading.venue import Venue
from node.trading.waiting import Entry

_SKIPPED = "bid-skipped"


class ChainView(AccountView, Protocol):
    """What the exchange asks of the chain's head; `ledger.chain.client.MarketClient` is one."""

    def lease_of(self, lease: LeaseId) -> object | None:
        """Something for an open lease, None for another."""
        ...


class Exchange:
    """Times are seconds since 1970; `reputation_of` is asked whenever an offer is listed, and in turns.
    `tell` reaches a provider's agents, and may fail to."""

    def __init__(
        self,
        books: Books,
        chain: ChainView,
        venue: Venue,
        presence: Presence,
        continuing: Continuing,
        reputation_of: ReputationOf = newcomer,
        tell: Tell = nobody,
    ) -> None:
        self._books = books
        self._chain = chain
        self.venue = venue
        self.presence = presence
        self._funds = Funds(books.queries, chain)
        self._continuing = continuing
        self._standing = StandingBook(books.queries, venue.policy, reputation_of)
        self._openings = Openings(books, venue, self._standing)
        self._turns = Turns(books, lambda: self._standing.book, venue.policy, tell)
        self._epochs = Epochs(venue)
        self._remembered = Remembered(
            books.queries, presence, self._standing, self._openings.plan_vanished, self._turns, self._epochs
        )
        self._intake = Intake(books.queries, self._remembered.orders, self._remembered.followed)
        self._round = Round(books, self._remembered, self._openings, self._intake, self._epochs)
        self._gathering = Gathering(self.serve)
        self._lock = threading.RLock()

    def start(self, at: int) -> None:
        """Take up where the journal ended: book, capacity and resting orders."""
        self.clear_round(at)

    @property
    def book(self) -> Book:
        """The matcher's book, to look at while nothing else is under way."""
        return self._standing.book

    def free_balance(self, buyer: Address) -> int:
        """Base units of the buyer in the market that no unopened order has reserved."""
        return self._funds.free(buyer)

    def beat(self, provider: Address, heartbeat: Heartbeat) -> None:
        """An agent's word; where it changes what is live, the book follows at once."""
        if self.presence.beat(provider, heartbeat):
            self.clear_round(heartbeat.at)

    def estimate(self, bid: Bid, document: object, at: int) -> Plain:
        """What an order would get now, as the API shows it; nothing is kept, no signature is needed."""
        job, _, _ = read_job(document)
        nobody = BidId(bytes(32))
        with self._lock:
            self._remembered.catch_up(at)
            entry = Entry(job=nobody, sequence=NEWEST, ways=((nobody, bid, job),))
            (order,) = self._standing.orders(entry, at + INCLUSION_SECONDS)
            found, book = explain(order, self.book), self.book
            best = self._best(order, at)
            members = [] if best is None else places_plain(best, bid.duration, book)
            return explained_plain(found, book) | {"members": members}

    def explained(self, job: BidId, at: int) -> Plain:
        """How a resting order stands now, in each of its ways; `LostRace` "not-resting" for another."""
        with self._lock:
            row = self._resting(job)
            self._remembered.catch_up(at)
            ways = [
                explained_plain(explain(one, self.book), self.book) | {"limit_rate": str(one.bid.limit_rate)}
                for one in self._standing.next_orders(row, at + INCLUSION_SECONDS)
            ]
        return ways[0] | ({"alternatives": ways[1:]} if len(ways) > 1 else {})

    def submit(self, order: Order, wait: int, at: int, receipt: SignedReceipt | None = None) -> JobRow:
        """Accept an order: match it now, let it rest for `wait` seconds, or refuse it with the reasons.

        One that continues a lease is planned on that lease's offer at once and stays in its job; `receipt`
        is the lease's last one, where its signer is not this node. A refusal by what the node has followed
        of the chain is checked with the chain itself first, by this thread and outside every lock.
        """
        ticket = Ticket(order=order, wait=wait, at=at, receipt=receipt)
        self._gathering.submit(ticket)
        if ticket.doubtful:
            ticket = Ticket(order=order, wait=wait, at=at, receipt=receipt, told=told_by(self._chain, order))
            self._gathering.submit(ticket)
        if ticket.error is not None:
            raise ticket.error
        if ticket.unmatched:
            with self._lock:
                raise NoMatch([explain(one, self.book) for one in ticket.unmatched], self.book)
        assert ticket.row is not None
        return ticket.row

    def withdraw(self, job: BidId, at: int) -> JobRow:
        """Take a resting order out of the book; `LostRace` once a lease is planned or the job is over."""
        with self._lock:
            row = self._resting(job)
            self._record_withdrawal(row.job, CANCELLED_BY_BUYER, "The buyer withdrew the order.", at)
            return self._job(job)

    def report(self, fact: JobReported) -> None:
        """An agent's word on its job; it may end a job that rests for another attempt."""
        with self._lock:
            with self._books.transaction() as unit:
                unit.record(fact)
            row = self._books.queries.lease(fact.lease)
            if row is not None and row.job in self._standing.waiting():
                self._refresh(fact.at)

    def observe(self, facts: Sequence[ChainObserved | ChainRewound], unit: Unit) -> None:
        """Record what the follower saw, inside the caller's transaction, which also moves the cursor."""
        for fact in facts:
            unit.record(fact)

    def observed(self, facts: Iterable[ChainObserved | ChainRewound], at: int) -> list[LeaseOpened]:
        """Act on what was recorded: move capacity, serve retries; the leases that were opened."""
        opened = [
            logged.event
            for fact in facts
            if isinstance(fact, ChainObserved)
            for logged in fact.events
            if isinstance(logged.event, LeaseOpened)
        ]
        with self._lock:
            self._refresh(at)
        return opened

    def fail_plans(self, failed: Iterable[tuple[LeaseId, SkipReason]], at: int) -> None:
        """The contract skipped planned matches: free their capacity and let their orders go on.

        A nonce that this very lease used means that an earlier transaction of ours opened it, and the
        follower has yet to see it; another attempt would run the job twice.
        """
        certain = [
            (lease, reason)
            for lease, reason in failed
            if reason is not SkipReason.NONCE_USED or self._chain.lease_of(lease) is None
        ]
        if not certain:
            return
        with self._lock:
            for lease, reason in certain:
                self._fail_plan(lease, reason, at)
            self._refresh(at)

    def clear_round(self, at: int) -> None:
        """The book as the books and the agents have it now, and one clearing of all that rests."""
        with self._lock:
            self._remembered.catch_up(at)
            self._remembered.look_again(at)
            self._remembered.rest(at, everybody=True)
            self._round.clear(at)
            self._epochs.prepare(self._standing.book)
            self._turns.tell_again()

    def lapse(self, at: int) -> None:
        """Orders whose waiting time is over leave the book, with the last reason why nothing matched."""
        with self._lock:
            self._remembered.catch_up(at)
            for row in list(self._remembered.orders.resting()):
                if at > rests_until(row):
                    self._record_withdrawal(row.job, WAIT_OVER, self._why_unmatched(row, at), at)

    def serve(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """One epoch of the door; the tickets that wait for the next one."""
        at = max(ticket.at for ticket in tickets)
        with self._lock:
            self._remembered.catch_up(at)
            self._remembered.rest(at)
            admitted, later = self._intake.judge(tickets, self._remembered.paused_until)
            self._round.serve([one for one in admitted if one.order.bid.continues == NO_DIGEST], at)
            for ticket in admitted:
                if ticket.order.bid.continues != NO_DIGEST:
                    self._continue(ticket)
        return later

    def _continue(self, ticket: Ticket) -> None:
        """Plan the lease that takes the place of a running one, within that one's job."""
        way, bid, at = ticket.order.ways[0], ticket.order.bid, ticket.at
        try:
            previous = check_goes_on(self._books.queries, way)
            with self._books.transaction() as unit:
                unit.keep_document(way.document, way.canonical)
                wish = self._continuing.plan(unit, previous, way.attempts[0], at, ticket.receipt)
                refund = refund_of(previous, wish.receipt.receipt.milliseconds)
                self._funds.check(bid.buyer, escrow_for(wish.rate, bid.duration), refund)
                planned = self._openings.planner.plan_next(unit, previous, wish, at)
            self._remembered.catch_up(at)
            ticket.accept(self._job(planned.job))
        except MarketError as error:
            ticket.refuse(error)

    def _best(self, order: BidOrder, at: int) -> Match | None:
        """What is left for a new order, once all that rests was served."""
        self.book.apply(BidPlaced(order=order))
        try:
            matches = clear(self.book, at + INCLUSION_SECONDS).matches
        finally:
            self.book.apply(BidRemoved(bid=order.id))
        return next((one for one in matches if one.bid == order.id), None)

    def _fail_plan(self, lease: LeaseId, reason: SkipReason, at: int) -> None:
        """`lease` is the plan's only one, or the first of its gang."""
        row = self._books.queries.lease(lease)
        if row is None or row.job is None or row.state is not LeaseState.PLANNED:
            return
        with self._books.transaction() as unit:
            unit.record(PlanFailed(job=row.job, lease=lease, reason=reason, at=at))
            if reason in HOPELESS and row.continues is None:
                cause = f"The contract does not take the bid ({reason.name})."
                unit.record(BidWithdrawn(job=row.job, code=_SKIPPED, cause=cause, at=at))
        if row.continues is None:
            self._remembered.pauses.strike(row.job, at)

    def _refresh(self, at: int) -> None:
        """What was recorded reaches the book, and a clearing."""
        self._remembered.catch_up(at)
        self._remembered.rest(at)
        self._round.clear(at)

    def _record_withdrawal(self, job: BidId, code: str, cause: str, at: int) -> None:
        with self._books.transaction() as unit:
            unit.record(BidWithdrawn(job=job, code=code, cause=cause, at=at))
        self._remembered.catch_up(at)

    def _why_unmatched(self, row: JobRow, at: int) -> str:
        moment = min(at, rests_until(row)) + INCLUSION_SECONDS
        found = [explain(order, self.book) for order in self._standing.next_orders(row, moment)]
        over = "The waiting time ran out."
        if not any(one.eligible for one in found):
            return f"{over} {NoMatch(found, self.book).cause}"
        if self._remembered.free_for_resting(row.buyer) < row.reserve:
            return f"{over} The buyer's balance does not cover the bid's limit."
        return f"{over} {row.cause}".rstrip()

    def _resting(self, job: BidId) -> JobRow:
        row = self._job(job)
        if row.state is not JobState.RESTING:
            raise LostRace(
                "not-resting",
                f"The job is {row.state.value}; only a resting one waits in the book.",
                "End an open lease with the buyer's terminate transaction.",
            )
        return row

    def _job(self, job: BidId) -> JobRow:
        row = self._books.queries.job(job)
        if row is None:
            raise Rejected("unknown-job", f"There is no job {text(job)}.", "Look at bingwang jobs.")
        return row
