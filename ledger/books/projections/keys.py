"""What an account's events say beside its money: its epoch, its delegates, and when its stake unlocks."""

from typing import get_args

from sqlmodel import Session, select

from ledger.books.money_tables import UnlockRecord
from ledger.books.projections.offers import bump, surviving
from ledger.books.tables import DelegationRecord, EpochRecord
from ledger.market.events import DelegateSet, EpochBumped, Unstaked, UnstakeQueued
from ledger.market.identity import text

AccountEvent = EpochBumped | DelegateSet | UnstakeQueued | Unstaked
_NAMES = tuple(kind.__name__ for kind in get_args(AccountEvent))
"""of all that an account's events are, of which a matcher has one a payment"""


def observe(session: Session, event: AccountEvent) -> None:
    """One event of an account."""
    match event:
        case EpochBumped():
            bump(session, event)
        case DelegateSet():
            _delegate(session, event)
        case UnstakeQueued(account=account, unlock_at=unlock_at):
            record = session.get(UnlockRecord, account) or UnlockRecord(account=account, at=0)
            record.at = unlock_at
            session.add(record)
        case Unstaked(account=account):
            _forget_unlock(session, account)


def refold(session: Session, account: bytes) -> None:
    """Rebuild all of it from the account's surviving events, after some of them vanished."""
    epoch = session.get(EpochRecord, account)
    if epoch is not None:
        session.delete(epoch)
    for record in session.exec(select(DelegationRecord).where(DelegationRecord.account == account)).all():
        session.delete(record)
    _forget_unlock(session, account)
    for event in surviving(session, f"account:{text(account)}", names=_NAMES):
        if isinstance(event, AccountEvent):
            observe(session, event)


def _forget_unlock(session: Session, account: bytes) -> None:
    record = session.get(UnlockRecord, account)
    if record is not None:
        session.delete(record)
    session.flush()


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
