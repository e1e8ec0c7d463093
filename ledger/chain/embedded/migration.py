"""Brings a chain file of an earlier release to today's tables, whole or not at all.

Version 1 kept everything that py-evm ever wrote and did not say whose a node was. Only the state of the head
is carried over (and of the blocks before it that changed nothing): the rest could not be pruned later.
"""

import sqlite3

import rlp
from eth.vm.forks.prague.blocks import PragueBlockHeader

from ledger.chain.embedded import schema
from ledger.chain.embedded.walk import state_nodes

_HEADERS = "SELECT number, header FROM blocks WHERE canonical = 1 ORDER BY number DESC"


def from_version_1(db: sqlite3.Connection) -> None:
    """Inside a transaction: move the head's state into `nodes` and drop `kv`. `Broken` if it is not whole."""

    def read(key: bytes) -> bytes | None:
        row = db.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    for statement in schema.STATE.split(";"):
        db.execute(statement)
    head = db.execute(_HEADERS).fetchone()
    if head is not None:
        root = _root(head[1])
        rows = ((node.hash, node.owner, head[0], node.value) for node in state_nodes(read, root))
        db.executemany("INSERT INTO nodes(hash, owner, number, value) VALUES (?,?,?,?)", rows)
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (_first_with(db, root), schema.OLDEST_STATE))
    db.execute("DROP TABLE kv")


def _first_with(db: sqlite3.Connection, root: bytes) -> int:
    first = 0
    for number, header in db.execute(_HEADERS):
        if _root(header) != root:
            break
        first = number
    return first


def _root(header: bytes) -> bytes:
    return bytes(rlp.decode(header, sedes=PragueBlockHeader).state_root)
