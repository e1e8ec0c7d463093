"""The exchange: the node's single writer. Whatever changes an order, a lease or the book goes through it.

One lock; each change is committed to the books first (facts and wishes in one transaction) and applied
to the matcher's book after. What the chain must do is left to the outbox as wishes; nothing here waits
for a transaction. Every method may be called twice with the same input.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from ledger.books.books import Books
from ledger.books.rows import JobRow, LeaseRow
from ledger.books.unit_of_work import Unit
from ledger.chain.typed_data import Domain, lease_id
from ledger.market.bid import Bid, SignedBid
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
from ledger.market.instructions import OpenLease
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import CANCELLED_BY_BUYER, WAIT_OVER, JobState, LeaseState
from ledger.market.money import escrow_for
from ledger.market.reasons import SkipReason
from matcher.book import Book
from matcher.clearing import Match, clear
from matcher.explanation import Explanation, explain
from matcher.orders import BidOrder
from node.admission import Order, read_job, replayed
from node.presence import Heartbeat, Presence
from node.refusal import NoMatch
from node.standing_book import StandingBook

_NEWEST = (1 << 62) - 1


class ChainView(Protocol):
    """What the exchange asks of the chain before it takes an order."""

    def balance_of(self, account: Address) -> int: ...

    def epoch_of(self, account: Address) -> int: ...

    def nonce_used(self, account: Address, nonce: int) -> bool: ...


class Exchange:
    """`address` is the node's own account: the matcher that bids name."""

    def __init__(
        self, books: Books, chain: ChainView, domain: Domain, address: Address, presence: Presence
    ) -> None:
        self._books = books
        self._chain = chain
        self.domain = domain
        self.address = address
        self.presence = presence
        self._standing = StandingBook(books.queries)
        self._lock = threading.RLock()

    def start(self, at: int) -> None:
        """Take up where the journal ended: book, capacity and resting orders."""
        with self._lock:
            self._standing.rebuild()
            self._refresh(at)

    @property
    def book(self) -> Book:
        """The matcher's book, to look at."""
        return self._standing.book

    def free_balance(self, buyer: Address) -> int:
        """Base units of the buyer in the market that no unopened order has reserved."""
        return max(0, self._chain.balance_of(buyer) - self._books.queries.reserved(buyer))

    def beat(self, provider: Address, heartbeat: Heartbeat) -> None:
        """An agent's word; the first of a fresh one puts its offers into the book at once."""
        with self._lock:
            known = self.presence.last(provider)
            self.presence.beat(provider, heartbeat)
            if known is None or known.offers != heartbeat.offers or known.draining != heartbeat.draining:
                self._refresh(heartbeat.at)

    def estimate(self, bid: Bid, document: object, at: int) -> Explanation:
        """What an order would get now; nothing is kept and no signature is needed."""
        job, _, _ = read_job(document)
        nameless = BidId(bytes(32))
        order = BidOrder(
            id=nameless,
            job=nameless,
            bid=bid,
            sequence=_NEWEST,
            arrived_at=at,
            allow=job.allow,
            deny=job.deny,
        )
        with self._lock:
            self._relist(at)
            return explain(order, self._standing.book)

    def submit(self, order: Order, wait: int, at: int) -> JobRow:
        """Accept an order: match it now, let it rest for `wait` seconds, or refuse it with the reasons."""
        self._check_chain(order)
        with self._lock:
            if self._books.queries.job(order.id) is not None:
                raise replayed(order.id)
            self._check_funds(order)
            self._relist(at)
            match = self._best(order, at)
            if match is None and wait == 0:
                raise self._no_match(order, at)
            self._accept(order, match, wait, at)
            self._clear(at)
            row = self._books.queries.job(order.id)
        assert row is not None
        return row

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
        """An agent's word on its job."""
        with self._lock:
            self._lease(fact.lease)
            with self._books.transaction() as unit:
                unit.record(fact)
            self._replace_retried(fact.lease, fact.at)

    def observe(self, facts: Sequence[ChainObserved | ChainRewound], unit: Unit) -> None:
        """Record what the follower saw, inside the caller's transaction, which also moves the cursor."""
        for fact in facts:
            unit.record(fact)

    def observed(self, facts: Iterable[ChainObserved | ChainRewound], at: int) -> list[LeaseOpened]:
        """Act on what was recorded: move capacity, serve retries; the leases that were opened."""
        opened: list[LeaseOpened] = []
        with self._lock:
            for fact in facts:
                if isinstance(fact, ChainRewound):
                    self._standing.rebuild()
                else:
                    opened.extend(self._apply(fact))
            self._refresh(at)
        return opened

    def fail_plans(self, failed: Iterable[tuple[LeaseId, SkipReason]], at: int) -> None:
        """The contract skipped planned matches: free their capacity and let their orders go on."""
        with self._lock:
            for lease, reason in failed:
                row = self._books.queries.lease(lease)
                if row is None or row.job is None or row.state is not LeaseState.PLANNED:
                    continue
                with self._books.transaction() as unit:
                    unit.record(PlanFailed(job=row.job, lease=lease, reason=reason, at=at))
                self._standing.free(lease)
            self._refresh(at)

    def lapse(self, at: int) -> None:
        """Orders whose waiting time is over leave the book, with the last reason why nothing matched."""
        with self._lock:
            self._refresh(at)
            for row in self._books.queries.resting():
                if min(row.wait_until, row.bid.start_by, row.bid.valid_until) < at:
                    self._record_withdrawal(row.job, WAIT_OVER, self._why_unmatched(row, at), at)

    def clear_round(self, at: int) -> int:
        """One clearing of all that rests; how many leases were planned."""
        with self._lock:
            self._relist(at)
            return self._clear(at)

    def retry(self, lease: LeaseId, at: int) -> None:
        """A lease was lost: its order may rest again for another provider."""
        with self._lock:
            self._replace_retried(lease, at)
            self._refresh(at)

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

    def _check_funds(self, order: Order) -> None:
        bid = order.bid
        needed = escrow_for(bid.limit_rate, bid.duration)
        held = self.free_balance(bid.buyer)
        if held < needed:
            raise Rejected(
                "insufficient-balance",
                f"The bid may lock up to {needed} base units, {held} are free.",
                "Deposit more (bingwang wallet deposit), or lower max_price or max_duration.",
                needed=str(needed),
                held=str(held),
            )

    def _best(self, order: Order, at: int) -> Match | None:
        found = explain(self._as_order(order, at), self._standing.book)
        if not found.eligible:
            return None
        best = found.eligible[0]
        return Match(bid=order.id, offer=best.offer, rate=best.rate)

    @staticmethod
    def _as_order(order: Order, at: int) -> BidOrder:
        return BidOrder(
            id=order.id,
            job=order.id,
            bid=order.bid,
            sequence=_NEWEST,
            arrived_at=at,
            allow=order.job.allow,
            deny=order.job.deny,
        )

    def _no_match(self, order: Order, at: int) -> NoMatch:
        return NoMatch(explain(self._as_order(order, at), self._standing.book), self._standing.book)

    def _accept(self, order: Order, match: Match | None, wait: int, at: int) -> None:
        accepted = BidAccepted(
            job=order.id,
            document=order.document,
            attempts=order.attempts,
            attempt_ids=order.ids,
            accepted_at=at,
            wait_until=at + wait,
        )
        with self._books.transaction() as unit:
            unit.keep_document(order.document, order.canonical)
            unit.record(accepted)
            plan = None
            if match is not None:
                plan = self._plan(match, order.id, 0, order.attempts[0], at)
                self._write_plan(unit, plan)
        if plan is not None:
            self._hold(plan)
        else:
            self._standing.place(self._job(order.id), at)

    def _plan(self, match: Match, job: BidId, attempt: int, signed: SignedBid, at: int) -> LeasePlanned:
        listed = self._standing.book.offer(match.offer)
        assert listed is not None
        bid = signed.bid
        terms = LeaseTerms(
            offer=match.offer,
            bid=match.bid,
            member=0,
            provider=listed.offer.provider,
            buyer=bid.buyer,
            signer=bid.signer,
            matcher=self.address,
            want=bid.want,
            rate=match.rate,
            duration=bid.duration,
        )
        wish = OpenLease(
            lease=lease_id(self.domain, terms),
            offer_id=match.offer,
            offer=listed.offer,
            signed=signed,
            rate=match.rate,
        )
        return LeasePlanned(job=job, attempt=attempt, wish=wish, terms=terms, at=at)

    @staticmethod
    def _write_plan(unit: Unit, plan: LeasePlanned) -> None:
        unit.record(plan)
        unit.wish(f"open:{plan.wish.lease.hex()}:{plan.at}", plan.wish, plan.at)

    def _hold(self, plan: LeasePlanned) -> None:
        self._standing.take_out(plan.job)
        self._standing.hold(plan.wish.lease, plan.terms.offer, plan.terms.want)

    def _clear(self, at: int) -> int:
        clearing = clear(self._standing.book, at)
        for match in clearing.matches:
            placed = self._standing.book.bid(match.bid)
            assert placed is not None
            row = self._job(placed.job)
            signed = row.attempts[row.next_attempt]
            plan = self._plan(match, row.job, row.next_attempt, signed, at)
            with self._books.transaction() as unit:
                self._write_plan(unit, plan)
            self._hold(plan)
        return len(clearing.matches)

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

    def _relist(self, at: int) -> None:
        self._standing.relist(self.presence.live_offers(at), at)

    def _refresh(self, at: int) -> None:
        """Offers as they live now, resting orders in the book, and a clearing."""
        self._relist(at)
        waiting = self._standing.waiting()
        resting = self._books.queries.resting()
        for gone in waiting - {row.job for row in resting}:
            self._standing.take_out(gone)
        for row in resting:
            if row.job not in waiting:
                self._standing.place(row, at)
        self._clear(at)

    def _replace_retried(self, lease: LeaseId, at: int) -> None:
        row = self._books.queries.lease(lease)
        job = None if row is None or row.job is None else self._books.queries.job(row.job)
        if job is not None and job.state is JobState.RESTING:
            self._standing.place(job, at)

    def _record_withdrawal(self, job: BidId, code: str, cause: str, at: int) -> None:
        with self._books.transaction() as unit:
            unit.record(BidWithdrawn(job=job, code=code, cause=cause, at=at))
        self._standing.take_out(job)

    def _why_unmatched(self, row: JobRow, at: int) -> str:
        placed = self._standing.book.bid(row.attempt_ids[row.next_attempt])
        if placed is None:
            return "The waiting time ran out."
        return (
            "The waiting time ran out. "
            + NoMatch(explain(placed, self._standing.book), self._standing.book).cause
        )

    def _job(self, job: BidId) -> JobRow:
        row = self._books.queries.job(job)
        if row is None:
            raise Rejected("unknown-job", f"There is no job {text(job)}.", "Look at bingwang jobs.")
        return row

    def _lease(self, lease: LeaseId) -> LeaseRow:
        row = self._books.queries.lease(lease)
        if row is None:
            raise Rejected("unknown-lease", f"There is no lease {text(lease)}.", "Look at bingwang jobs.")
        return row
