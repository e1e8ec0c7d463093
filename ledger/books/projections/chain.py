"""What the followed chain did to the books, block by block, and how a reorganisation takes it back."""

from collections.abc import Iterable

from sqlmodel import Session, col, func, select

from ledger.books.mapping import dumps
from ledger.books.projections import jobs, keys, leases, market, money, offers
from ledger.books.tables import BlockRecord, EventRecord
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    DelegateSet,
    EpochBumped,
    FeePaid,
    GuardianRenounced,
    LeaseClosed,
    LeaseContinued,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    Logged,
    MarketDeployed,
    MarketEvent,
    OfferCancelled,
    OfferRegistered,
    Paused,
    ReceiptSkipped,
    ReplicasDecided,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
    StakeBurned,
    Unpaused,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
)
from ledger.market.facts import ChainObserved, ChainRewound
from ledger.market.identity import text


def observe(session: Session, seq: int, fact: ChainObserved) -> None:
    """Apply one block's events in their order."""
    session.add(BlockRecord(hash=fact.block.hash, number=fact.block.number, seq=seq))
    number = session.exec(select(func.max(EventRecord.seq))).one() or 0
    for place, logged in enumerate(sorted(fact.events, key=lambda one: one.log_index), start=1):
        session.add(_listed(number + place, logged))
        money.post(session, logged)
        _apply(session, seq, logged.event)


def rewind(session: Session, fact: ChainRewound) -> None:
    """Take back every block above the common ancestor."""
    vanished = select(BlockRecord).where(BlockRecord.number > fact.to.number)
    doomed = session.exec(vanished.order_by(col(BlockRecord.number).desc())).all()
    subjects: set[str] = set()
    for block in doomed:
        events = session.exec(
            select(EventRecord).where(
                EventRecord.block_hash == block.hash, col(EventRecord.rewound).is_(False)
            )
        ).all()
        for event in events:
            event.rewound = True
            subjects.add(event.subject)
        money.unpost(session, block.hash)
        session.delete(block)
    session.flush()
    _refold(session, sorted(subjects))


def subject_of(event: MarketEvent) -> str:
    """Whose state an event changes: `lease:0x…`, `offer:0x…`, `account:0x…`, `bid:0x…`, `matcher:0x…`, or
    the market's own (`market:0x`)."""
    match event:
        case OfferRegistered(id=offer) | OfferCancelled(id=offer):
            return f"offer:{text(offer)}"
        case LeaseOpened(id=lease):
            return f"lease:{text(lease)}"
        case UsageSettled() | LeaseTerminated() | LeaseClosed() | ReceiptSkipped():
            return f"lease:{text(event.lease)}"
        case LeaseContinued() | LeaseJudged() | ResultCommitted() | ResultRevealed():
            return f"lease:{text(event.lease)}"
        case BidSkipped(bid=bid) | ReplicasOpened(bid=bid) | ReplicasDecided(bid=bid):
            return f"bid:{text(bid)}"
        case BatchMatched(matcher=matcher):
            return f"matcher:{text(matcher)}"
        case FeePaid(matcher=matcher):
            return f"account:{text(matcher)}"
        case ClaimOpened() | ClaimContested() | ClaimDecided() | StakeBurned():
            return f"lease:{text(event.lease)}"
        case MarketDeployed() | Paused() | Unpaused() | GuardianRenounced():
            return market.SUBJECT
        case _:
            return f"account:{text(event.account)}"


def _listed(number: int, logged: Logged) -> EventRecord:
    return EventRecord(
        seq=number,
        name=type(logged.event).__name__,
        subject=subject_of(logged.event),
        block_number=logged.block.number,
        block_hash=logged.block.hash,
        block_parent=logged.block.parent,
        block_at=logged.block.at,
        log_index=logged.log_index,
        transaction_hash=logged.transaction,
        body=dumps(logged.event),
    )


def _apply(session: Session, seq: int, event: MarketEvent) -> None:
    match event:
        case OfferRegistered():
            offers.register(session, event)
        case OfferCancelled(id=offer):
            offers.cancel(session, offer)
        case EpochBumped() | DelegateSet() | UnstakeQueued() | Unstaked():
            keys.observe(session, event)
        case MarketDeployed() | Paused() | Unpaused() | GuardianRenounced():
            market.observe(session, event)
        case ClaimOpened() | ClaimContested() | ClaimDecided() | StakeBurned():
            _move_lease(session, seq, event)
        case LeaseOpened() | UsageSettled() | LeaseTerminated() | LeaseClosed():
            _move_lease(session, seq, event)
        case LeaseContinued() | LeaseJudged() | ResultCommitted() | ResultRevealed():
            _move_lease(session, seq, event)
        case ReplicasOpened() | ReplicasDecided():
            _move_replicas(session, event)
        case _:
            return


def _move_lease(session: Session, seq: int, event: leases.LeaseEvent) -> None:
    lease = leases.observe(session, seq, event)
    if isinstance(event, LeaseOpened):
        offers.take(session, lease.offer, event.terms.want)
    elif isinstance(event, LeaseClosed):
        offers.give_back(session, lease.offer, leases.terms_of(lease).want)
    jobs.restand(session, lease.job)


def _move_replicas(session: Session, event: leases.ReplicasEvent) -> None:
    session.flush()
    moved = leases.observe_replicas(session, event)
    session.flush()
    for job in {lease.job for lease in moved}:
        jobs.restand(session, job)


def _refold(session: Session, subjects: Iterable[str]) -> None:
    touched: set[bytes] = set()
    for subject in subjects:
        kind, _, name = subject.partition(":")
        raw = bytes.fromhex(name[2:])
        if kind == "offer":
            touched.add(raw)
        elif kind == "account":
            keys.refold(session, raw)
        elif subject == market.SUBJECT:
            market.refold(session)
        elif kind == "lease":
            touched |= _refold_leases(session, [raw])
        elif kind == "bid":
            touched |= _refold_leases(session, leases.ids_of_bid(session, raw))
    for offer in sorted(touched):
        offers.refold_offer(session, offer)


def _refold_leases(session: Session, ids: Iterable[bytes]) -> set[bytes]:
    """Rebuild these leases and what hangs on them; the offers that they are on."""
    touched: set[bytes] = set()
    for name in ids:
        lease = leases.refold(session, name)
        if lease is not None:
            touched.add(lease.offer)
            jobs.restand(session, lease.job)
    return touched
