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
from ledger.market.bid import Bid
from ledger.market.delegation import Delegation
from ledger.market.errors import LostRace, Rejected, Unavailable
from ledger.market.events import LeaseClosed, LeaseOpened
from ledger.market.facts import (
    BidAccepted,
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
from matcher.clearing import clear
from matcher.explanation import explain
from matcher.orders import BidOrder
from node.trading.admission import Order, read_job, replayed
from node.trading.continuing import Continuing
from node.trading.funds import Funds, needed_by, refund_of
from node.trading.next_lease import check_goes_on
from node.trading.openings import Chosen, Openings
from node.trading.planning import Plan
from node.trading.presence import Heartbeat, Presence
from node.trading.refusal import NoMatch, eligible_plain, excluded_plain, places_plain
from node.trading.resting import HOPELESS, INCLUSION_SECONDS, Pauses, rests_until
from node.trading.standing_book import Entry, ReputationOf, StandingBook, newcomer, next_bids
from node.trading.venue import Venue

_NEWEST = (1 << 59) - 1
_SKIPPED = "bid-skipped"


class ChainView(Protocol):
    """What the exchange asks of the chain's head; `ledger.chain.client.MarketClient` is one."""

    def balance_of(self, account: Address) -> int: ...

    def epoch_of(self, account: Address) -> int: ...

    def nonce_used(self, account: Address, nonce: int) -> bool: ...

    def lease_of(self, lease: LeaseId) -> object | None:
        """Something for an open lease, None for another."""
        ...

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        """Without roles where there is none."""
        ...


class Exchange:
    """Times are seconds since 1970; `reputation_of` is asked whenever an offer is listed."""

    def __init__(
        self,
        books: Books,
        chain: ChainView,
        venue: Venue,
        presence: Presence,
        continuing: Continuing,
        reputation_of: ReputationOf = newcomer,
    ) -> None:
        self._books = books
        self._chain = chain
        self.venue = venue
        self.presence = presence
        self._funds = Funds(books.queries, chain)
        self._continuing = continuing
        self._pauses = Pauses()
        self._standing = StandingBook(books.queries, venue.policy, reputation_of)
        self._openings = Openings(books, venue, self._standing)
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
        nobody = BidId(bytes(32))
        with self._lock:
            self._relist(at)
            entry = Entry(job=nobody, sequence=_NEWEST, ways=((nobody, bid, job),))
            (order,) = self._standing.orders(entry, at + INCLUSION_SECONDS)
            found, book = explain(order, self.book), self.book
            best = self._best([order], at)
            rate = found.would_match_at
            return {
                "eligible": eligible_plain(found, book),
                "excluded": excluded_plain(found, book),
                "would_match_at": None if rate is None else str(rate),
                "members": [] if best is None else places_plain(best.match, bid.duration, book),
            }

    def submit(self, order: Order, wait: int, at: int, receipt: SignedReceipt | None = None) -> JobRow:
        """Accept an order: match it now, let it rest for `wait` seconds, or refuse it with the reasons.

        One that continues a lease is planned on that lease's offer at once and stays in its job; `receipt`
        is the lease's last one, where its signer is not this node.
        """
        self._check_new(order)
        self._check_running(at)
        self._check_chain(order)
        with self._lock:
            self._check_new(order)
            self._funds.check_delegate(order, at)
            if order.bid.continues != NO_DIGEST:
                return self._continue(order, receipt, at)
            self._funds.check(order.bid.buyer, needed_by(order))
            self._refresh(at)
            entering = self._standing.orders(_entry(order), at + INCLUSION_SECONDS)
            best = self._best(entering, at)
            if best is None and wait == 0:
                raise NoMatch([explain(one, self.book) for one in entering], self.book)
            self._accept(order, best, wait, at)
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
                        self._openings.plan_vanished(at)
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

    def _check_running(self, at: int) -> None:
        """`Unavailable` while the market's guardian keeps it paused: nothing is accepted that could rest
        beyond its validity."""
        until = self._paused_until()
        if at < until:
            raise Unavailable(
                "market-paused",
                f"The market's guardian paused new business until {until} at the latest.",
                "Try again later; jobs that run go on, and every exit stays open.",
                until=until,
            )

    def _paused_until(self) -> int:
        market = self._books.queries.market()
        return 0 if market is None else market.paused_until

    def _check_chain(self, order: Order) -> None:
        buyer = order.bid.buyer
        if self._chain.epoch_of(buyer) != order.bid.epoch:
            raise LostRace("bid-epoch", "The buyer has moved to another epoch.", "Sign the bid again.")
        for signed in order.ways[0].attempts:
            if self._chain.nonce_used(buyer, signed.bid.nonce):
                raise LostRace(
                    "nonce-used",
                    f"The nonce {signed.bid.nonce} of {text(buyer)} has been used.",
                    "Sign the bid again with a fresh nonce.",
                )

    def _best(self, entering: Sequence[BidOrder], at: int) -> Chosen | None:
        """What is left for a new order, in one of its ways, once all that rests was served."""
        by_id = {order.id: order for order in entering}
        for order in entering:
            self.book.apply(BidPlaced(order=order))
        try:
            matches = clear(self.book, at + INCLUSION_SECONDS).matches
        finally:
            for name in by_id:
                self.book.apply(BidRemoved(bid=name))
        found = (Chosen(match=one, placed=by_id[one.bid]) for one in matches if one.bid in by_id)
        return next(found, None)

    def _accept(self, order: Order, best: Chosen | None, wait: int, at: int) -> None:
        first, *others = (way.as_alternative() for way in order.ways)
        accepted = BidAccepted(
            job=order.id,
            document=first.document,
            attempts=first.attempts,
            attempt_ids=first.attempt_ids,
            accepted_at=at,
            wait_until=at + wait,
            alternatives=tuple(others),
            delegate=order.delegate,
        )
        with self._following_the_books():
            with self._books.transaction() as unit:
                for way in order.ways:
                    unit.keep_document(way.document, way.canonical)
                unit.record(accepted)
                planned = None if best is None else self._openings.plan(unit, best, accepted, at)
            if planned is not None:
                self._hold(planned)
        if planned is None:
            self._refresh(at)

    def _continue(self, order: Order, receipt: SignedReceipt | None, at: int) -> JobRow:
        """Plan the lease that takes the place of a running one, within that one's job."""
        way, bid = order.ways[0], order.bid
        previous = check_goes_on(self._books.queries, way)
        with self._following_the_books():
            with self._books.transaction() as unit:
                unit.keep_document(way.document, way.canonical)
                wish = self._continuing.plan(unit, previous, way.attempts[0], at, receipt)
                refund = refund_of(previous, wish.receipt.receipt.milliseconds)
                self._funds.check(bid.buyer, escrow_for(wish.rate, bid.duration), refund)
                planned = self._openings.planner.plan_next(unit, previous, wish, at)
            self._hold(planned)
        return self._job(planned.job)

    def _hold(self, planned: Plan) -> None:
        self._standing.take_out(planned.job)
        for lease, terms in planned.leases:
            self._standing.plan(lease, terms)

    def _clear(self, at: int) -> None:
        if at < self._paused_until():
            return
        for match in clear(self.book, at + INCLUSION_SECONDS).matches:
            placed = self.book.bid(match.bid)
            assert placed is not None
            row = self._job(placed.job)
            if row.state is not JobState.RESTING or match.bid not in next_bids(row):
                self._standing.take_out(row.job)
                continue
            with self._following_the_books():
                with self._books.transaction() as unit:
                    chosen = Chosen(match=match, placed=placed)
                    planned = self._openings.plan(unit, chosen, row, at)
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

    def _fail_plan(self, lease: LeaseId, reason: SkipReason, at: int) -> None:
        """`lease` is the plan's only one, or the first of its gang."""
        row = self._books.queries.lease(lease)
        if row is None or row.job is None or row.state is not LeaseState.PLANNED:
            return
        planned = self._openings.beside(row)
        with self._following_the_books():
            with self._books.transaction() as unit:
                unit.record(PlanFailed(job=row.job, lease=lease, reason=reason, at=at))
                if reason in HOPELESS and row.continues is None:
                    cause = f"The contract does not take the bid ({reason.name})."
                    unit.record(BidWithdrawn(job=row.job, code=_SKIPPED, cause=cause, at=at))
            for one in planned:
                self._standing.free(one.id)
        if row.continues is None:
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
        moment = min(at, rests_until(row)) + INCLUSION_SECONDS
        orders = self._standing.orders(self._standing.entry_of(row), moment)
        found = [explain(order, self.book) for order in orders]
        over = "The waiting time ran out."
        if not any(one.eligible for one in found):
            return f"{over} {NoMatch(found, self.book).cause}"
        if not self._funds.covered([row]):
            return f"{over} The buyer's balance does not cover the bid's limit."
        return f"{over} {row.cause}".rstrip()

    def _job(self, job: BidId) -> JobRow:
        row = self._books.queries.job(job)
        if row is None:
            raise Rejected("unknown-job", f"There is no job {text(job)}.", "Look at bingwang jobs.")
        return row


def _entry(order: Order) -> Entry:
    """The first attempt of a new order, behind all that rest."""
    ways = tuple((way.ids[0], way.bid, way.job) for way in order.ways)
    return Entry(job=order.id, sequence=_NEWEST, ways=ways)
