"""Drops state that only old blocks need, so that the disk grows by what the chain says and not by its tries.

What a block replaced, the states from it on do not need. When the block leaves the window of kept states its
list is worked off in the transaction of the block that pushed it out: no search, no pause, and a kill leaves
both done or neither. A node that a later block made anew bears that block's number and stays. Lists of blocks
off the canonical chain are dropped unread; what those blocks wrote stays, as their states may be shared.
"""

import sqlite3

from ledger.chain.embedded import schema

_HASH_BYTES = 32


def prune(db: sqlite3.Connection, oldest: int, limit: int) -> int:
    """Make block `oldest` the first whose state is kept, by at most `limit` blocks; returns how many remain.

    Runs inside the caller's transaction.
    """
    row = db.execute("SELECT value FROM meta WHERE key = ?", (schema.OLDEST_STATE,)).fetchone()
    first, last = row[0] + 1, min(oldest, row[0] + limit)
    for number in range(first, last + 1):
        _drop_replaced(db, number)
    if last >= first:
        db.execute("DELETE FROM replaced WHERE number <= ?", (last,))
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (last, schema.OLDEST_STATE))
    return max(0, int(oldest - max(last, row[0])))


def _drop_replaced(db: sqlite3.Connection, number: int) -> None:
    lists = db.execute(
        "SELECT r.owner, r.hashes FROM replaced r JOIN blocks b ON b.hash = r.block"
        " WHERE r.number = ? AND b.canonical = 1",
        (number,),
    ).fetchall()
    db.executemany(
        "DELETE FROM nodes WHERE hash = ? AND owner = ? AND number < ?",
        (
            (hashes[at : at + _HASH_BYTES], owner, number)
            for owner, hashes in lists
            for at in range(0, len(hashes), _HASH_BYTES)
        ),
    )
