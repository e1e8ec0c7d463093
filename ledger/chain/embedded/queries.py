"""The questions JSON-RPC asks of the chain, as SQL over one snapshot.

Everything here is an index look-up; nothing walks blocks, so answers stay quick however long the chain is.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.chain.embedded import schema
from ledger.chain.embedded.rows import BlockRow, LogRow, ReceiptRow, TransactionRow

_BLOCK = "SELECT hash, number, parent, timestamp, header, size FROM blocks"
_LOG = (
    "SELECT block, position, number, tx_position, tx, address, topic0, topic1, topic2, topic3, data FROM logs"
)
_TOPICS = ("topic0", "topic1", "topic2", "topic3")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which logs: a canonical range, or one block by hash (which may be off the canonical chain).

    `addresses` empty means any; `topics` holds per place the accepted values, empty meaning any.
    """

    first: int = 0
    last: int = 0
    block: bytes | None = None
    addresses: Sequence[bytes] = ()
    topics: Sequence[Sequence[bytes]] = ()


class Queries:
    """Read-only questions over one SQLite snapshot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def head(self) -> BlockRow:
        """The canonical block with the highest number; there is always a genesis."""
        rows = self._blocks("WHERE canonical = 1 ORDER BY number DESC LIMIT 1", ())
        return rows[0]

    def block_by_number(self, number: int) -> BlockRow | None:
        """The canonical block of that height."""
        rows = self._blocks("WHERE canonical = 1 AND number = ?", (number,))
        return rows[0] if rows else None

    def block_by_hash(self, block: bytes) -> BlockRow | None:
        """Any sealed block, canonical or not."""
        rows = self._blocks("WHERE hash = ?", (block,))
        return rows[0] if rows else None

    def is_canonical(self, block: BlockRow) -> bool:
        """Whether the block is on the canonical chain."""
        found = self.block_by_number(block.number)
        return found is not None and found.hash == block.hash

    def canonical_ancestor(self, block: bytes) -> BlockRow | None:
        """The block itself where it is canonical, else its nearest ancestor that is."""
        row = self.block_by_hash(block)
        while row is not None and not self.is_canonical(row):
            row = self.block_by_hash(row.parent)
        return row

    def blocks_between(self, first: int, last: int) -> list[BlockRow]:
        """Canonical blocks `first` to `last`, both included, in order."""
        return self._blocks("WHERE canonical = 1 AND number BETWEEN ? AND ? ORDER BY number", (first, last))

    def transactions_of(self, block: bytes) -> list[TransactionRow]:
        """A block's transactions in order."""
        rows = self._db.execute(
            "SELECT block, position, hash, sender, raw FROM txs WHERE block = ? ORDER BY position", (block,)
        )
        return [TransactionRow(*row) for row in rows]

    def transaction_count(self, block: bytes) -> int:
        """How many transactions the block holds."""
        return int(self._db.execute("SELECT count(*) FROM txs WHERE block = ?", (block,)).fetchone()[0])

    def transaction(self, transaction: bytes) -> TransactionRow | None:
        """The canonical inclusion of a transaction, if there is one."""
        row = self._db.execute(
            "SELECT t.block, t.position, t.hash, t.sender, t.raw FROM txs t"
            " JOIN blocks b ON b.hash = t.block WHERE t.hash = ? AND b.canonical = 1",
            (transaction,),
        ).fetchone()
        return None if row is None else TransactionRow(*row)

    def receipts_of(self, block: bytes) -> list[ReceiptRow]:
        """The receipts of a block in order."""
        rows = self._db.execute("SELECT * FROM receipts WHERE block = ? ORDER BY position", (block,))
        return [ReceiptRow(*row) for row in rows]

    def receipt(self, block: bytes, position: int) -> ReceiptRow:
        """The receipt of one included transaction."""
        row = self._db.execute(
            "SELECT * FROM receipts WHERE block = ? AND position = ?", (block, position)
        ).fetchone()
        return ReceiptRow(*row)

    def logs_of(self, block: bytes, position: int) -> list[LogRow]:
        """The logs of the transaction at `position` in a block."""
        rows = self._db.execute(
            f"{_LOG} WHERE block = ? AND tx_position = ? ORDER BY position", (block, position)
        )
        return [LogRow(*row) for row in rows]

    def logs(self, wanted: LogFilter, limit: int) -> list[LogRow]:
        """Matching logs in chain order, at most `limit` of them."""
        clauses, values = _conditions(wanted)
        sql = f"{_LOG} WHERE {' AND '.join(clauses)} ORDER BY number, position LIMIT ?"
        return [LogRow(*row) for row in self._db.execute(sql, (*values, limit))]

    def node(self, key: bytes) -> bytes | None:
        """A trie node or code by its hash."""
        row = self._db.execute("SELECT value FROM nodes WHERE hash = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def oldest_state(self) -> int:
        """The first block whose state is whole."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (schema.OLDEST_STATE,)).fetchone()
        return int(row[0])

    def grants(self, since: int, address: bytes | None = None) -> int:
        """How often the faucet served anybody, or `address`, after second `since`."""
        sql, values = "SELECT count(*) FROM grants WHERE at > ?", [since]
        if address is None:
            return int(self._db.execute(sql, values).fetchone()[0])
        return int(self._db.execute(f"{sql} AND address = ?", (since, address)).fetchone()[0])

    def _blocks(self, condition: str, values: Sequence[object]) -> list[BlockRow]:
        return [BlockRow(*row) for row in self._db.execute(f"{_BLOCK} {condition}", values)]


def _conditions(wanted: LogFilter) -> tuple[list[str], list[object]]:
    clauses, values = ["canonical = 1", "number BETWEEN ? AND ?"], list[object]((wanted.first, wanted.last))
    if wanted.block is not None:
        clauses, values = ["block = ?"], list[object]((wanted.block,))
    columns = [("address", wanted.addresses), *zip(_TOPICS, wanted.topics, strict=False)]
    for column, accepted in columns:
        if accepted:
            clauses.append(f"{column} IN ({','.join('?' * len(accepted))})")
            values.extend(accepted)
    if wanted.topics and not wanted.topics[-1]:
        clauses.append(f"{_TOPICS[len(wanted.topics) - 1]} IS NOT NULL")
    return clauses, values
