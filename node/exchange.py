"""The exchange: the node's single writer. Whatever changes an order, a lease or the book goes through it.

One lock; each change is committed to the books first (facts and wishes in one transaction) and applied
to the matcher's book after. What the chain must do is left to the outbox as wishes; nothing here waits
for a transaction. Every method may be called twice with the same input. The exchange's lock is taken
before the books' writer lock, never the other way round.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from ledger.books.books import Books
from ledger.books.rows import JobRow
from ledger.books.unit_of_work import Unit
from ledger.chain.typed_data import Domain
from ledger.market.bid import Bid
from ledger.market.errors import LostRace, Rejected
from ledger.market.events import LeaseClosed, LeaseOpened
from ledger.market.facts import (
    BidAccepted,
    BidWithdrawn,
    ChainObserved,
    ChainRewound,
    JobReported,
    LeasePlanned,
    PlanFailed,
)
from ledger.market.identity import Address, BidId, LeaseId, text
from ledger.market.lifecycle import CANCELLED_BY_BUYER, WAIT_OVER, JobState, LeaseState
from ledger.market.outbox import IntentState
from ledger.market.reasons import SkipReason
from ledger.market.wire import Plain
from matcher.book import BidPlaced, BidRemoved, Book
from matcher.clearing import Match, clear
from matcher.explanation import explain
from matcher.orders import BidOrder
from node.trading.admission import Order, read_job, replayed
from node.trading.funds import Funds
from node.trading.planning import Planner, open_key
from node.trading.presence import Heartbeat, Presence
from node.trading.refusal import NoMatch, eligible_plain, excluded_plain
from node.trading.resting import HOPELESS, INCLUSION_SECONDS, Pauses, rests_until
from node.trading.standing_book import StandingBook, order_of

_NEWEST = (1 << 62) - 1
_SKIPPED = "bid-skipped"


class ChainView(Protocol):
    """What the exchange asks of the chain's head; `ledger.chain.client.MarketClient` is one."""

    def balance_of(self, account: Address) -> int: ...

    def epoch_of(self, account: Address) -> int: ...

    def nonce_used(self, account: Address, nonce: int) -> bool: ...

    def lease_of(self, lease: LeaseId) -> object | None:
        """Something for an open lease, None for another."""
        ...


class Exchange:
    """`address` is the node's own account: the matcher that bids name. Times are seconds since 1970."""

    def __init__(
        self, books: Books, chain: ChainView, domain: Domain, address: Address, presence: Presence
    ) -> None:
        self._books = books
        self._chain = chain
        self.domain = domain
        self.address = address
        self.presence = presence
        self._funds = Funds(books.queries, chain)
        self._planner = Planner(domain, address)
        self._pauses = Pauses()
        self._standing = StandingBook(books.queries)
        self._stale = True
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
        order = BidOrder(
            id=BidId(bytes(32)),
            job=BidId(bytes(32)),
            bid=bid,
            sequence=_NEWEST,
            arrived_at=at + INCLUSION_SECONDS,
            allow=job.allow,
            deny=job.deny,
        )
        with self._lock:
            self._relist(at)
            found, book = explain(order, self.book), self.book
            rate = found.would_match_at
            return {
                "eligible": eligible_plain(found, book),
                "excluded": excluded_plain(found, book),
                "would_match_at": None if rate is None else str(rate),
            }

    def submit(self, order: Order, wait: int, at: int) -> JobRow:
        """Accept an order: match it now, let it rest for `wait` seconds, or refuse it with the reasons."""
        self._check_new(order)
        self._check_chain(order)
        with self._lock:
            self._check_new(order)
            self._funds.check(order.bid)
            self._refresh(at)
            entering = _entering(order, at)
            match = self._best(entering, at)
            if match is None and wait == 0:
                raise NoMatch(explain(entering, self.book), self.book)
            self._accept(order, match, wait, at)
            return self._job(order.id)

    def withdraw(self, job: BidId, at: int) -> JobRow:
        """Take a resting order out of the book; `LostRace` once a lease is planned or the job is over."""
        with self._lock:
            row = self._job(job)
            if row.state is not JobState.RESTING:
                raise LostRace(
                    "not-resting",
                    f"The job is {row.state.value}; only a resting one can be withdrawn.",
                    "End an open lease with the buyer's terminate transaction.",
                )
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
        opened: list[LeaseOpened] = []
        with self._lock:
            with self._following_the_books():
                for fact in facts:
                    if isinstance(fact, ChainRewound):
                        self._plan_vanished(at)
                        self._standing.rebuild()
                    else:
                        opened.extend(self._apply(fact))
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
            self._refresh(at)

    def lapse(self, at: int) -> None:
        """Orders whose waiting time is over leave the book, with the last reason why nothing matched."""
        with self._lock:
            for row in self._books.queries.resting():
                if at > rests_until(row):
                    self._record_withdrawal(row.job, WAIT_OVER, self._why_unmatched(row, at), at)
            unopened = self._books.queries.jobs(states=(JobState.RESTING, JobState.OPENING))
            self._pauses.forget({row.job for row in unopened})

    def _check_new(self, order: Order) -> None:
        for bid in order.ids:
            known = self._books.queries.job_of_bid(bid)
            if known is not None:
                raise replayed(known)

    def _check_chain(self, order: Order) -> None:
        buyer = order.bid.buyer
        if self._chain.epoch_of(buyer) != order.bid.epoch:
            raise LostRace("bid-epoch", "The buyer has moved to another epoch.", "Sign the bid again.")
        for signed in order.attempts:
            if self._chain.nonce_used(buyer, signed.bid.nonce):
                raise LostRace(
                    "nonce-used",
                    f"The nonce {signed.bid.nonce} of {text(buyer)} has been used.",
                    "Sign the bid again with a fresh nonce.",
                )

    def _best(self, entering: BidOrder, at: int) -> Match | None:
        """What is left for a new order once all that rests was served."""
        self.book.apply(BidPlaced(order=entering))
        try:
            matches = clear(self.book, at + INCLUSION_SECONDS).matches
        finally:
            self.book.apply(BidRemoved(bid=entering.id))
        return next((match for match in matches if match.bid == entering.id), None)

    def _accept(self, order: Order, match: Match | None, wait: int, at: int) -> None:
        accepted = BidAccepted(
            job=order.id,
            document=order.document,
            attempts=order.attempts,
            attempt_ids=order.ids,
            accepted_at=at,
            wait_until=at + wait,
        )
        with self._following_the_books():
            with self._books.transaction() as unit:
                unit.keep_document(order.document, order.canonical)
                unit.record(accepted)
                planned = None if match is None else self._plan(unit, match, accepted, 0, at)
            if planned is not None:
                self._hold(planned)
        if planned is None:
            self._refresh(at)

    def _plan(
        self, unit: Unit, match: Match, order: BidAccepted | JobRow, attempt: int, at: int
    ) -> LeasePlanned:
        offer = self.book.offer(match.offer)
        assert offer is not None
        return self._planner.plan(unit, match, offer, (order.job, attempt, order.attempts[attempt]), at)

    def _hold(self, planned: LeasePlanned) -> None:
        self._standing.take_out(planned.job)
        self._standing.hold(planned.wish.lease, planned.terms.offer, planned.terms.want)

    def _clear(self, at: int) -> None:
        for match in clear(self.book, at + INCLUSION_SECONDS).matches:
            placed = self.book.bid(match.bid)
            assert placed is not None
            row = self._job(placed.job)
            if row.state is not JobState.RESTING or row.attempt_ids[row.next_attempt] != match.bid:
                self._standing.take_out(row.job)
                continue
            with self._following_the_books():
                with self._books.transaction() as unit:
                    planned = self._plan(unit, match, row, row.next_attempt, at)
                self._hold(planned)

    def _apply(self, fact: ChainObserved) -> list[LeaseOpened]:
        opened: list[LeaseOpened] = []
        for logged in fact.events:
            event = logged.event
            if isinstance(event, LeaseOpened):
                self._standing.hold(event.id, event.terms.offer, event.terms.want)
                opened.append(event)
            elif isinstance(event, LeaseClosed):
                self._standing.free(event.lease)
        return opened

    def _plan_vanished(self, at: int) -> None:
        """Plans whose opening a reorganisation took back, though the outbox is done with them, are wished
        anew; should the first transaction come back as well, the contract opens the nonce once."""
        for row in self._books.queries.leases(states=(LeaseState.PLANNED,)):
            assert row.planned_at is not None
            intent = self._books.queries.intent(open_key(row.id, row.planned_at))
            if intent is not None and intent.state is IntentState.DONE:
                with self._books.transaction() as unit:
                    self._planner.plan_again(unit, row, intent.instruction, at)

    def _fail_plan(self, lease: LeaseId, reason: SkipReason, at: int) -> None:
        row = self._books.queries.lease(lease)
        if row is None or row.job is None or row.state is not LeaseState.PLANNED:
            return
        with self._following_the_books():
            with self._books.transaction() as unit:
                unit.record(PlanFailed(job=row.job, lease=lease, reason=reason, at=at))
                if reason in HOPELESS:
                    cause = f"The contract does not take the bid ({reason.name})."
                    unit.record(BidWithdrawn(job=row.job, code=_SKIPPED, cause=cause, at=at))
            self._standing.free(lease)
        self._pauses.strike(row.job, at)

    def _relist(self, at: int) -> None:
        if self._stale:
            self._standing.rebuild()
            self._stale = False
        self._standing.relist(self.presence.live_offers(at), at)

    def _refresh(self, at: int) -> None:
        """Offers as they live now, resting orders in the book, and a clearing."""
        self._relist(at)
        rows = [
            row
            for row in self._funds.covered(self._books.queries.resting())
            if at <= rests_until(row) and self._pauses.over(row.job, at)
        ]
        for gone in self._standing.waiting() - {row.job for row in rows}:
            self._standing.take_out(gone)
        for row in rows:
            self._standing.place(row, at + INCLUSION_SECONDS)
        self._clear(at)

    @contextmanager
    def _following_the_books(self) -> Iterator[None]:
        """What is committed in this block must reach the book too: a failure half way has the book made
        anew before it is used again."""
        before, self._stale = self._stale, True
        yield
        self._stale = before

    def _record_withdrawal(self, job: BidId, code: str, cause: str, at: int) -> None:
        with self._following_the_books():
            with self._books.transaction() as unit:
                unit.record(BidWithdrawn(job=job, code=code, cause=cause, at=at))
            self._standing.take_out(job)

    def _why_unmatched(self, row: JobRow, at: int) -> str:
        order = order_of(row, self._standing.job_of(row), min(at, rests_until(row)) + INCLUSION_SECONDS)
        found = explain(order, self.book)
        over = "The waiting time ran out."
        if not found.eligible:
            return f"{over} {NoMatch(found, self.book).cause}"
        if not self._funds.covered([row]):
            return f"{over} The buyer's balance does not cover the bid's limit."
        return f"{over} {row.cause}".rstrip()

    def _job(self, job: BidId) -> JobRow:
        row = self._books.queries.job(job)
        if row is None:
            raise Rejected("unknown-job", f"There is no job {text(job)}.", "Look at bingwang jobs.")
        return row


def _entering(order: Order, at: int) -> BidOrder:
    return BidOrder(
        id=order.id,
        job=order.id,
        bid=order.bid,
        sequence=_NEWEST,
        arrived_at=at + INCLUSION_SECONDS,
        allow=order.job.allow,
        deny=order.job.deny,
    )
