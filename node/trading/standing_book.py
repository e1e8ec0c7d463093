"""The matcher's book, kept in step with the chain, the journal and who is alive.

It holds nothing of its own: `rebuild` makes it anew from the books of the ledger, which is what happens
at the start and after a reorganisation.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from ledger.books.queries import Queries
from ledger.books.rows import JobRow, OfferRow
from ledger.market.bid import Bid
from ledger.market.errors import MarketError
from ledger.market.events import BlockRef
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.job import Job, job_from_plain
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import LeaseState
from ledger.market.money import escrow_for
from ledger.market.offer_document import OfferDocument, offer_document_from_plain
from ledger.market.policy import Policy
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    BidRemoved,
    Book,
    CapacityFreed,
    CapacityTaken,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)
from matcher.orders import BidOrder, OfferOrder
from node.trading.admission import MOST_ALTERNATIVES

ReputationOf = Callable[[Address, int], int]
"""a provider's reputation at a moment, per mille"""
NO_BLOCK = BlockRef(number=0, hash=bytes(32), parent=bytes(32), at=0)
"""what a node that has not followed a block yet draws by"""


def newcomer(_provider: Address, _at: int) -> int:
    """The reputation of a provider of whom nothing is known."""
    return 0


def seed_of(bid: BidId, block: BlockRef) -> Digest:
    """What the providers of replicas are drawn by: nobody chose the bid and the block together."""
    return Digest(sha256(bid + block.hash).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt of an order as it enters the book: each way's bid and job, the most wanted first.
    `sequence` is the order's number in the queue, `exclude` the providers that get it no more."""

    job: BidId
    sequence: int
    ways: tuple[tuple[BidId, Bid, Job], ...]
    exclude: frozenset[Address] = frozenset()


def next_bids(row: JobRow) -> tuple[BidId, ...]:
    """The bids of an order's next attempt, one a way."""
    return tuple(way.attempt_ids[row.next_attempt] for way in row.ways)


class StandingBook:
    """One matcher book and the bookkeeping that applies each change of capacity and stake once."""

    def __init__(self, queries: Queries, policy: Policy, reputation_of: ReputationOf = newcomer) -> None:
        self._queries = queries
        self._policy = policy
        self._reputation_of = reputation_of
        self.block = NO_BLOCK
        """the newest block that the node followed, as of the last `relist`"""
        self._empty()

    def _empty(self) -> None:
        self.book = Book(stake_bps=self._policy.stake_bps)
        self._listed: dict[OfferId, int] = {}
        self._stakes: dict[Address, int] = {}
        self._holding: dict[LeaseId, tuple[OfferId, Quantities]] = {}
        self._placed: dict[BidId, tuple[BidId, ...]] = {}

    def rebuild(self) -> None:
        """Forget everything but what the ledger's books say; offers are listed by the next `relist`."""
        self._empty()
        for lease in self._queries.unclosed_leases():
            self.hold(lease.id, lease.terms.offer, lease.terms.want)

    def relist(self, live: set[tuple[Address, OfferId]], at: int) -> None:
        """List the offers that are live, valid, uncancelled and whose document is known; delist others.
        Stakes and the newest block are those of now too.

        `live` pairs an offer with the provider whose agent named it; only the offer's own one counts."""
        cursor = self._queries.cursor()
        self.block = NO_BLOCK if cursor is None else cursor[0]
        self._tell_stakes()
        wanted: dict[OfferId, OfferOrder] = {}
        for row in self._queries.offers(usable=True):
            takes_part = (row.offer.provider, row.id) in live and row.offer.valid_until > at
            document = known_document(self._queries, row) if takes_part else None
            if document is not None:
                reputation = self._reputation_of(row.offer.provider, at)
                wanted[row.id] = OfferOrder(
                    id=row.id, offer=row.offer, domain=document.domain, reputation=reputation
                )
        for gone in self._listed.keys() - wanted.keys():
            self.book.apply(OfferDelisted(offer=gone))
        for name, order in wanted.items():
            if self._listed.get(name) != order.reputation:
                self.book.apply(OfferListed(order=order))
        self._listed = {name: order.reputation for name, order in wanted.items()}

    def _tell_stakes(self) -> None:
        """What the chain says is free, less the locks of leases that are planned and not open yet."""
        free: dict[Address, int] = defaultdict(int, dict.fromkeys(self._stakes, 0))
        for provider, stake in self._queries.stakes().items():
            free[provider] = stake.free
        for lease in self._queries.leases(states=(LeaseState.PLANNED,)):
            if lease.continues is None:
                free[lease.terms.provider] -= self._lock_of(lease.terms)
        for provider, amount in free.items():
            self._tell_stake(provider, max(0, amount))

    def _tell_stake(self, provider: Address, free: int) -> None:
        if self._stakes.get(provider) != free:
            self._stakes[provider] = free
            self.book.apply(StakeChanged(provider=provider, free=free))

    def _lock_of(self, terms: LeaseTerms) -> int:
        return self._policy.lock_for(escrow_for(terms.rate, terms.duration))

    def entry_of(self, row: JobRow) -> Entry:
        """The next attempt of an accepted order; its documents were checked when it was accepted."""
        number = row.next_attempt
        ways = []
        for way in row.ways:
            body = self._queries.document(way.document)
            assert body is not None
            job = job_from_plain(json.loads(body))
            ways.append((way.attempt_ids[number], way.attempts[number].bid, job))
        return Entry(job=row.job, sequence=row.sequence, ways=tuple(ways), exclude=row.excluded)

    def orders(self, entry: Entry, at: int) -> list[BidOrder]:
        """The entry as the matcher sees it at the time `at`: alternatives of one group."""
        return [
            BidOrder(
                id=name,
                job=entry.job,
                bid=bid,
                sequence=entry.sequence * MOST_ALTERNATIVES + place,
                arrived_at=at,
                allow=job.allow,
                deny=job.deny,
                exclude=entry.exclude,
                min_reputation=job.min_reputation,
                seed=seed_of(name, self.block) if bid.replicated else NO_DIGEST,
                group=entry.job,
            )
            for place, (name, bid, job) in enumerate(entry.ways)
        ]

    def plan(self, lease: LeaseId, terms: LeaseTerms) -> None:
        """A lease was planned: it takes capacity, and stake until the chain says so itself."""
        if lease not in self._holding:
            left = self.book.stake(terms.provider) - self._lock_of(terms)
            self._tell_stake(terms.provider, max(0, left))
        self.hold(lease, terms.offer, terms.want)

    def hold(self, lease: LeaseId, offer: OfferId, want: Quantities) -> None:
        """A lease, planned or open, takes capacity; a second time changes nothing."""
        if lease not in self._holding:
            self._holding[lease] = (offer, want)
            self.book.apply(CapacityTaken(offer=offer, want=want))

    def free(self, lease: LeaseId) -> None:
        """A lease gives its capacity back; a second time changes nothing."""
        held = self._holding.pop(lease, None)
        if held is not None:
            self.book.apply(CapacityFreed(offer=held[0], want=held[1]))

    def place(self, row: JobRow, at: int) -> None:
        """An order waits in the book with its next attempt; the same one twice changes nothing."""
        if self._stands(row):
            return
        self.take_out(row.job)
        orders = self.orders(self.entry_of(row), at)
        self._placed[row.job] = tuple(order.id for order in orders)
        for order in orders:
            self.book.apply(BidPlaced(order=order))

    def _stands(self, row: JobRow) -> bool:
        """Whether the row's next attempt waits just so; replicas are drawn anew with each block."""
        names = next_bids(row)
        if self._placed.get(row.job) != names:
            return False
        placed = [self.book.bid(name) for name in names]
        return all(
            order is not None
            and order.exclude == row.excluded
            and (not order.replicated or order.seed == seed_of(order.id, self.block))
            for order in placed
        )

    def take_out(self, job: BidId) -> None:
        """An order waits no more, in none of its ways."""
        for placed in self._placed.pop(job, ()):
            self.book.apply(BidRemoved(bid=placed))

    def waiting(self) -> set[BidId]:
        """The jobs that wait in the book."""
        return set(self._placed)


def known_document(queries: Queries, row: OfferRow) -> OfferDocument | None:
    """The offer's document, or None while nobody brought it or where it is not an offer's."""
    body = queries.document(row.offer.document)
    if body is None:
        return None
    try:
        return offer_document_from_plain(json.loads(body))
    except MarketError:
        return None
