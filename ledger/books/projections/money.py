"""Postings and balances: every surviving money event posted once, and the sum of each balance account."""

from sqlmodel import Session, select

from ledger.books.accounts import Leg, legs_of
from ledger.books.tables import BalanceRecord, PostingRecord
from ledger.market.errors import Broken
from ledger.market.events import Logged
from ledger.market.identity import from_text

_BALANCE = "balance:"


def post(session: Session, logged: Logged) -> None:
    """Post an event's legs; `Broken` where they would leave a balance below zero."""
    for number, leg in enumerate(legs_of(logged.event)):
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
    """The account's balance afterwards; 0 for an account that is kept as postings alone."""
    if not leg.account.startswith(_BALANCE):
        return 0
    account = from_text(leg.account.removeprefix(_BALANCE), 20)
    record = session.get(BalanceRecord, account) or BalanceRecord(account=account, amount=0)
    record.amount += leg.amount
    session.add(record)
    return record.amount
