"""Open orders: what rests or is about to open, in memory, so that no submit reads them all again.

What buyers promised follows from it: `reserved` at the orders' limits for new ones, and for resting ones
what is left of the balance beside the escrows of planned leases, first come first.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from ledger.books.queries import Queries
from ledger.books.rows import JobRow, OpenOrder
from ledger.market.identity import NOBODY, Address, BidId


class OpenOrders:
    """Under the exchange's lock. A resting order's whole row is read when it is asked for."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._forget()

    def _forget(self) -> None:
        self._orders: dict[BidId, OpenOrder] = {}
        self._rows: dict[BidId, JobRow] = {}
        self._resting: dict[Address, list[tuple[int, BidId]]] = {}
        self._reserved: dict[Address, int] = defaultdict(int)
        self._by_delegate: dict[tuple[Address, Address], int] = defaultdict(int)

    def rebuild(self) -> None:
        """Everything anew from the books."""
        self._forget()
        for order in self._queries.open_orders():
            self._add(order)

    def update(self, jobs: Collection[BidId]) -> set[Address]:
        """Read these jobs again; the buyers whose orders they are, or were."""
        buyers = {self._orders[job].buyer for job in jobs if job in self._orders}
        found = self._queries.open_orders(jobs) if jobs else []
        for job in jobs:
            self._drop(job)
        for order in found:
            self._add(order)
        return buyers | {order.buyer for order in found}

    def put(self, row: JobRow, *, rests: bool) -> None:
        """A job's row as it was just written."""
        self._drop(row.job)
        self._add(
            OpenOrder(
                job=row.job,
                sequence=row.sequence,
                buyer=row.buyer,
                delegate=row.delegate,
                reserve=row.reserve,
                rests=rests,
            )
        )
        if rests:
            self._rows[row.job] = row

    def reserved(self, buyer: Address, delegate: Address | None = None) -> int:
        """Base units that the buyer's unopened orders would lock at their limits; of those alone that
        `delegate` signed where it is given."""
        if delegate is None:
            return self._reserved.get(buyer, 0)
        return self._by_delegate.get((buyer, delegate), 0)

    def buyers(self) -> list[Address]:
        """Who has resting orders."""
        return list(self._resting)

    def resting_of(self, buyer: Address) -> int:
        """How many of the buyer's orders rest."""
        return len(self._resting.get(buyer, ()))

    def rests(self, job: BidId) -> bool:
        """Whether the job rests."""
        order = self._orders.get(job)
        return order is not None and order.rests

    def row(self, job: BidId) -> JobRow:
        """The row of a resting job."""
        if job not in self._rows:
            row = self._queries.job(job)
            assert row is not None
            self._rows[job] = row
        return self._rows[job]

    def resting(self, buyers: Iterable[Address] | None = None) -> Iterator[JobRow]:
        """The resting orders of these buyers, or of all; each buyer's first come first."""
        for buyer in self.buyers() if buyers is None else buyers:
            for _, job in list(self._resting.get(buyer, ())):
                yield self.row(job)

    def unopened(self) -> set[BidId]:
        """Every job that rests or is about to open."""
        return set(self._orders)

    def covered(self, buyer: Address, left: int) -> Iterator[JobRow]:
        """Of the buyer's resting orders, first come first, those that `left` base units cover."""
        for row in self.resting([buyer]):
            if left >= row.reserve:
                left -= row.reserve
                yield row

    def _add(self, order: OpenOrder) -> None:
        self._orders[order.job] = order
        self._count(order, 1)
        if order.rests:
            insort(self._resting.setdefault(order.buyer, []), (order.sequence, order.job))

    def _drop(self, job: BidId) -> None:
        order = self._orders.pop(job, None)
        self._rows.pop(job, None)
        if order is None:
            return
        self._count(order, -1)
        if order.rests:
            left = self._resting[order.buyer]
            left.remove((order.sequence, job))
            if not left:
                del self._resting[order.buyer]

    def _count(self, order: OpenOrder, sign: int) -> None:
        _add_to(self._reserved, order.buyer, sign * order.reserve)
        if order.delegate != NOBODY:
            _add_to(self._by_delegate, (order.buyer, order.delegate), sign * order.reserve)


def _add_to(totals: dict[Address, int] | dict[tuple[Address, Address], int], key: object, more: int) -> None:
    sums: dict[object, int] = totals  # type: ignore[assignment]  # both are sums by their owner
    sums[key] = sums.get(key, 0) + more
    if not sums[key]:
        del sums[key]
