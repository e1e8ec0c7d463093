"""Jobs and their signed bids; where a job stands is derived from its facts whenever one of them changes."""

import json

from sqlmodel import Session, col, select

from ledger.books.mapping import dumps
from ledger.books.projections.leases import course_of
from ledger.books.tables import BidRecord, JobRecord, LeaseRecord
from ledger.market.bid import Bid
from ledger.market.errors import Rejected
from ledger.market.facts import Alternative, BidAccepted, BidWithdrawn
from ledger.market.identity import text
from ledger.market.lifecycle import JobCourse, JobState, standing
from ledger.market.money import escrow_for


def accept(session: Session, seq: int, fact: BidAccepted) -> None:
    """A new order; `Rejected` where one of its bids already belongs to an order."""
    for number, way in enumerate(fact.ways):
        _keep_bids(session, fact, number, way)
    first = fact.attempts[0].bid
    session.add(
        JobRecord(
            job=fact.job,
            sequence=seq,
            buyer=first.buyer,
            document=fact.document,
            attempts=len(fact.attempts),
            accepted_at=fact.accepted_at,
            wait_until=fact.wait_until,
            delegate=fact.delegate,
            reserve=max(reserve_of(way.bid) for way in fact.ways),
            state=JobState.RESTING.value,
        )
    )


def _keep_bids(session: Session, fact: BidAccepted, number: int, way: Alternative) -> None:
    for attempt, (bid, signed) in enumerate(zip(way.attempt_ids, way.attempts, strict=True)):
        if session.get(BidRecord, bid) is not None:
            raise Rejected("bid-known", f"Bid {text(bid)} was sent before.", "Sign it with another nonce.")
        session.add(
            BidRecord(
                bid=bid,
                job=fact.job,
                alternative=number,
                attempt=attempt,
                document=way.document,
                signed=dumps(signed),
            )
        )


def reserve_of(bid: Bid) -> int:
    """Base units that a bid locks at its limit, with all its members."""
    return bid.members * escrow_for(bid.limit_rate, bid.duration)


def withdraw(session: Session, fact: BidWithdrawn) -> None:
    """The order leaves the book; an open lease of it goes on."""
    record = session.get(JobRecord, fact.job)
    if record is None:
        raise Rejected("unknown-job", f"There is no job {text(fact.job)}.", "Check the id.")
    record.withdrawn_code, record.withdrawn_cause = fact.code, fact.cause
    restand(session, fact.job)


def restand(session: Session, job: bytes | None) -> None:
    """Derive a job's state again from its facts."""
    record = None if job is None else session.get(JobRecord, job)
    if record is None:
        return
    now = standing(_course(session, record))
    record.state, record.code, record.cause = now.state.value, now.code, now.cause
    record.lease, record.next_attempt = now.lease, now.next_attempt
    record.members = json.dumps([text(lease) for lease in now.members])
    record.excluded = json.dumps(sorted(text(provider) for provider in now.excluded))


def _course(session: Session, record: JobRecord) -> JobCourse:
    leases = session.exec(
        select(LeaseRecord)
        .where(LeaseRecord.job == record.job)
        .order_by(col(LeaseRecord.sequence), col(LeaseRecord.member))
    ).all()
    withdrawn = None
    if record.withdrawn_code is not None:
        withdrawn = (record.withdrawn_code, record.withdrawn_cause or "")
    return JobCourse(
        attempts=record.attempts,
        withdrawn=withdrawn,
        leases=tuple(course_of(lease) for lease in leases),
    )
