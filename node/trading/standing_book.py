"""The matcher's book, kept in step with the chain, the journal and who is alive, change by change.

It holds nothing of its own: `rebuild` makes it anew from the books of the ledger, which is what happens at
the start, after a reorganisation, and where a change failed half way. In between it is told what was touched
(`node.trading.news`, `node.trading.presence`) and reads that alone again. What leases hold is counted in
`node.trading.committed`, orders wait in `node.trading.waiting`, offers are listed by `node.trading.listing`.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from ledger.books.queries import Queries
from ledger.books.rows import JobRow, OfferRow
from ledger.market.events import BlockRef
from ledger.market.identity import Address, BidId, LeaseId, OfferId
from ledger.market.job import job_from_plain
from ledger.market.lease import LeaseTerms
from ledger.market.offer_document import OfferDocument
from ledger.market.policy import Policy
from matcher.book import DemandStated, OfferDelisted, OfferListed
from matcher.bundle.recording import RecordedBook
from matcher.index.classes import TypicalDemand
from matcher.orders import BidOrder
from node.trading.arrivals import Arrivals
from node.trading.committed import Committed
from node.trading.listing import Listing, ReputationOf, newcomer, read_document
from node.trading.waiting import Entry, Waiting, entry_of, orders_of

NO_BLOCK = BlockRef(number=0, hash=bytes(32), parent=bytes(32), at=0)
"""what a node that has not followed a block yet draws by"""
_LEARNT_FROM = 1_024
"""the newest orders of the books, by which typical demand is told after a restart"""


class StandingBook:
    """One matcher book and the bookkeeping that applies each change once. Under the exchange's lock."""

    def __init__(self, queries: Queries, policy: Policy, reputation_of: ReputationOf = newcomer) -> None:
        self._queries = queries
        self._policy = policy
        self._listing = Listing(queries, reputation_of, self._list)
        self._arrivals = Arrivals()
        self.block = NO_BLOCK
        """the newest block that the node followed, as of the last `follow`"""
        self._empty()

    def _empty(self) -> None:
        self._listing.forget()
        self.book = RecordedBook(stake_bps=self._policy.stake_bps)
        self.stirred = True
        """whether something changed since `settle` that could serve an order which found nothing"""
        self._committed = Committed(self.book, self._policy, self._stir)
        self._waiting = Waiting(self.book)

    def _stir(self) -> None:
        self.stirred = True

    # from the books

    def rebuild(self) -> None:
        """Forget everything but what the ledger's books say; offers are listed by the next `follow`, once
        it is told who is alive."""
        self._empty()
        for lease in self._queries.holding_leases():
            if lease.planned:
                self._committed.plan(lease.id, lease.terms, continues=lease.continues)
            else:
                self._committed.open(lease.id, lease.terms)
        self._committed.stake({provider: stake.free for provider, stake in self._queries.stakes().items()})
        self._learn(None)
        self._state(self._arrivals.restart(self._newest_orders()))

    def _newest_orders(self) -> Iterable[BidOrder]:
        for name, signed, body in self._queries.newest_orders(_LEARNT_FROM):
            entry = Entry(job=name, sequence=0, ways=((name, signed.bid, job_from_plain(json.loads(body))),))
            yield from orders_of(entry, 0, NO_BLOCK)

    def reread(
        self, offers: Collection[OfferId], accounts: Iterable[Address], bumped: Collection[Address]
    ) -> None:
        """Read these offers, these accounts' stakes and the offers of accounts whose epoch was `bumped`."""
        for account in accounts:
            if account in self._committed.staked or self._listing.has(account):
                self._committed.stake({account: self._queries.stake(account).free})
        changed = set(offers) | (self._queries.offers_of(bumped) if bumped else set())
        if changed:
            self._learn(changed)

    def _learn(self, offers: Collection[OfferId] | None) -> None:
        for provider in self._listing.learn(offers):
            if provider not in self._committed.staked:
                free = 0 if offers is None else self._queries.stake(provider).free
                self._committed.stake({provider: free})

    def _list(self, change: OfferListed | OfferDelisted) -> None:
        self.book.apply(change)
        self.stirred = self.stirred or isinstance(change, OfferListed)

    # who takes part

    def follow(self, moved: Mapping[Address, frozenset[OfferId]], at: int) -> None:
        """It is `at`, and of these providers the agents are alive with these offers; stakes and capacity
        follow from what was told."""
        cursor = self._queries.cursor()
        self.block = NO_BLOCK if cursor is None else cursor[0]
        self._listing.follow(moved, at)

    def look_again(self, at: int) -> None:
        """What no fact tells: documents that came since, and reputations that moved with others' fees."""
        self._listing.look_again(at)

    def rescore(self, providers: Iterable[Address], at: int) -> None:
        """Ask for these providers' reputations again."""
        self._listing.rescore(providers, at)

    # stake and capacity

    def promised(self, buyer: Address) -> int:
        """Base units that the buyer's planned leases will lock."""
        return self._committed.promised(buyer)

    def plan(self, lease: LeaseId, terms: LeaseTerms, *, continues: bool = False) -> None:
        """A lease was planned; one that `continues` another takes over that one's stake."""
        self._committed.plan(lease, terms, continues=continues)

    def open(self, lease: LeaseId, terms: LeaseTerms) -> None:
        """A lease is open on the chain, which counts its stake itself."""
        self._committed.open(lease, terms)

    def free(self, lease: LeaseId) -> None:
        """A lease gives its capacity back; a second time changes nothing."""
        self._committed.free(lease)

    def fail(self, lease: LeaseId) -> None:
        """A plan failed, of this lease and of those that its gang planned beside it."""
        self._committed.fail(lease)

    # orders

    def accepted(self, orders: Iterable[BidOrder]) -> None:
        """These orders were taken into the books, each in its first way: they tell what is typical."""
        self._state(self._arrivals.arrived(orders))

    def _state(self, demand: TypicalDemand | None) -> None:
        if demand is not None and demand != self.book.demand:
            self.book.apply(DemandStated(demand=demand))

    def orders(self, entry: Entry, at: int) -> list[BidOrder]:
        """The entry as the matcher sees it at the time `at`: alternatives of one group."""
        for (name, _, _), signature in zip(entry.ways, entry.signatures, strict=False):
            self.book.sign(name, signature)
        return orders_of(entry, at, self.block)

    def next_orders(self, row: JobRow, at: int) -> list[BidOrder]:
        """The same of the next attempt of an accepted order."""
        return self.orders(entry_of(self._queries, row), at)

    def place(self, row: JobRow, at: int) -> None:
        """An order waits in the book with its next attempt; the same one twice changes nothing."""
        if not self._waiting.stands(row, self.block):
            self._waiting.place(row, self.next_orders(row, at))

    def wait(self, row: JobRow, orders: Sequence[BidOrder]) -> None:
        """A new order that found nothing waits, as it was cleared, at its place in the queue."""
        self._waiting.place_new(row, orders)

    def take_out(self, job: BidId) -> None:
        """An order waits no more, in none of its ways."""
        self._waiting.take_out(job)

    def waiting(self) -> set[BidId]:
        """The jobs that wait, in the book or set aside."""
        return self._waiting.jobs()

    def settle(self) -> None:
        """All that waits was cleared and found nothing."""
        self.stirred = False
        self._waiting.settle()

    def stir(self) -> None:
        """Everything that was set aside is to be looked at again, where anything changed; the next part of it
        waits in the book."""
        if self.stirred:
            self._waiting.stir()
        self._waiting.fetch()


def known_document(queries: Queries, row: OfferRow) -> OfferDocument | None:
    """The offer's document, or None while nobody brought it or where it is not an offer's."""
    body = queries.document(row.offer.document)
    return None if body is None else read_document(body)
