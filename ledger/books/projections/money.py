"""Postings and sums: every surviving money event posted once, and what each account holds of each kind."""

from sqlmodel import Session, select

from ledger.books.accounts import Leg, legs_of
from ledger.books.projections.market import policy_of
from ledger.books.tables import BalanceRecord, PostingRecord, StakeRecord
from ledger.market.errors import Broken
from ledger.market.events import Logged
from ledger.market.identity import from_text


def post(session: Session, logged: Logged) -> None:
    """Post an event's legs; `Broken` where they would leave a balance or a stake below zero."""
    for number, leg in enumerate(legs_of(logged.event, policy_of(session, logged.event))):
        session.add(
            PostingRecord(
                block_hash=logged.block.hash,
                log_index=logged.log_index,
                leg=number,
                account=leg.account,
                amount=leg.amount,
            )
        )
        if _credit(session, leg) < 0:
            raise Broken(
                "negative-balance",
                f"The events leave {leg.account} below zero.",
                "Follow the chain again from the market's first block.",
            )


def unpost(session: Session, block_hash: bytes) -> None:
    """Take back what the events of a vanished block posted."""
    for posting in session.exec(select(PostingRecord).where(PostingRecord.block_hash == block_hash)).all():
        _credit(session, Leg(account=posting.account, amount=-posting.amount))
        session.delete(posting)


def _credit(session: Session, leg: Leg) -> int:
    """What the account holds afterwards; 0 for an account that is kept as postings alone."""
    kind, _, name = leg.account.partition(":")
    if kind == "balance":
        record = _balance(session, from_text(name, 20))
        record.amount += leg.amount
        return record.amount
    if kind == "stake":
        staked = stake_of(session, from_text(name, 20))
        staked.free += leg.amount
        return staked.free
    if kind == "unstaking":
        staked = stake_of(session, from_text(name, 20))
        staked.queued += leg.amount
        return staked.queued
    return 0


def _balance(session: Session, account: bytes) -> BalanceRecord:
    record = session.get(BalanceRecord, account) or BalanceRecord(account=account, amount=0)
    session.add(record)
    return record


def stake_of(session: Session, account: bytes) -> StakeRecord:
    """The account's row of stakes, made where missing."""
    record = session.get(StakeRecord, account) or StakeRecord(account=account)
    session.add(record)
    return record
