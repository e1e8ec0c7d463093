"""What the exchange asks of the books in bulk: one question for many orders, offers or leases at once.

The door of the market serves a gathering of orders in milliseconds, and takes up a market of a hundred
thousand offers after a restart; row by row through the object mapper either would take minutes.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import bindparam
from sqlalchemy import select as columns
from sqlmodel import col, select

from ledger.books.account_queries import Open
from ledger.books.journal import last_seq
from ledger.books.mapping import loads
from ledger.books.rows import OpenOrder, PlannedLease, StandingOffer
from ledger.books.tables import (
    BidRecord,
    DocumentRecord,
    EpochRecord,
    EventRecord,
    JobRecord,
    LeaseRecord,
    OfferRecord,
)
from ledger.market.bid import SignedBid
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.offer import Offer

T = TypeVar("T")
_AT_ONCE = 500
"""names in one question: SQLite takes 32,766, PostgreSQL plans fewer better"""
_UNOPENED = (JobState.RESTING.value, JobState.OPENING.value)
_SPENDING = ("NoncesCancelled", "LeaseOpened")
NONCES_A_WORD = 256
_JOBS = columns(col(BidRecord.bid), col(BidRecord.job)).where(
    col(BidRecord.bid).in_(bindparam("names", expanding=True))
)


class DoorQueries:
    """Read models in bulk; what the books do not know is absent from an answer."""

    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    def newest_entry(self) -> int:
        """The number of the journal's newest entry, 0 at first."""
        with self._open() as session:
            return last_seq(session)

    def jobs_of_bids(self, bids: Collection[BidId]) -> dict[BidId, BidId]:
        """The job of each of these bids that was sent before."""
        found: dict[BidId, BidId] = {}
        with self._open() as session:
            for some in parts(list(bids)):
                rows = session.connection().execute(_JOBS, {"names": some})
                found |= {BidId(bid): BidId(job) for bid, job in rows}
        return found

    def jobs_of_leases(self, leases: Collection[LeaseId]) -> set[BidId]:
        """The jobs that these leases are of."""
        found: set[BidId] = set()
        with self._open() as session:
            for some in parts(list(leases)):
                query = select(LeaseRecord.job).where(col(LeaseRecord.id).in_(some))
                found |= {BidId(job) for job in session.exec(query) if job is not None}
        return found

    def open_orders(self, jobs: Collection[BidId] | None = None) -> list[OpenOrder]:
        """The orders that rest or are about to open, first come first; of these `jobs` alone where given."""
        names = ("job", "sequence", "buyer", "delegate", "reserve", "state")
        query: Any = columns(*(getattr(JobRecord, name) for name in names))
        query = query.where(col(JobRecord.state).in_(_UNOPENED)).order_by(col(JobRecord.sequence))
        asked: Sequence[Sequence[BidId] | None] = [None] if jobs is None else parts(list(jobs))
        found: list[OpenOrder] = []
        with self._open() as session:
            for some in asked:
                wanted = query if some is None else query.where(col(JobRecord.job).in_(some))
                for job, sequence, buyer, delegate, reserve, state in session.execute(wanted):
                    found.append(
                        OpenOrder(
                            job=BidId(job),
                            sequence=sequence,
                            buyer=Address(buyer),
                            delegate=Address(delegate),
                            reserve=reserve,
                            rests=state == JobState.RESTING.value,
                        )
                    )
        return found

    def newest_orders(self, most: int) -> list[tuple[BidId, SignedBid, bytes]]:
        """Of the newest orders, the oldest first: the first bid's name, that bid and its document's body."""
        query: Any = (
            columns(col(BidRecord.bid), col(BidRecord.signed), col(DocumentRecord.body))
            .join(JobRecord, col(JobRecord.job) == BidRecord.job)
            .join(DocumentRecord, col(DocumentRecord.hash) == BidRecord.document)
            .where(col(BidRecord.alternative) == 0, col(BidRecord.attempt) == 0)
            .order_by(col(JobRecord.sequence).desc())
            .limit(most)
        )
        with self._open() as session:
            rows = session.execute(query).all()
        return [(BidId(name), loads(SignedBid, signed), body) for name, signed, body in reversed(rows)]

    def holding_leases(self) -> list[PlannedLease]:
        """The leases that hold capacity: planned, or open on the chain."""
        states = (LeaseState.PLANNED.value, LeaseState.ACTIVE.value)
        query = select(LeaseRecord.id, LeaseRecord.terms, LeaseRecord.state, LeaseRecord.continues).where(
            col(LeaseRecord.state).in_(states)
        )
        with self._open() as session:
            return [
                PlannedLease(
                    id=LeaseId(lease),
                    terms=loads(LeaseTerms, terms),
                    planned=state == LeaseState.PLANNED.value,
                    continues=continues is not None,
                )
                for lease, terms, state, continues in session.exec(query).all()
            ]

    def standing_offers(self, offers: Collection[OfferId] | None = None) -> Iterator[StandingOffer]:
        """Registered offers, cancelled and void ones included; of these `offers` alone where given."""
        query: Any = columns(*(getattr(OfferRecord, name) for name in ("id", "offer", "cancelled")))
        asked: Sequence[Sequence[OfferId] | None] = [None] if offers is None else parts(list(offers))
        with self._open() as session:
            epochs = {one.account: one.epoch for one in session.exec(select(EpochRecord)).all()}
            for some in asked:
                wanted = query if some is None else query.where(col(OfferRecord.id).in_(some))
                for name, body, cancelled in session.execute(wanted):
                    offer = loads(Offer, body)
                    void = offer.epoch != epochs.get(offer.provider, 0)
                    yield StandingOffer(id=OfferId(name), offer=offer, usable=not (cancelled or void))

    def offers_of(self, providers: Collection[Address]) -> set[OfferId]:
        """The offers that these providers registered."""
        found: set[OfferId] = set()
        with self._open() as session:
            for some in parts(list(providers)):
                query = select(OfferRecord.id).where(col(OfferRecord.provider).in_(some))
                found |= {OfferId(name) for name in session.exec(query)}
        return found

    def documents(self, names: Collection[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """Those of these documents that are known."""
        with self._open() as session:
            for some in parts(sorted(names)):
                query = select(DocumentRecord.hash, DocumentRecord.body)
                for name, body in session.exec(query.where(col(DocumentRecord.hash).in_(some))):
                    yield Digest(name), body

    def spent_nonces(self) -> Iterator[tuple[Address, int, int]]:
        """Of each surviving event that spent nonces: the account, the word (nonce // 256) and its bits."""
        query = select(EventRecord.name, EventRecord.body).where(
            col(EventRecord.name).in_(_SPENDING), col(EventRecord.rewound).is_(False)
        )
        with self._open() as session:
            for name, body in session.exec(query):
                plain = json.loads(body)
                if name == "LeaseOpened":
                    word, bit = divmod(plain["nonce"], NONCES_A_WORD)
                    yield Address(bytes.fromhex(plain["terms"]["buyer"][2:])), word, 1 << bit
                else:
                    yield Address(bytes.fromhex(plain["account"][2:])), plain["word"], plain["mask"]


def parts(items: Sequence[T]) -> list[Sequence[T]]:
    """The names in as many questions as they need."""
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
