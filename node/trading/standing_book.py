"""The matcher's book, kept in step with the chain, the journal and who is alive.

It holds nothing of its own: `rebuild` makes it anew from the books of the ledger, which is what happens
at the start and after a reorganisation.
"""

import json

from ledger.books.queries import Queries
from ledger.books.rows import JobRow, OfferRow
from ledger.market.errors import MarketError
from ledger.market.identity import Address, BidId, LeaseId, OfferId
from ledger.market.job import Job, job_from_plain
from ledger.market.offer_document import OfferDocument, offer_document_from_plain
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    BidRemoved,
    Book,
    CapacityFreed,
    CapacityTaken,
    OfferDelisted,
    OfferListed,
)
from matcher.orders import BidOrder, OfferOrder


def order_of(row: JobRow, job: Job, at: int) -> BidOrder:
    """The row's next attempt as the matcher sees it at the time `at`."""
    attempt = row.next_attempt
    return BidOrder(
        id=row.attempt_ids[attempt],
        job=row.job,
        bid=row.attempts[attempt].bid,
        sequence=row.sequence,
        arrived_at=at,
        allow=job.allow,
        deny=job.deny,
        exclude=row.excluded,
    )


class StandingBook:
    """One matcher book and the bookkeeping that applies each capacity change once."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.book = Book()
        self._listed: set[OfferId] = set()
        self._holding: dict[LeaseId, tuple[OfferId, Quantities]] = {}
        self._placed: dict[BidId, BidId] = {}

    def rebuild(self) -> None:
        """Forget everything but what the ledger's books say; offers are listed by the next `relist`."""
        self.book = Book()
        self._listed.clear()
        self._holding.clear()
        self._placed.clear()
        for lease in self._queries.unclosed_leases():
            self.hold(lease.id, lease.terms.offer, lease.terms.want)

    def relist(self, live: set[tuple[Address, OfferId]], at: int) -> None:
        """List the offers that are live, valid, uncancelled and whose document is known; delist others.

        `live` pairs an offer with the provider whose agent named it; only the offer's own one counts."""
        wanted: dict[OfferId, OfferOrder] = {}
        for row in self._queries.offers(usable=True):
            takes_part = (row.offer.provider, row.id) in live and row.offer.valid_until > at
            document = known_document(self._queries, row) if takes_part else None
            if document is not None:
                wanted[row.id] = OfferOrder(id=row.id, offer=row.offer, domain=document.domain)
        for gone in self._listed - wanted.keys():
            self.book.apply(OfferDelisted(offer=gone))
        for name in wanted.keys() - self._listed:
            self.book.apply(OfferListed(order=wanted[name]))
        self._listed = set(wanted)

    def job_of(self, row: JobRow) -> Job:
        """The job document of an accepted order, which was checked when it was accepted."""
        body = self._queries.document(row.document)
        assert body is not None
        return job_from_plain(json.loads(body))

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
        name = row.attempt_ids[row.next_attempt]
        placed = self.book.bid(name) if self._placed.get(row.job) == name else None
        if placed is not None and placed.exclude == row.excluded:
            return
        self.take_out(row.job)
        self._placed[row.job] = name
        self.book.apply(BidPlaced(order=order_of(row, self.job_of(row), at)))

    def take_out(self, job: BidId) -> None:
        """An order waits no more."""
        placed = self._placed.pop(job, None)
        if placed is not None:
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
