"""What an account's events say beside its money: its epoch, its delegates, and when its stake unlocks."""

from sqlmodel import Session, select

from ledger.books.projections.money import stake_of
from ledger.books.projections.offers import bump, surviving
from ledger.books.tables import DelegationRecord, EpochRecord, StakeRecord
from ledger.market.events import DelegateSet, EpochBumped, Unstaked, UnstakeQueued
from ledger.market.identity import text

AccountEvent = EpochBumped | DelegateSet | UnstakeQueued | Unstaked


def observe(session: Session, event: AccountEvent) -> None:
    """One event of an account."""
    match event:
        case EpochBumped():
            bump(session, event)
        case DelegateSet():
            _delegate(session, event)
        case UnstakeQueued(account=account, unlock_at=unlock_at):
            stake_of(session, account).unlock_at = unlock_at
        case Unstaked(account=account):
            stake_of(session, account).unlock_at = 0


def refold(session: Session, account: bytes) -> None:
    """Rebuild all of it from the account's surviving events, after some of them vanished."""
    epoch = session.get(EpochRecord, account)
    if epoch is not None:
        session.delete(epoch)
    for record in session.exec(select(DelegationRecord).where(DelegationRecord.account == account)).all():
        session.delete(record)
    staked = session.get(StakeRecord, account)
    if staked is not None:
        staked.unlock_at = 0
    session.flush()
    for event in surviving(session, f"account:{text(account)}"):
        if isinstance(event, AccountEvent):
            observe(session, event)


def _delegate(session: Session, event: DelegateSet) -> None:
    record = session.get(DelegationRecord, (event.account, event.key))
    if not event.roles:
        if record is not None:
            session.delete(record)
            session.flush()
        return
    record = record or DelegationRecord(account=event.account, key=event.key)
    record.roles, record.allowance, record.until = event.roles, event.allowance, event.until
    session.add(record)
