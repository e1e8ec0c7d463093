"""Leases: what was planned, what the chain did, and what agent and signer said, each in its own columns.

The chain's part can be reset and folded again without touching the rest, which is all that a
reorganised block needs.
"""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from ledger.books.mapping import dumps, loads
from ledger.books.projections import lease_money
from ledger.books.projections.lease_money import MoneyEvent
from ledger.books.projections.offers import surviving
from ledger.books.tables import BidRecord, LeaseRecord, OutputRecord, UsageRecord
from ledger.market.errors import Broken, Rejected
from ledger.market.events import (
    LeaseClosed,
    LeaseContinued,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    ReplicasDecided,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
    UsageSettled,
)
from ledger.market.facts import (
    AgentLost,
    GangPlanned,
    JobPhase,
    JobReported,
    LeasePlanned,
    LeaseYields,
    PlanFailed,
    ReceiptCosigned,
    UsageReported,
)
from ledger.market.identity import Address, LeaseId, text
from ledger.market.instructions import ContinueLease
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.lifecycle import LeaseCourse, Verdict, further
from ledger.market.money import MILLISECONDS
from ledger.market.reasons import SkipReason

LeaseEvent = (
    LeaseOpened
    | UsageSettled
    | LeaseTerminated
    | LeaseClosed
    | LeaseContinued
    | LeaseJudged
    | ResultCommitted
    | ResultRevealed
    | MoneyEvent
)
ReplicasEvent = ReplicasOpened | ReplicasDecided
"""what is logged once for all the leases of a bid"""


def course_of(record: LeaseRecord) -> LeaseCourse:
    """What a row knows of its lease, for `ledger.market.lifecycle`."""
    return LeaseCourse(
        lease=LeaseId(record.id),
        provider=Address(record.provider),
        attempt=record.attempt,
        skipped=None if record.skipped is None else SkipReason(record.skipped),
        opened=record.start is not None,
        terminated=record.terminated,
        closed=None if record.because is None else ClosedBecause(record.because),
        phase=None if record.phase is None else JobPhase(record.phase),
        code=record.code,
        cause=record.cause,
        agent_lost=record.agent_lost_at is not None,
        member=record.member,
        continues=None if record.continues is None else LeaseId(record.continues),
        agree=record.agree,
        undecided=record.undecided,
        verdict=None if record.verdict is None else Verdict(record.verdict),
        yields=None if record.yields is None else loads(LeaseYields, record.yields),
    )


def plan(session: Session, seq: int, fact: LeasePlanned) -> LeaseRecord:
    """A lease that this node decided to open, for the first time or again."""
    record = _planned(session, seq, fact, fact.wish.lease, fact.terms)
    if isinstance(fact.wish, ContinueLease):
        bid = fact.wish.signed.bid
        record.continues = bid.continues
        if session.get(BidRecord, fact.terms.bid) is None:
            session.add(
                BidRecord(
                    bid=fact.terms.bid,
                    job=fact.job,
                    alternative=None,
                    attempt=fact.attempt,
                    document=bid.job,
                    signed=dumps(fact.wish.signed),
                )
            )
    return record


def plan_gang(session: Session, seq: int, fact: GangPlanned) -> LeaseRecord:
    """The leases of a gang, and how replicas were drawn; the first member's row."""
    bid = session.get(BidRecord, fact.wish.bid)
    if bid is not None and fact.draw is not None:
        bid.draw = dumps(fact.draw)
    records = []
    for member, terms in zip(fact.wish.members, fact.terms, strict=True):
        record = _planned(session, seq, fact, member.lease, terms)
        record.agree = fact.wish.signed.bid.agree
        records.append(record)
    return records[0]


def _planned(
    session: Session, seq: int, fact: LeasePlanned | GangPlanned, lease: LeaseId, terms: LeaseTerms
) -> LeaseRecord:
    record = session.get(LeaseRecord, lease) or _new(lease, terms)
    record.job, record.attempt = fact.job, fact.attempt
    record.sequence, record.planned_at, record.skipped = seq, fact.at, None
    return _kept(session, record)


def skip(session: Session, fact: PlanFailed) -> LeaseRecord:
    """A planned lease that the contract did not open, with all that were planned beside it."""
    first = known(session, fact.lease)
    together = select(LeaseRecord).where(LeaseRecord.bid == first.bid, LeaseRecord.sequence == first.sequence)
    for record in session.exec(together).all():
        record.skipped = fact.reason.value
        _kept(session, record)
    return first


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
    if isinstance(event, LeaseContinued):
        _continue(session, record, event)
    _fold(record, event)
    lease_money.fold(session, record, event)
    return _kept(session, record)


def observe_replicas(session: Session, event: ReplicasEvent) -> Sequence[LeaseRecord]:
    """What was logged of all the open leases of a bid."""
    query = select(LeaseRecord).where(LeaseRecord.bid == event.bid, col(LeaseRecord.start).is_not(None))
    records = session.exec(query).all()
    for record in records:
        _fold(record, event)
        _kept(session, record)
    return records


def ids_of_bid(session: Session, bid: bytes) -> Sequence[bytes]:
    """The leases that a bid was planned for or opened."""
    return session.exec(select(LeaseRecord.id).where(LeaseRecord.bid == bid)).all()


def refold(session: Session, lease: bytes) -> LeaseRecord | None:
    """Rebuild the chain's part from surviving events; a lease that nobody here planned may vanish whole."""
    record = session.get(LeaseRecord, lease)
    if record is None:
        return None
    record.start = record.refunded = record.ended_after = record.because = None
    record.commitment = record.result = record.verdict = None
    record.undecided = record.terminated = False
    record.escrow = record.paid = 0
    lease_money.reset(record)
    for event in surviving(session, f"lease:{text(lease)}", f"bid:{text(record.bid)}"):
        if isinstance(event, LeaseEvent | ReplicasEvent):
            _fold(record, event)
            lease_money.fold(session, record, event)
    if record.start is None and record.planned_at is None:
        session.delete(record)
        session.flush()
        return record
    return _kept(session, record)


def report_usage(session: Session, seq: int, fact: UsageReported) -> LeaseRecord:
    """One usage line; the row keeps the newest, of those outside a tree the furthest."""
    record = known(session, fact.lease)
    line = UsageRecord(
        seq=seq, lease=fact.lease, sequence=fact.sequence, evidence=fact.evidence, body=dumps(fact)
    )
    session.add(line)
    numbered = fact.sequence is not None
    if numbered or record.usage is None or fact.milliseconds > record.usage_milliseconds or fact.last:
        record.usage, record.usage_milliseconds = dumps(fact), fact.milliseconds
    return _kept(session, record)


def cosign(session: Session, fact: ReceiptCosigned) -> LeaseRecord:
    """One receipt; the row keeps the best: the most milliseconds, of equal ones the last, of those the
    newest, whose evidence stands for more lines. One beyond the end that a termination set since is no
    receipt any more, and gives way to the last one that was signed for that end."""
    receipt = fact.signed.receipt
    record = known(session, receipt.lease)
    best = (record.receipt_milliseconds, record.receipt_last)
    cut_off = record.ended_after is not None and best[0] > record.ended_after * MILLISECONDS
    if record.receipt is None or cut_off or (receipt.milliseconds, receipt.last) >= best:
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


def yields(session: Session, fact: LeaseYields) -> LeaseRecord:
    """A lease was told to end for a higher bid."""
    record = known(session, fact.lease)
    record.yields = dumps(fact)
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
        member=terms.member,
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


def _continue(session: Session, record: LeaseRecord, event: LeaseContinued) -> None:
    """A lease that somebody else continued belongs to the job of the one before it."""
    before = session.get(LeaseRecord, event.previous)
    record.continues = event.previous
    if record.job is None and before is not None:
        record.job, record.attempt = before.job, before.attempt


def _fold(record: LeaseRecord, event: LeaseEvent | ReplicasEvent) -> None:
    match event:
        case LeaseOpened(start=start, escrow=escrow):
            record.start, record.escrow = start, escrow
        case UsageSettled(paid=paid):
            record.paid = paid
        case LeaseTerminated(ended_after=seconds):
            record.ended_after, record.terminated = seconds, True
        case LeaseClosed(paid=paid, refunded=refunded, because=because):
            record.paid, record.refunded, record.because = paid, refunded, because.value
        case LeaseContinued(previous=previous):
            record.continues = previous
        case ReplicasOpened() | ResultCommitted() | ResultRevealed() | LeaseJudged() | ReplicasDecided():
            _fold_replica(record, event)
        case _:
            return


def _fold_replica(
    record: LeaseRecord, event: ReplicasEvent | LeaseJudged | ResultCommitted | ResultRevealed
) -> None:
    match event:
        case ReplicasOpened(agree=agree):
            record.agree, record.undecided = agree, True
        case ResultCommitted(commitment=commitment):
            record.commitment = commitment
        case ResultRevealed(result=result):
            record.result = result
        case LeaseJudged(guilty=True):
            record.undecided = False
        case LeaseJudged(start=start, ended_after=seconds):
            record.undecided, record.start, record.ended_after = False, start, seconds
        case ReplicasDecided():
            record.verdict = _verdict(record, event).value


def _verdict(record: LeaseRecord, event: ReplicasDecided) -> Verdict:
    if record.result is None:
        return Verdict.SILENT
    if not event.agreed:
        return Verdict.UNDETERMINED
    return Verdict.AGREED if record.result == event.result else Verdict.GUILTY


def _kept(session: Session, record: LeaseRecord) -> LeaseRecord:
    record.state = course_of(record).state.value
    session.add(record)
    return record


def terms_of(record: LeaseRecord) -> LeaseTerms:
    """The terms that a row's id is the hash of."""
    return loads(LeaseTerms, record.terms)
