"""What readers ask of metered usage: a lease's lines, their roots, and what the chain paid for them."""

from sqlmodel import col, select

from ledger.books.account_queries import Open
from ledger.books.mapping import event_from, loads
from ledger.books.rows import EventRow
from ledger.books.tables import EventRecord, UsageRecord
from ledger.market.events import BlockRef
from ledger.market.facts import UsageReported
from ledger.market.identity import Digest, LeaseId, text


class UsageQueries:
    """Reports in the order of their arrival; those with a number are their lease's lines."""

    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    def usage(self, lease: LeaseId) -> list[UsageReported]:
        """Every usage line of a lease, in the order of arrival."""
        query = select(UsageRecord.body).where(UsageRecord.lease == lease).order_by(col(UsageRecord.seq))
        with self._open() as session:
            return [loads(UsageReported, body) for body in session.exec(query).all()]

    def usage_lines(self, lease: LeaseId, first: int = 0, limit: int | None = None) -> list[UsageReported]:
        """The lease's lines from number `first` on, in their order; those of its tree alone."""
        query = (
            select(UsageRecord.body)
            .where(UsageRecord.lease == lease, col(UsageRecord.sequence) >= first)
            .order_by(col(UsageRecord.sequence))
            .limit(limit)
        )
        with self._open() as session:
            return [loads(UsageReported, body) for body in session.exec(query).all()]

    def is_evidence(self, lease: LeaseId, evidence: Digest) -> bool:
        """Whether some report of the lease's usage had this evidence."""
        query = select(UsageRecord.seq).where(UsageRecord.lease == lease, UsageRecord.evidence == evidence)
        with self._open() as session:
            return session.exec(query.limit(1)).first() is not None

    def settlements(self, lease: LeaseId) -> list[EventRow]:
        """What the chain paid on a lease, oldest first; rewound payments left out."""
        query = (
            select(EventRecord)
            .where(EventRecord.subject == f"lease:{text(lease)}", EventRecord.name == "UsageSettled")
            .where(col(EventRecord.rewound).is_(False))
            .order_by(col(EventRecord.seq))
        )
        with self._open() as session:
            return [event_row(record) for record in session.exec(query).all()]


def event_row(record: EventRecord) -> EventRow:
    """One event as an explorer lists it."""
    block = BlockRef(
        number=record.block_number, hash=record.block_hash, parent=record.block_parent, at=record.block_at
    )
    return EventRow(
        seq=record.seq,
        event=event_from(record.body),
        block=block,
        log_index=record.log_index,
        transaction=record.transaction_hash,
        rewound=record.rewound,
    )
