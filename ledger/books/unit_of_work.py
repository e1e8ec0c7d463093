"""One unit of work: facts, wishes, documents and the cursor become durable together, or not at all.

That is what makes kill -9 harmless: a wish cannot outlive a lost fact, nor the cursor pass an event that
was not recorded.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from ledger.books.bundles import BundleStore
from ledger.books.journal import append, repeat_of
from ledger.books.mapping import dumps
from ledger.books.opening import Opening, known_leases, open_all
from ledger.books.outbox import reopen_above
from ledger.books.projections.project import project
from ledger.books.queries import Queries
from ledger.books.rows import JobRow
from ledger.books.tables import CursorRecord, DocumentRecord, IntentRecord
from ledger.market.events import BlockRef
from ledger.market.facts import ChainRewound, Fact
from ledger.market.identity import Digest, LeaseId
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState

_WISHED = select(IntentRecord.id).where(col(IntentRecord.key) == bindparam("key"))


class Unit:
    """An open transaction of the single writer; use it inside its `with` block only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.queries = Queries(lambda: nullcontext(session))
        """reads that see what this unit wrote"""
        self.bundles = BundleStore(session)
        """the epochs that the matcher published"""

    def record(self, fact: Fact) -> int:
        """Journal a fact and move the projections; its number, the earlier one's where it is a repeat.

        What the outbox saw in blocks that vanish is in flight again at the same moment.
        """
        if isinstance(fact, ChainRewound):
            reopen_above(self._session, fact.to.number)
        known = repeat_of(self._session, fact)
        if known is not None:
            return known
        seq = append(self._session, fact)
        project(self._session, seq, fact)
        self._session.flush()
        return seq

    def open_all(self, openings: Sequence[Opening]) -> list[JobRow]:
        """Record new orders with their plans and wishes, all at once; the jobs as they stand then.

        None of the bids and planned leases may be known (`known_leases`).
        """
        return open_all(self._session, openings)

    def known_leases(self, leases: Iterable[LeaseId]) -> set[LeaseId]:
        """Those of these leases that were planned before, or seen on the chain."""
        return known_leases(self._session, leases)

    def wish(self, key: str, instruction: Instruction, at: int) -> int:
        """Ask the outbox for something; a second wish of the same `key` is the first one."""
        known = self._session.connection().execute(_WISHED, {"key": key}).scalar()
        if known is not None:
            return int(known)
        record = IntentRecord(
            key=key,
            kind=type(instruction).__name__,
            instruction=dumps(instruction),
            state=IntentState.PENDING.value,
            created_at=at,
        )
        self._session.add(record)
        self._session.flush()
        assert record.id is not None
        return record.id

    def keep_document(self, name: Digest, canonical: bytes) -> None:
        """Keep a document under its hash, which the caller has verified."""
        if self._session.get(DocumentRecord, name) is None:
            self._session.add(DocumentRecord(hash=name, body=canonical))
            self._session.flush()

    def save_cursor(self, block: BlockRef, tail: tuple[BlockRef, ...]) -> None:
        """Remember how far the chain was followed, with the blocks that may still vanish."""
        record = self._session.get(CursorRecord, 1) or CursorRecord(id=1, block="", tail="")
        record.block, record.tail = dumps(block), dumps(tail)
        self._session.add(record)
