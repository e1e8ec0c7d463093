"""Which transaction carries a wish: for who asked for it and wants to look it up on the chain.

A transaction may carry several wishes, and a wish may pass through several transactions (a raised fee, a
nonce that somebody else took); the newest one is the one to look at.
"""

import json

from sqlmodel import col, select

from ledger.books.books import Books
from ledger.books.tables import AttemptRecord


def newest_transaction(books: Books, intent: int) -> bytes | None:
    """The hash of the newest transaction of a wish; None while it waits for one."""
    query = (
        select(AttemptRecord.hash, AttemptRecord.intents)
        .where(col(AttemptRecord.intents).contains(str(intent)))
        .order_by(col(AttemptRecord.id).desc())
    )
    with books.reading() as session:
        for transaction, carried in session.exec(query):
            if intent in json.loads(carried):
                return bytes(transaction)
    return None
