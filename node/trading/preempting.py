"""Preempting: interruptible leases yield to a higher bid, with the notice that they were sold with.

What is decided is a fact in the books before any agent hears of it, so that a node which is killed in
between goes on where it was. The room of those that yielded is kept for the order that they yielded to, until
it is whole and that order is matched alone, or the order is gone, or an agent did not let go in time. Agents
are told again and again while they run; they believe nothing but their own job document, so a node that lies
about a higher bid costs a buyer of interruptible time that time, and nobody else anything.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Final

from ledger.books.books import Books
from ledger.books.rows import JobRow, LeaseRow
from ledger.market.events import LeaseClosed, LeaseOpened
from ledger.market.facts import LeaseYields
from ledger.market.identity import Address, BidId, LeaseId, OfferId, text
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.policy import Policy
from matcher.book import Book, CapacityFreed, CapacityTaken
from matcher.orders import BidOrder
from matcher.preemption.choice import choose, fits
from matcher.preemption.rooms import rooms
from matcher.preemption.running import Preemption, Running
from node.trading.alone import alone
from node.trading.interruptible import goes_on, order_of, running_of
from node.trading.resting import INCLUSION_SECONDS, rests_until

PATIENCE_SECONDS: Final = 180
"""how long after its notice a victim's room is waited for: its outputs and its last receipt take time"""
_MOST_ORDERS: Final = 2
"""so many orders look for leases that yield in one round; the others follow in the next"""
_MOST_RUNNING: Final = 128
"""so many leases are looked at for one order, those with least to lose first"""
_MOST_LOOKED: Final = 4_096
_AGAIN_SECONDS: Final = 10
"""how often an order that found nobody looks again: what others lose falls with time"""

Tell = Callable[[Address, str], None]
"""how a provider's agents are told something; it may get lost"""


def nobody(_provider: Address, _message: str) -> None:
    """Who is told where no agent listens."""


@dataclass(slots=True, kw_only=True)
class _Claim:
    """The room that an order waits for: `left` still run there, `gone` have closed, and the room of `held` is
    kept as taken."""

    order: BidOrder
    offer: OfferId
    until: int
    left: set[LeaseId]
    gone: dict[LeaseId, Running] = field(default_factory=dict)
    held: dict[LeaseId, Running] = field(default_factory=dict)
    ready: bool = False


class Preempting:
    """Under the exchange's lock. `book_of` gives the matcher's book as it is now."""

    def __init__(
        self, books: Books, book_of: Callable[[], Book], policy: Policy, tell: Tell = nobody
    ) -> None:
        self._books = books
        self._book_of = book_of
        self._policy = policy
        self._tell = tell
        self._forget()

    def _forget(self) -> None:
        self._running: dict[LeaseId, Running] = {}
        self._told: dict[LeaseId, tuple[Address, str]] = {}
        self._claims: dict[BidId, _Claim] = {}
        self._looked: dict[BidId, tuple[int, int]] = {}
        self._changes = 0

    def rebuild(self, at: int) -> None:
        """Everything anew from the ledger's books, for a book that was made anew too."""
        self._forget()
        queries = self._books.queries
        for row in queries.leases(states=(LeaseState.ACTIVE,)):
            self._learn(row)
        by_order: dict[BidId, list[LeaseRow]] = {}
        for row in queries.yielding_leases():
            assert row.yields is not None
            if at <= row.yields.until + PATIENCE_SECONDS:
                by_order.setdefault(row.yields.by, []).append(row)
        for by, rows in by_order.items():
            self._claim_again(by, rows)

    def _claim_again(self, by: BidId, rows: Collection[LeaseRow]) -> None:
        order = order_of(self._books.queries, by)
        victims = [
            one for row in rows if (one := running_of(self._books.queries, self._policy, row)) is not None
        ]
        if order is None or not victims:
            return
        gone = {row.id for row in rows if row.state is LeaseState.CLOSED}
        until = max(row.yields.until for row in rows if row.yields is not None)
        # A gang stands on several offers; the order's own is the one on which the most of them stand.
        offers = [one.offer for one in victims]
        self._keep(order, max(sorted(set(offers)), key=offers.count), until, victims)
        for one in victims:
            if one.lease in gone:
                self._let_go(one.lease, one)

    def observed(self, events: Iterable[object]) -> None:
        """What the chain did, in its order, after the book was told: leases open and close. Repeats change
        nothing."""
        for event in events:
            if isinstance(event, LeaseOpened):
                row = self._books.queries.lease(event.id)
                if row is not None and row.state is LeaseState.ACTIVE:
                    self._learn(row)
            elif isinstance(event, LeaseClosed):
                self._let_go(event.lease, self._running.pop(event.lease, None))

    def ready(self, at: int) -> bool:
        """Whether the room of some orders is whole: it is free in the book from now on, and must go to them
        first (`alone`). Claims that are over are dropped, with what was kept for them."""
        for job, claim in list(self._claims.items()):
            if (
                claim.ready
                or at > claim.until + PATIENCE_SECONDS
                or order_of(self._books.queries, claim.order.id) is None
            ):
                self._drop(job)
                continue
            self._hold(claim)
            live = self._book_of().offer(claim.offer) is not None
            if live and (not claim.left or self._fits(claim, at)):
                self._release(claim)
                claim.ready = True
        return any(claim.ready for claim in self._claims.values())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The book holds no bids but those whose room is whole, for as long as the block lasts; their claims
        are over after it."""
        first = {job: claim for job, claim in self._claims.items() if claim.ready}
        try:
            with alone(self._book_of(), [claim.order for claim in first.values()]):
                yield
        finally:
            for job, claim in first.items():
                if self._claims.get(job) is claim:
                    self._drop(job)

    def look(self, at: int) -> None:
        """The bids in the book found nothing: interruptible leases may have to yield to them."""
        if len(self._running) == len(self._told):
            return
        lowest = min(one.limit for one in self._running.values())
        higher = [
            order
            for order in self._book_of().bids()
            if order.bid.limit_rate > lowest and self._may_look(order, at)
        ]
        for order in nsmallest(_MOST_ORDERS, higher, key=self._turn_of):
            self._looked[order.id] = (self._changes, at // _AGAIN_SECONDS)
            self._look(order, at)
        if len(self._looked) > _MOST_LOOKED:
            self._looked.clear()

    def tell_again(self) -> None:
        """Tell the agents of leases that yield once more: what they were told may have got lost."""
        for provider, message in self._told.values():
            self._tell(provider, message)

    def _turn_of(self, order: BidOrder) -> tuple[int, int, bytes]:
        """Who looked longest ago comes first, then who is first in the queue."""
        return self._looked.get(order.id, (-1, 0))[0], order.sequence, order.id

    def _may_look(self, order: BidOrder, at: int) -> bool:
        if order.members != 1 or order.start_at > at or order.job in self._claims:
            return False
        return self._looked.get(order.id) != (self._changes, at // _AGAIN_SECONDS)

    def _look(self, order: BidOrder, at: int) -> None:
        row = self._books.queries.job(order.job)
        if row is None or row.state is not JobState.RESTING or order.job in self._claims:
            return
        free = self._candidates(order, at)
        found = choose(
            order,
            rooms(order, self._book_of(), {one.offer for one in free}, at + INCLUSION_SECONDS),
            free,
            at,
            latest=rests_until(row),
            spared=self._yielded_to(row),
        )
        if found is not None:
            self._preempt(order, found, at)

    def _candidates(self, order: BidOrder, at: int) -> list[Running]:
        """Of the leases that may yield those with least to lose, each with all that yields with it."""
        able = [
            one
            for one in self._running.values()
            if one.lease not in self._told and one.limit < order.bid.limit_rate
        ]
        least = nsmallest(_MOST_RUNNING, able, key=lambda one: (one.loss(at), one.lease))
        bids = {one.bid for one in least}
        return [one for one in self._running.values() if one.bid in bids and one.lease not in self._told]

    def _yielded_to(self, row: JobRow) -> frozenset[BidId]:
        """The jobs to which this one yielded before."""
        queries = self._books.queries
        leases = [queries.lease(lease) for lease in row.leases]
        told = [lease.yields.by for lease in leases if lease is not None and lease.yields is not None]
        return frozenset(job for by in told if (job := queries.job_of_bid(by)) is not None)

    def _preempt(self, order: BidOrder, found: Preemption, at: int) -> None:
        """Commit, keep what will be free, tell the agents."""
        with self._books.transaction() as unit:
            rows = [unit.queries.lease(one.lease) for one in found.victims]
            ending = [
                one.lease
                for one, row in zip(found.victims, rows, strict=True)
                if row is None or not goes_on(unit.queries, row)
            ]
            if ending:
                for lease in ending:
                    del self._running[lease]
                self._changes += 1
                return
            for one in found.victims:
                unit.record(LeaseYields(lease=one.lease, by=order.id, at=at, until=at + one.notice))
        self._keep(order, found.offer, found.until, found.victims)
        for one, row in zip(found.victims, rows, strict=True):
            assert row is not None
            self._announce(row, one.notice)

    def _keep(self, order: BidOrder, offer: OfferId, until: int, victims: Collection[Running]) -> None:
        """The order's claim on the room of its victims."""
        here = {one.lease for one in victims if one.offer == offer}
        self._claims[order.job] = _Claim(order=order, offer=offer, until=until, left=here)
        self._changes += 1

    def _announce(self, row: LeaseRow, notice: int) -> None:
        message = json.dumps({"kind": "yield", "lease": text(row.id), "notice": notice})
        self._told[row.id] = (row.terms.provider, message)
        self._tell(row.terms.provider, message)

    def _let_go(self, lease: LeaseId, one: Running | None) -> None:
        """A lease closed. What it held is kept for the order that it yielded to, as far as it is free."""
        self._told.pop(lease, None)
        if one is None:
            return
        self._changes += 1
        for claim in self._claims.values():
            if lease in claim.left:
                claim.left.discard(lease)
                claim.gone[lease] = one
                self._hold(claim)

    def _hold(self, claim: _Claim) -> None:
        """Count as taken what has come free; of an offer that is not live, once it is."""
        for lease, one in claim.gone.items():
            if lease not in claim.held and self._is_free(one):
                claim.held[lease] = one
                self._book_of().apply(CapacityTaken(offer=one.offer, want=one.want, count=one.count))

    def _is_free(self, one: Running) -> bool:
        book = self._book_of()
        listed, devices = book.offer(one.offer), book.devices(one.offer)
        if listed is None or not one.want.within(listed.offer.capacity.less(book.used(one.offer))):
            return False
        return (
            not one.count
            or devices is None
            or devices.places(one.count, one.share, one.device_memory) is not None
        )

    def _fits(self, claim: _Claim, at: int) -> bool:
        """Whether what is free and what is kept are enough already."""
        found = rooms(claim.order, self._book_of(), [claim.offer], at + INCLUSION_SECONDS)
        return any(fits(claim.order, room, tuple(claim.held.values())) for room in found)

    def _release(self, claim: _Claim) -> None:
        for one in claim.held.values():
            self._book_of().apply(CapacityFreed(offer=one.offer, want=one.want, count=one.count))
        claim.held.clear()

    def _drop(self, job: BidId) -> None:
        claim = self._claims.pop(job, None)
        if claim is not None:
            self._release(claim)
            self._changes += 1

    def _learn(self, row: LeaseRow) -> None:
        one = running_of(self._books.queries, self._policy, row)
        if one is None or row.id in self._running:
            return
        self._running[row.id] = one
        self._changes += 1
        if row.yields is not None:
            self._announce(row, one.notice)
