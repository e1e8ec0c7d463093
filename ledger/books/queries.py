"""What readers ask of the books: each call sees one committed moment and returns frozen values."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from sqlmodel import Session, col, select

from ledger.books.account_queries import AccountQueries, epoch
from ledger.books.door_queries import DoorQueries
from ledger.books.journal import replay
from ledger.books.mapping import instruction_from, loads
from ledger.books.projections.lease_money import claim_of
from ledger.books.rows import (
    EventRow,
    IntentRow,
    JobRow,
    LeaseRow,
    LeaseTransactions,
    OfferRow,
    OfferUsage,
    Used,
)
from ledger.books.tables import (
    BidRecord,
    CursorRecord,
    DocumentRecord,
    EventRecord,
    IntentRecord,
    JobRecord,
    LeaseRecord,
    OfferRecord,
    OutputRecord,
)
from ledger.books.usage_queries import UsageQueries, event_row
from ledger.market.bid import SignedBid
from ledger.market.events import BlockRef
from ledger.market.facts import Alternative, Draw, Fact, JobPhase, LeaseYields, OutputFile, UsageReported
from ledger.market.identity import NOBODY, Address, BidId, Digest, LeaseId, OfferId, from_text, text
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.lifecycle import JobState, LeaseState, Verdict
from ledger.market.offer import Offer
from ledger.market.outbox import IntentState
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt
from ledger.market.resource import Quantities

_UNOPENED = (JobState.RESTING, JobState.OPENING)
_MOVES = ("LeaseOpened", "UsageSettled", "LeaseTerminated", "LeaseClosed")


class Queries(AccountQueries, UsageQueries, DoorQueries):
    """Read models. `None` or an empty answer means that the books do not know it."""

    def job(self, job: BidId) -> JobRow | None:
        """One job by the id of its first bid."""
        with self._open() as session:
            record = session.get(JobRecord, job)
            return None if record is None else _job_row(session, record)

    def jobs(self, buyer: Address | None = None, states: Collection[JobState] = ()) -> list[JobRow]:
        """Jobs in the order of their acceptance; no `states` means all."""
        query = select(JobRecord).order_by(col(JobRecord.sequence))
        if buyer is not None:
            query = query.where(JobRecord.buyer == buyer)
        if states:
            query = query.where(col(JobRecord.state).in_([state.value for state in states]))
        with self._open() as session:
            return [_job_row(session, record) for record in session.exec(query).all()]

    def resting(self) -> list[JobRow]:
        """The orders that wait for a match, first come first."""
        return self.jobs(states=(JobState.RESTING,))

    def job_of_bid(self, bid: BidId) -> BidId | None:
        """The job that a signed bid was sent for."""
        with self._open() as session:
            record = session.get(BidRecord, bid)
            return None if record is None else BidId(record.job)

    def draw(self, bid: BidId) -> Draw | None:
        """How the providers of a bid's replicas were drawn last."""
        with self._open() as session:
            record = session.get(BidRecord, bid)
            return None if record is None or record.draw is None else loads(Draw, record.draw)

    def reserved(self, buyer: Address) -> int:
        """Base units that the buyer's unopened orders would lock at their limits."""
        query = select(JobRecord.reserve).where(
            JobRecord.buyer == buyer, col(JobRecord.state).in_([state.value for state in _UNOPENED])
        )
        with self._open() as session:
            return sum(session.exec(query).all())

    def lease(self, lease: LeaseId) -> LeaseRow | None:
        """One lease, planned or seen on chain."""
        with self._open() as session:
            record = session.get(LeaseRecord, lease)
            return None if record is None else _lease_row(session, record)

    def leases(
        self,
        *,
        job: BidId | None = None,
        provider: Address | None = None,
        signer: Address | None = None,
        states: Collection[LeaseState] = (),
    ) -> list[LeaseRow]:
        """Leases in the order of their planning; no `states` means all."""
        order = (col(LeaseRecord.sequence), col(LeaseRecord.member), col(LeaseRecord.id))
        query = select(LeaseRecord).order_by(*order)
        wanted = (("job", job), ("provider", provider), ("signer", signer))
        for column, value in wanted:
            if value is not None:
                query = query.where(getattr(LeaseRecord, column) == value)
        if states:
            query = query.where(col(LeaseRecord.state).in_([state.value for state in states]))
        with self._open() as session:
            return [_lease_row(session, record) for record in session.exec(query).all()]

    def yielding_leases(self) -> list[LeaseRow]:
        """The leases that were ever told to yield, open or closed."""
        query = select(LeaseRecord).where(col(LeaseRecord.yields).is_not(None))
        with self._open() as session:
            found = session.exec(query.order_by(col(LeaseRecord.sequence), col(LeaseRecord.id))).all()
            return [_lease_row(session, record) for record in found]

    def offer(self, offer: OfferId) -> OfferRow | None:
        """One registered offer."""
        with self._open() as session:
            record = session.get(OfferRecord, offer)
            return None if record is None else _offer_row(session, record)

    def offers(self, *, usable: bool = False) -> list[OfferRow]:
        """Registered offers; `usable` leaves out cancelled and void ones, not expired ones."""
        query = select(OfferRecord).order_by(col(OfferRecord.id))
        with self._open() as session:
            rows = [_offer_row(session, record) for record in session.exec(query).all()]
        return [row for row in rows if not usable or not (row.cancelled or row.void)]

    def live_usage(self) -> Used:
        """What open leases use of each offer, and what planned ones will."""
        planned: dict[bytes, Quantities] = defaultdict(Quantities)
        waiting = select(LeaseRecord.terms).where(LeaseRecord.state == LeaseState.PLANNED.value)
        with self._open() as session:
            for body in session.exec(waiting).all():
                terms = loads(LeaseTerms, body)
                planned[terms.offer] = planned[terms.offer].plus(terms.want)
            offers = session.exec(select(OfferRecord.id, OfferRecord.used)).all()
        return {
            OfferId(offer): OfferUsage(used=Quantities.unpack(used), planned=planned[offer])
            for offer, used in offers
        }

    def events(self, after: int = 0, limit: int = 100) -> list[EventRow]:
        """Market events with a number above `after`, in order, rewound ones included and marked."""
        query = select(EventRecord).where(EventRecord.seq > after).order_by(col(EventRecord.seq)).limit(limit)
        with self._open() as session:
            return [event_row(record) for record in session.exec(query).all()]

    def intent(self, key: str) -> IntentRow | None:
        """One wish by its key."""
        with self._open() as session:
            record = session.exec(select(IntentRecord).where(IntentRecord.key == key)).first()
            return None if record is None else _intent_row(record)

    def intents(self, states: Collection[IntentState], after: int = 0) -> list[IntentRow]:
        """Wishes in these states with a number above `after`, oldest first."""
        query = (
            select(IntentRecord)
            .where(col(IntentRecord.state).in_([state.value for state in states]))
            .where(col(IntentRecord.id) > after)
            .order_by(col(IntentRecord.id))
        )
        with self._open() as session:
            return [_intent_row(record) for record in session.exec(query).all()]

    def document(self, name: Digest) -> bytes | None:
        """The canonical bytes behind a hash."""
        with self._open() as session:
            record = session.get(DocumentRecord, name)
            return None if record is None else record.body

    def parties(self, name: Digest) -> frozenset[Address]:
        """Who may read a job document: its buyers and the keys that signed for them, and providers and
        signers of the leases that its jobs led to."""
        told = select(BidRecord.job).where(BidRecord.document == name)
        jobs = select(JobRecord.buyer, JobRecord.delegate).where(col(JobRecord.job).in_(told))
        leases = select(LeaseRecord.provider, LeaseRecord.signer).where(col(LeaseRecord.job).in_(told))
        with self._open() as session:
            pairs = [*session.exec(jobs).all(), *session.exec(leases).all()]
        return frozenset(Address(one) for pair in pairs for one in pair if one != NOBODY)

    def cursor(self) -> tuple[BlockRef, tuple[BlockRef, ...]] | None:
        """How far the chain was followed, and the tail that may still vanish; None at first."""
        with self._open() as session:
            record = session.get(CursorRecord, 1)
            if record is None:
                return None
            return loads(BlockRef, record.block), loads(tuple[BlockRef, ...], record.tail)

    def facts(self, after: int = 0) -> Iterator[tuple[int, Fact]]:
        """The journal above `after`, in order."""
        with self._open() as session:
            yield from replay(session, after)


def _job_row(session: Session, record: JobRecord) -> JobRow:
    first, *further = _ways(session, record)
    leases = session.exec(
        select(LeaseRecord.id)
        .where(LeaseRecord.job == record.job)
        .order_by(col(LeaseRecord.sequence), col(LeaseRecord.member))
    ).all()
    told = _telling(session, record.lease)
    return JobRow(
        job=BidId(record.job),
        sequence=record.sequence,
        buyer=Address(record.buyer),
        document=Digest(record.document),
        attempts=first.attempts,
        attempt_ids=first.attempt_ids,
        accepted_at=record.accepted_at,
        wait_until=record.wait_until,
        state=JobState(record.state),
        code=record.code,
        cause=record.cause,
        lease=None if record.lease is None else LeaseId(record.lease),
        leases=tuple(LeaseId(lease) for lease in leases),
        next_attempt=record.next_attempt,
        excluded=frozenset(Address(from_text(one, 20)) for one in json.loads(record.excluded)),
        reserve=record.reserve,
        exit_code=None if told is None else told.exit_code,
        outputs=() if told is None else _outputs(session, told.id),
        alternatives=tuple(further),
        delegate=Address(record.delegate),
        members=tuple(LeaseId(from_text(one, 32)) for one in json.loads(record.members)),
        draw=_draw(session, record.lease),
    )


def _ways(session: Session, record: JobRecord) -> list[Alternative]:
    """The job's alternatives in their order, without the bids that continued its leases."""
    query = (
        select(BidRecord)
        .where(BidRecord.job == record.job, col(BidRecord.alternative).is_not(None))
        .order_by(col(BidRecord.alternative), col(BidRecord.attempt))
    )
    bids = session.exec(query).all()
    return [
        Alternative(
            document=Digest(way[0].document),
            attempts=tuple(loads(SignedBid, bid.signed) for bid in way),
            attempt_ids=tuple(BidId(bid.bid) for bid in way),
        )
        for way in (list(found) for _, found in groupby(bids, key=lambda bid: bid.alternative))
    ]


def _telling(session: Session, lease: bytes | None) -> LeaseRecord | None:
    """The lease on which the agent said what there is to say: this one, or the one that it continues."""
    record = None if lease is None else session.get(LeaseRecord, lease)
    while record is not None and record.phase is None and record.continues is not None:
        before = session.get(LeaseRecord, record.continues)
        if before is None:
            break
        record = before
    return record


def _draw(session: Session, lease: bytes | None) -> Draw | None:
    record = None if lease is None else session.get(LeaseRecord, lease)
    bid = None if record is None else session.get(BidRecord, record.bid)
    return None if bid is None or bid.draw is None else loads(Draw, bid.draw)


def _outputs(session: Session, lease: bytes) -> tuple[OutputFile, ...]:
    query = select(OutputRecord).where(OutputRecord.lease == lease).order_by(col(OutputRecord.path))
    return tuple(
        OutputFile(path=record.path, sha256=record.sha256, size=record.size)
        for record in session.exec(query).all()
    )


def _lease_row(session: Session, record: LeaseRecord) -> LeaseRow:
    bid = session.get(BidRecord, record.bid)
    signed = None if bid is None else loads(SignedBid, bid.signed)
    return LeaseRow(
        id=LeaseId(record.id),
        terms=loads(LeaseTerms, record.terms),
        state=LeaseState(record.state),
        job=None if record.job is None else BidId(record.job),
        attempt=record.attempt,
        signed=signed,
        document=None if signed is None else signed.bid.job,
        start=record.start,
        escrow=record.escrow,
        paid=record.paid,
        refunded=record.refunded,
        ended_after=record.ended_after,
        because=None if record.because is None else ClosedBecause(record.because),
        skipped=None if record.skipped is None else SkipReason(record.skipped),
        phase=None if record.phase is None else JobPhase(record.phase),
        exit_code=record.exit_code,
        code=record.code,
        cause=record.cause,
        agent_lost_at=record.agent_lost_at,
        planned_at=record.planned_at,
        usage=None if record.usage is None else loads(UsageReported, record.usage),
        receipt=None if record.receipt is None else loads(SignedReceipt, record.receipt),
        transactions=_transactions(session, record.id),
        fee=record.fee,
        settled_milliseconds=record.settled_milliseconds,
        lock=record.lock,
        burned=record.burned,
        claim=claim_of(record),
        outputs=_outputs(session, record.id),
        continues=None if record.continues is None else LeaseId(record.continues),
        agree=record.agree,
        undecided=record.undecided,
        terminated=record.terminated,
        commitment=None if record.commitment is None else Digest(record.commitment),
        result=None if record.result is None else Digest(record.result),
        verdict=None if record.verdict is None else Verdict(record.verdict),
        yields=None if record.yields is None else loads(LeaseYields, record.yields),
    )


def _transactions(session: Session, lease: bytes) -> LeaseTransactions:
    query = (
        select(EventRecord.name, EventRecord.transaction_hash)
        .where(EventRecord.subject == f"lease:{text(lease)}", col(EventRecord.rewound).is_(False))
        .where(col(EventRecord.name).in_(_MOVES))
        .order_by(col(EventRecord.seq))
    )
    moves: dict[str, list[bytes]] = defaultdict(list)
    for name, transaction in session.exec(query).all():
        moves[name].append(transaction)
    return LeaseTransactions(
        opened=_newest(moves["LeaseOpened"]),
        settled=tuple(moves["UsageSettled"]),
        terminated=_newest(moves["LeaseTerminated"]),
        closed=_newest(moves["LeaseClosed"]),
    )


def _newest(hashes: Sequence[bytes]) -> bytes | None:
    return hashes[-1] if hashes else None


def _offer_row(session: Session, record: OfferRecord) -> OfferRow:
    offer = loads(Offer, record.offer)
    return OfferRow(
        id=OfferId(record.id),
        offer=offer,
        used=Quantities.unpack(record.used),
        cancelled=record.cancelled,
        void=offer.epoch != epoch(session, offer.provider),
    )


def _intent_row(record: IntentRecord) -> IntentRow:
    assert record.id is not None
    return IntentRow(
        id=record.id,
        key=record.key,
        instruction=instruction_from(record.instruction),
        state=IntentState(record.state),
        detail=record.detail,
        created_at=record.created_at,
    )
