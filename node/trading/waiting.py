"""Waiting: the orders that wait in the matcher's book, or beside it where nothing could serve them yet.

A clearing takes the longer the more orders wait, and all of the door waits with it. So where many found
nothing they are set aside; once something changed that could serve them they come back a part at a time:
those with the highest limits each time, and the others by turns, so that each is looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice

from ledger.books.queries import Queries
from ledger.books.rows import JobRow
from ledger.market.bid import Bid
from ledger.market.events import BlockRef
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest
from ledger.market.job import Job
from matcher.book import BidPlaced, BidRemoved
from matcher.bundle.recording import RecordedBook
from matcher.orders import BidOrder
from node.trading.admission import MOST_ALTERNATIVES, admitted_job
from node.trading.bid_orders import Queued, bid_order

SETTLED_FROM = 128
"""so many orders may rest in the book without being set aside"""
BEST_AT_ONCE, OTHERS_AT_ONCE = 64, 64
"""of those that were set aside, how many come back for one clearing: by their limits, and by turns"""


def seed_of(bid: BidId, block: BlockRef) -> Digest:
    """What the providers of replicas are drawn by: nobody chose the bid and the block together."""
    return Digest(sha256(bid + block.hash).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt of an order as it enters the book: each way's bid and its job, the most wanted first.
    `sequence` is the order's number in the queue, `exclude` the providers that get it no more,
    `signatures` those of the bids, where they are signed."""

    job: BidId
    sequence: int
    ways: tuple[tuple[BidId, Bid, Job], ...]
    exclude: frozenset[Address] = frozenset()
    signatures: tuple[bytes, ...] = ()


def next_bids(row: JobRow) -> tuple[BidId, ...]:
    """The bids of an order's next attempt, one a way."""
    return tuple(way.attempt_ids[row.next_attempt] for way in row.ways)


def entry_of(queries: Queries, row: JobRow) -> Entry:
    """The next attempt of an accepted order; its documents were checked when it was accepted."""
    number = row.next_attempt
    return Entry(
        job=row.job,
        sequence=row.sequence,
        ways=tuple(
            (way.attempt_ids[number], way.attempts[number].bid, admitted_job(queries, way.document))
            for way in row.ways
        ),
        exclude=row.excluded,
        signatures=tuple(way.attempts[number].signature for way in row.ways),
    )


def orders_of(entry: Entry, at: int, block: BlockRef) -> list[BidOrder]:
    """The entry as the matcher sees it at the time `at`: alternatives of one group."""
    return [
        bid_order(
            name,
            bid,
            job,
            Queued(
                job=entry.job,
                sequence=entry.sequence * MOST_ALTERNATIVES + place,
                arrived_at=at,
                exclude=entry.exclude,
                seed=seed_of(name, block) if bid.replicated else NO_DIGEST,
            ),
        )
        for place, (name, bid, job) in enumerate(entry.ways)
    ]


class Waiting:
    """Of one book, which it tells. Under the exchange's lock."""

    def __init__(self, book: RecordedBook) -> None:
        self._book = book
        self._placed: dict[BidId, tuple[BidId, ...]] = {}
        self._excluded: dict[BidId, frozenset[Address]] = {}
        self._aside: dict[BidId, list[BidOrder]] = {}
        self._best: list[BidId] = []
        self._turns: dict[BidId, None] = {}
        self._settled = True

    def jobs(self) -> set[BidId]:
        """The jobs that wait, in the book or set aside."""
        return self._placed.keys() | self._aside.keys()

    def stands(self, row: JobRow, block: BlockRef) -> bool:
        """Whether the row's next attempt waits just so; replicas are drawn anew with each block."""
        names = next_bids(row)
        if self._excluded.get(row.job) != row.excluded:
            return False
        orders = self._aside.get(row.job)
        if orders is None:
            if self._placed.get(row.job) != names:
                return False
            orders = self._in_book(names)
        return tuple(order.id for order in orders) == names and all(
            not order.replicated or order.seed == seed_of(order.id, block) for order in orders
        )

    def place(self, row: JobRow, orders: Sequence[BidOrder]) -> None:
        """The row's next attempt waits so."""
        self.take_out(row.job)
        self._excluded[row.job] = row.excluded
        self._place(row.job, orders)

    def place_new(self, row: JobRow, orders: Sequence[BidOrder]) -> None:
        """A new order that found nothing waits, as it was cleared, at its place in the queue."""
        first = row.sequence * MOST_ALTERNATIVES
        self.place(row, [replace(order, sequence=first + place) for place, order in enumerate(orders)])

    def _place(self, job: BidId, orders: Sequence[BidOrder]) -> None:
        self._placed[job] = tuple(order.id for order in orders)
        for order in orders:
            self._book.apply(BidPlaced(order=order))

    def take_out(self, job: BidId) -> None:
        """An order waits no more, in none of its ways."""
        self._aside.pop(job, None)
        self._turns.pop(job, None)
        self._excluded.pop(job, None)
        self._leave(job)

    def _in_book(self, names: Sequence[BidId]) -> list[BidOrder]:
        return [order for name in names if (order := self._book.bid(name)) is not None]

    def _leave(self, job: BidId) -> None:
        for placed in self._placed.pop(job, ()):
            self._book.apply(BidRemoved(bid=placed))

    def settle(self) -> None:
        """All that waits was cleared and found nothing. Where that is many, orders of one member are set
        aside until something could serve them: whatever comes after them cannot change that. Gangs stay,
        since room may be kept for them, and so does what is to start later."""
        self._settled = True
        if len(self._placed) < SETTLED_FROM and not self._turns:
            return
        for job, names in list(self._placed.items()):
            orders = self._in_book(names)
            if all(order.members == 1 and not order.start_at for order in orders):
                self._leave(job)
                self._aside[job] = orders

    def stir(self) -> None:
        """Everything that was set aside is to be looked at again."""
        ranked = sorted(self._aside, key=lambda job: _rank(self._aside[job]))
        self._best = ranked[:BEST_AT_ONCE]
        for job in ranked:
            self._turns.setdefault(job)

    def fetch(self) -> None:
        """The next ones that are to be looked at again wait in the book, once those before them settled."""
        if not self._settled or not self._turns:
            return
        self._settled = False
        for job in self._best:
            self._turns.pop(job, None)
        due, self._best = [*self._best, *islice(self._turns, OTHERS_AT_ONCE)], []
        for job in due:
            self._turns.pop(job, None)
            orders = self._aside.pop(job, None)
            if orders is not None:
                self._place(job, orders)


def _rank(orders: Sequence[BidOrder]) -> tuple[int, int]:
    """The higher limit first, then who came first."""
    return -max(order.bid.limit_rate for order in orders), min(order.sequence for order in orders)
