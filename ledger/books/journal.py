"""The append-only list of everything that was decided or learned; all else in the books follows from it.

Every event may arrive twice, so each fact has a slot (its natural key): it is a repeat where the newest
entry of its slot is of its own kind. Two kinds share a slot where one undoes the other: a plan that
failed may be planned again.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import Session, col, func, select

from ledger.books.journal_chain import BEGINNING, digest_of
from ledger.books.mapping import dumps, fact_from
from ledger.books.tables import BlockRecord, JournalEntry
from ledger.market.facts import (
    AgentLost,
    BidAccepted,
    BidWithdrawn,
    ChainObserved,
    ChainRewound,
    Fact,
    GangPlanned,
    JobReported,
    LeasePlanned,
    LeaseYields,
    PlanFailed,
    ReceiptCosigned,
    UsageReported,
)
from ledger.market.identity import text

_PAGE = 500
# Statements that every order of the door makes are built once.
_NEWEST = select(func.max(JournalEntry.seq))
_NEWEST_LINK = select(JournalEntry.seq, JournalEntry.digest).order_by(col(JournalEntry.seq).desc()).limit(1)
_FACTS = (
    select(JournalEntry.seq, JournalEntry.body)
    .where(col(JournalEntry.seq) > bindparam("after"))
    .order_by(col(JournalEntry.seq))
    .limit(_PAGE)
)


def slot_of(fact: Fact) -> str:
    """The natural key under which a fact is recorded once."""
    match fact:
        case BidAccepted(job=job):
            return f"bid {text(job)}"
        case BidWithdrawn(job=job):
            return f"withdrawal {text(job)}"
        case LeasePlanned(wish=wish):
            return f"plan {text(wish.lease)}"
        case GangPlanned(wish=gang):
            return f"plan {text(gang.members[0].lease)}"
        case PlanFailed(lease=lease):
            return f"plan {text(lease)}"
        case UsageReported(lease=lease, milliseconds=milliseconds, last=last, sequence=None):
            return f"usage {text(lease)} {milliseconds} {last}"
        case UsageReported(lease=lease, sequence=sequence):
            return f"usage {text(lease)} line {sequence}"
        case ReceiptCosigned(signed=signed):
            receipt = signed.receipt
            said = f"{receipt.milliseconds} {receipt.last} {text(receipt.evidence)}"
            return f"receipt {text(receipt.lease)} {said}"
        case JobReported(lease=lease):
            return f"report {text(lease)} {_content(fact)}"
        case AgentLost(lease=lease):
            return f"silence {text(lease)}"
        case LeaseYields(lease=lease):
            return f"yield {text(lease)}"
        case ChainObserved(block=block):
            return f"block {text(block.hash)}"
        case ChainRewound(to=block):
            return f"rewind {text(block.hash)}"


def _content(report: JobReported) -> str:
    """What a report says, not when it was heard: the same words an hour later are no news."""
    said = (report.phase, report.exit_code, report.code, report.cause, report.outputs)
    return sha256(dumps(said).encode()).hexdigest()


def _moment(fact: Fact) -> int:
    match fact:
        case BidAccepted(accepted_at=at):
            return at
        case ChainObserved(block=block) | ChainRewound(to=block):
            return block.at
        case _:
            return fact.at


def repeat_of(session: Session, fact: Fact) -> int | None:
    """The number of the entry that already holds this fact; None where it is news."""
    match fact:
        case ChainObserved(block=block):
            known = session.get(BlockRecord, block.hash)
            return None if known is None else known.seq
        case ChainRewound(to=block):
            query = select(BlockRecord.seq).where(BlockRecord.number > block.number).limit(1)
            above = session.exec(query).first()
            return None if above is not None else last_seq(session)
        case _:
            newest = _newest(session, slot_of(fact))
            if newest is None or newest.kind != type(fact).__name__:
                return None
            return newest.seq


def _newest(session: Session, slot: str) -> JournalEntry | None:
    query = select(JournalEntry).where(JournalEntry.slot == slot)
    return session.exec(query.order_by(col(JournalEntry.seq).desc()).limit(1)).first()


def append(session: Session, fact: Fact) -> int:
    """Write a fact at the end; its number, which follows the newest one's without a gap."""
    before, previous = newest_link(session)
    entry = JournalEntry(**digested(before + 1, previous, fact))
    session.add(entry)
    session.flush()
    session.expunge(entry)
    return before + 1


def newest_link(session: Session) -> tuple[int, bytes]:
    """The newest entry's number and digest, which the next one is chained to."""
    newest = session.connection().execute(_NEWEST_LINK).first()
    return (0, BEGINNING) if newest is None else (newest.seq, newest.digest)


def digested(seq: int, previous: bytes, fact: Fact) -> dict[str, Any]:
    """The cells of the entry `seq`, which follows one with the digest `previous`."""
    at, kind, slot, body = _moment(fact), type(fact).__name__, slot_of(fact), dumps(fact)
    digest = digest_of(previous, seq, at, kind, slot, body)
    return {"seq": seq, "at": at, "kind": kind, "slot": slot, "body": body, "digest": digest}


def last_seq(session: Session) -> int:
    """The newest entry's number, 0 for an empty journal."""
    return session.connection().execute(_NEWEST).scalar() or 0


def replay(session: Session, after: int = 0) -> Iterator[tuple[int, Fact]]:
    """The facts with a number above `after`, in order, read page by page."""
    while True:
        page = session.connection().execute(_FACTS, {"after": after}).all()
        for seq, body in page:
            yield seq, fact_from(body)
            after = seq
        if len(page) < _PAGE:
            return
