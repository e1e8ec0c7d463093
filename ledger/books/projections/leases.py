"""Leases: what was planned, what the chain did, and what agent and signer said, each in its own columns.

The chain's part can be reset and folded again without touching the rest, which is all that a
reorganised block needs.
"""

from sqlmodel import Session

from ledger.books.mapping import dumps, loads
from ledger.books.projections.offers import surviving
from ledger.books.tables import BidRecord, LeaseRecord, OutputRecord, UsageRecord
from ledger.market.errors import Broken, Rejected
from ledger.market.events import LeaseClosed, LeaseOpened, LeaseTerminated, UsageSettled
from ledger.market.facts import (
    AgentLost,
    JobPhase,
    JobReported,
    LeasePlanned,
    PlanFailed,
    ReceiptCosigned,
    UsageReported,
)
from ledger.market.identity import Address, LeaseId, text
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.lifecycle import LeaseCourse, further
from ledger.market.reasons import SkipReason

LeaseEvent = LeaseOpened | UsageSettled | LeaseTerminated | LeaseClosed


def course_of(record: LeaseRecord) -> LeaseCourse:
    """What a row knows of its lease, for `ledger.market.lifecycle`."""
    return LeaseCourse(
        lease=LeaseId(record.id),
        provider=Address(record.provider),
        attempt=record.attempt,
        skipped=None if record.skipped is None else SkipReason(record.skipped),
        opened=record.start is not None,
        terminated=record.ended_after is not None,
        closed=None if record.because is None else ClosedBecause(record.because),
        phase=None if record.phase is None else JobPhase(record.phase),
        code=record.code,
        cause=record.cause,
        agent_lost=record.agent_lost_at is not None,
    )


def plan(session: Session, seq: int, fact: LeasePlanned) -> LeaseRecord:
    """A lease that this node decided to open, for the first time or again."""
    record = session.get(LeaseRecord, fact.wish.lease) or _new(fact.wish.lease, fact.terms)
    record.job, record.attempt = fact.job, fact.attempt
    record.sequence, record.planned_at, record.skipped = seq, fact.at, None
    return _kept(session, record)


def skip(session: Session, fact: PlanFailed) -> LeaseRecord:
    """A planned lease that the contract did not open."""
    record = known(session, fact.lease)
    record.skipped = fact.reason.value
    return _kept(session, record)


def observe(session: Session, seq: int, event: LeaseEvent) -> LeaseRecord:
    """One event of the chain; `Broken` where it names a lease whose opening was never seen."""
    if isinstance(event, LeaseOpened):
        record = session.get(LeaseRecord, event.id) or _found(session, seq, event)
    else:
        known_record = session.get(LeaseRecord, event.lease)
        if known_record is None or known_record.start is None:
            raise Broken(
                "unknown-lease",
                f"An event names lease {text(event.lease)}, which is not open.",
                "Follow the chain again from the market's first block.",
            )
        record = known_record
    _fold(record, event)
    return _kept(session, record)


def refold(session: Session, lease: bytes) -> LeaseRecord | None:
    """Rebuild the chain's part from surviving events; a lease that nobody here planned may vanish whole."""
    record = session.get(LeaseRecord, lease)
    if record is None:
        return None
    record.start = record.refunded = record.ended_after = record.because = None
    record.escrow = record.paid = 0
    for event in surviving(session, f"lease:{text(lease)}"):
        if isinstance(event, LeaseEvent):
            _fold(record, event)
    if record.start is None and record.planned_at is None:
        session.delete(record)
        session.flush()
        return record
    return _kept(session, record)


def report_usage(session: Session, seq: int, fact: UsageReported) -> LeaseRecord:
    """One usage line; the row keeps the furthest."""
    record = known(session, fact.lease)
    session.add(UsageRecord(seq=seq, lease=fact.lease, body=dumps(fact)))
    if record.usage is None or fact.milliseconds > record.usage_milliseconds or fact.last:
        record.usage, record.usage_milliseconds = dumps(fact), fact.milliseconds
    return _kept(session, record)


def cosign(session: Session, fact: ReceiptCosigned) -> LeaseRecord:
    """One receipt; the row keeps the best: the most milliseconds, of equal ones the last."""
    receipt = fact.signed.receipt
    record = known(session, receipt.lease)
    best = (record.receipt_milliseconds, record.receipt_last)
    if record.receipt is None or (receipt.milliseconds, receipt.last) > best:
        record.receipt, record.receipt_milliseconds = dumps(fact.signed), receipt.milliseconds
        record.receipt_last = receipt.last
    return _kept(session, record)


def report_job(session: Session, fact: JobReported) -> LeaseRecord:
    """An agent's word; only news moves the phase, and the first final word stands."""
    record = known(session, fact.lease)
    if further(None if record.phase is None else JobPhase(record.phase), fact.phase):
        record.phase, record.exit_code = fact.phase.value, fact.exit_code
        record.code, record.cause = fact.code, fact.cause
        for file in fact.outputs if fact.phase.final else ():
            session.merge(OutputRecord(lease=fact.lease, path=file.path, sha256=file.sha256, size=file.size))
    return _kept(session, record)


def lose_agent(session: Session, fact: AgentLost) -> LeaseRecord:
    """The agent of a lease fell silent."""
    record = known(session, fact.lease)
    record.agent_lost_at = fact.at
    return _kept(session, record)


def known(session: Session, lease: bytes) -> LeaseRecord:
    """The row of a lease; `Rejected` where neither plan nor chain knows it."""
    record = session.get(LeaseRecord, lease)
    if record is None:
        raise Rejected(
            "unknown-lease",
            f"There is no lease {text(lease)}.",
            "Check the id, or wait until it is observed.",
        )
    return record


def _new(lease: LeaseId, terms: LeaseTerms) -> LeaseRecord:
    return LeaseRecord(
        id=lease,
        offer=terms.offer,
        bid=terms.bid,
        provider=terms.provider,
        buyer=terms.buyer,
        signer=terms.signer,
        terms=dumps(terms),
        state="",
    )


def _found(session: Session, seq: int, event: LeaseOpened) -> LeaseRecord:
    """A lease that somebody else opened, perhaps with a bid that this node holds."""
    record = _new(event.id, event.terms)
    record.sequence = seq
    bid = session.get(BidRecord, event.terms.bid)
    if bid is not None:
        record.job, record.attempt = bid.job, bid.attempt
    return record


def _fold(record: LeaseRecord, event: LeaseEvent) -> None:
    match event:
        case LeaseOpened(start=start, escrow=escrow):
            record.start, record.escrow = start, escrow
        case UsageSettled(paid=paid):
            record.paid = paid
        case LeaseTerminated(ended_after=seconds):
            record.ended_after = seconds
        case LeaseClosed(paid=paid, refunded=refunded, because=because):
            record.paid, record.refunded, record.because = paid, refunded, because.value


def _kept(session: Session, record: LeaseRecord) -> LeaseRecord:
    record.state = course_of(record).state.value
    session.add(record)
    return record


def terms_of(record: LeaseRecord) -> LeaseTerms:
    """The terms that a row's id is the hash of."""
    return loads(LeaseTerms, record.terms)
