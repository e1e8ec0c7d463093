"""Opening: many new orders, most of them with their first plan, in a handful of statements.

What `Unit.record` does fact by fact, through the object mapper, costs milliseconds an order; the door of a
market needs it in a fraction of one. So new orders, whose rows cannot exist yet, are written as rows: the
same entries with the same digests, the same projections by the same kernel rule (`standing`), the same
wishes. A test compares every table with what fact by fact leaves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert
from sqlmodel import Session, SQLModel, col, select

from ledger.books.door_queries import parts
from ledger.books.journal import digested, newest_link
from ledger.books.mapping import dumps
from ledger.books.projections.jobs import reserve_of
from ledger.books.rows import JobRow
from ledger.books.tables import (
    BidRecord,
    DocumentRecord,
    IntentRecord,
    JobRecord,
    JournalEntry,
    LeaseRecord,
)
from ledger.market.facts import Alternative, BidAccepted, LeasePlanned
from ledger.market.identity import Address, BidId, Digest, LeaseId
from ledger.market.lifecycle import JobCourse, JobStanding, LeaseCourse, LeaseState, standing
from ledger.market.outbox import IntentState

Cells = dict[str, Any]
_LEASES = select(LeaseRecord.id).where(col(LeaseRecord.id).in_(bindparam("names", expanding=True)))
_DOCUMENTS = select(DocumentRecord.hash).where(
    col(DocumentRecord.hash).in_(bindparam("names", expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A new order, its documents in canonical form, and its first plan with the key of the plan's wish."""

    accepted: BidAccepted
    documents: tuple[tuple[Digest, bytes], ...]
    planned: LeasePlanned | None = None
    key: str = ""


class _Rows:
    """What one unit of work adds, table by table."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seq, self._digest = newest_link(session)
        self._cells: dict[type[SQLModel], list[Cells]] = {}

    def journal(self, fact: BidAccepted | LeasePlanned) -> int:
        """One entry behind the newest one; its number."""
        self._seq += 1
        entry = digested(self._seq, self._digest, fact)
        self._digest = entry["digest"]
        self.add(JournalEntry, entry)
        return self._seq

    def add(self, table: type[SQLModel], cells: Cells) -> None:
        """One row; cells that are not named have the table's defaults."""
        self._cells.setdefault(table, []).append(_defaults(table) | cells)

    def write(self) -> None:
        """One statement a table."""
        connection = self._session.connection()
        for table, rows in self._cells.items():
            connection.execute(insert(table), rows)


def open_all(session: Session, openings: Sequence[Opening]) -> list[JobRow]:
    """Write them in their order; the jobs as they stand now. A bid that is known breaks the unit of work."""
    session.flush()
    rows = _Rows(session)
    for name, body in _unknown(session, openings).items():
        rows.add(DocumentRecord, {"hash": name, "body": body})
    jobs = [_open(rows, opening) for opening in openings]
    rows.write()
    return jobs


def known_leases(session: Session, leases: Iterable[LeaseId]) -> set[LeaseId]:
    """Those of these leases that the books have, planned before or seen on the chain."""
    found: set[LeaseId] = set()
    for some in parts(list(leases)):
        known = session.connection().execute(_LEASES, {"names": some})
        found |= {LeaseId(one) for one in known.scalars()}
    return found


def _unknown(session: Session, openings: Sequence[Opening]) -> dict[Digest, bytes]:
    documents = dict(pair for opening in openings for pair in opening.documents)
    for some in parts(list(documents)):
        found = session.connection().execute(_DOCUMENTS, {"names": some})
        for known in found.scalars().all():
            del documents[Digest(known)]
    return documents


def _open(rows: _Rows, opening: Opening) -> JobRow:
    accepted, planned = opening.accepted, opening.planned
    sequence = rows.journal(accepted)
    for number, way in enumerate(accepted.ways):
        _add_bids(rows, accepted.job, number, way)
    leases = () if planned is None else (_course(planned),)
    now = standing(JobCourse(attempts=len(accepted.attempts), leases=leases))
    row = _job_row(accepted, sequence, now)
    rows.add(JobRecord, _job_cells(row, accepted))
    if planned is not None:
        rows.add(LeaseRecord, _lease_cells(planned, rows.journal(planned)))
        rows.add(IntentRecord, _intent_cells(planned, opening.key))
    return row


def _add_bids(rows: _Rows, job: BidId, number: int, way: Alternative) -> None:
    for attempt, (bid, signed) in enumerate(zip(way.attempt_ids, way.attempts, strict=True)):
        cells = {"bid": bid, "job": job, "alternative": number, "attempt": attempt}
        rows.add(BidRecord, cells | {"document": way.document, "signed": dumps(signed)})


def _course(planned: LeasePlanned) -> LeaseCourse:
    return LeaseCourse(
        lease=planned.wish.lease, provider=planned.terms.provider, attempt=planned.attempt, member=0
    )


def _job_row(accepted: BidAccepted, sequence: int, now: JobStanding) -> JobRow:
    first, *further = accepted.ways
    return JobRow(
        job=accepted.job,
        sequence=sequence,
        buyer=first.bid.buyer,
        document=first.document,
        attempts=first.attempts,
        attempt_ids=first.attempt_ids,
        accepted_at=accepted.accepted_at,
        wait_until=accepted.wait_until,
        state=now.state,
        code=now.code,
        cause=now.cause,
        lease=now.lease,
        leases=() if now.lease is None else (now.lease,),
        next_attempt=now.next_attempt,
        excluded=now.excluded,
        reserve=max(reserve_of(way.bid) for way in accepted.ways),
        exit_code=None,
        outputs=(),
        alternatives=tuple(further),
        delegate=Address(accepted.delegate),
        members=now.members,
    )


def _job_cells(row: JobRow, accepted: BidAccepted) -> Cells:
    return {
        "job": row.job,
        "sequence": row.sequence,
        "buyer": row.buyer,
        "document": row.document,
        "attempts": len(accepted.attempts),
        "accepted_at": row.accepted_at,
        "wait_until": row.wait_until,
        "delegate": row.delegate,
        "reserve": row.reserve,
        "state": row.state.value,
        "code": row.code,
        "cause": row.cause,
        "lease": row.lease,
        "members": dumps(row.members),
        "next_attempt": row.next_attempt,
    }


def _lease_cells(planned: LeasePlanned, sequence: int) -> Cells:
    terms = planned.terms
    return {
        "id": planned.wish.lease,
        "offer": terms.offer,
        "bid": terms.bid,
        "provider": terms.provider,
        "buyer": terms.buyer,
        "signer": terms.signer,
        "terms": dumps(terms),
        "member": terms.member,
        "state": LeaseState.PLANNED.value,
        "job": planned.job,
        "attempt": planned.attempt,
        "sequence": sequence,
        "planned_at": planned.at,
    }


def _intent_cells(planned: LeasePlanned, key: str) -> Cells:
    return {
        "key": key,
        "kind": type(planned.wish).__name__,
        "instruction": dumps(planned.wish),
        "state": IntentState.PENDING.value,
        "created_at": planned.at,
    }


_DEFAULTS: dict[type[SQLModel], Cells] = {}


def _defaults(table: type[SQLModel]) -> Cells:
    """The cells that a row of the table has without being told; numbers that the database gives are none."""
    if table not in _DEFAULTS:
        _DEFAULTS[table] = {
            name: field.default
            for name, field in table.model_fields.items()
            if not field.is_required() and not (table is IntentRecord and name == "id")
        }
    return _DEFAULTS[table]
