"""One SQLite file holds the whole chain, so that a kill at any instant leaves a whole number of blocks.

A block's trie nodes, rows and canonical marks go in one transaction with `synchronous=FULL` (one fsync
of the write-ahead log a block): what a reader has seen is on disk. The nodes that it makes useless are
dropped in the same transaction. There is one writing connection, guarded by the chain's lock; readers take
connections of their own, each question one snapshot.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.chain.embedded import migration, pruning, schema
from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockChanges
from ledger.market.errors import Broken, Unavailable

_CACHE_KIB = 32 * 1024
_PRUNED_AT_ONCE = 4
"""blocks whose replaced nodes are dropped with one new block: a backlog goes away without a long pause"""


class Store:
    """The chain's file at `path`, created when absent. `Broken` if unreadable or of a later version.

    `keep_states` is for how many blocks behind the head the state stays; None keeps all.
    """

    def __init__(self, path: Path, *, keep_states: int | None = None) -> None:
        self._path = path
        self._keep_states = keep_states
        self._writer = _connect(path)
        self._writer.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._idle: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        try:
            self._prepare()
        except BaseException:
            self._writer.close()
            raise

    def commit(self, changes: BlockChanges) -> None:
        """Write one block; returns after it is on disk. `Unavailable` when it cannot be written."""
        canonical = set(changes.canonical)
        mark = int(changes.block.hash in canonical)
        with self._transaction() as db:
            _write_state(db, changes)
            for orphan in changes.orphaned:
                _mark(db, orphan, canonical=False)
            db.execute("INSERT INTO blocks VALUES (?,?,?,?,?,?,?)", (*changes.block, mark))
            db.executemany("INSERT INTO txs VALUES (?,?,?,?,?)", changes.transactions)
            db.executemany("INSERT INTO receipts VALUES (?,?,?,?,?,?,?,?,?)", changes.receipts)
            rows = ((*log, mark) for log in changes.logs)
            db.executemany("INSERT INTO logs VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
            for adopted in canonical - {changes.block.hash}:
                _mark(db, adopted, canonical=True)
            if mark and self._keep_states is not None:
                pruning.prune(db, changes.block.number - self._keep_states, _PRUNED_AT_ONCE)

    def prune(self, oldest: int, limit: int) -> int:
        """Drop what only states before block `oldest` need, of at most `limit` blocks; blocks still to do."""
        with self._transaction() as db:
            return pruning.prune(db, oldest, limit)

    def oldest_state(self) -> int:
        """The first block whose state is whole."""
        with self.reading() as query:
            return query.oldest_state()

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong with the file; empty when nothing."""
        try:
            rows = self._writer.execute("PRAGMA integrity_check(10)").fetchall()
        except sqlite3.DatabaseError as exc:
            return [str(exc)]
        return [row[0] for row in rows if row[0] != "ok"]

    def compact(self) -> None:
        """Rewrite the file without its free pages, which gives their room back to the disk."""
        try:
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as exc:
            raise self._unwritable(exc) from exc

    def record_grant(self, address: bytes, at: int) -> None:
        """Note that the faucet served `address` at second `at`, before it serves."""
        with self._transaction() as db:
            db.execute("INSERT INTO grants VALUES (?,?)", (address, at))

    def node(self, key: bytes) -> bytes | None:
        """Read one trie node or code through the writing connection."""
        return Queries(self._writer).node(key)

    @contextmanager
    def reading(self) -> Iterator[Queries]:
        """Lend a connection whose questions all see one committed state."""
        connection = self._borrow()
        try:
            connection.execute("BEGIN")
            yield Queries(connection)
        finally:
            connection.rollback()
            with self._pool_lock:
                self._idle.append(connection)

    def close(self) -> None:
        """Close every connection; SQLite then folds the write-ahead log into the file."""
        with self._pool_lock:
            while self._idle:
                self._idle.pop().close()
        self._writer.close()

    def _borrow(self) -> sqlite3.Connection:
        with self._pool_lock:
            if self._idle:
                return self._idle.pop()
        return _connect(self._path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            yield self._writer
            self._writer.commit()
        except sqlite3.OperationalError as exc:
            self._abandon()
            raise self._unwritable(exc) from exc
        except BaseException:
            self._abandon()
            raise

    def _unwritable(self, cause: Exception) -> Unavailable:
        return Unavailable(
            "chain-file-unwritable",
            f"The chain file {self._path} cannot be written: {cause}.",
            "Make room on its disk; nothing that was acknowledged is lost.",
        )

    def _abandon(self) -> None:
        with suppress(sqlite3.Error):
            self._writer.rollback()

    def _prepare(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.VERSION:
            raise Broken(
                "chain-file-version",
                f"The chain file has schema version {version}, this program knows {schema.VERSION}.",
                "Run the version of Bingwang that wrote it, or start a new chain directory.",
                path=str(self._path),
            )
        if version < schema.VERSION:
            with self._transaction() as db:
                _bring_up(db, version)


def _bring_up(db: sqlite3.Connection, version: int) -> None:
    if version == 0:
        for statement in f"{schema.BLOCKS};{schema.STATE}".split(";"):
            db.execute(statement)
    else:
        migration.from_version_1(db)
    db.execute(f"PRAGMA user_version={schema.VERSION}")


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.DatabaseError as exc:
        raise Broken(
            "chain-file-unreadable",
            f"The chain file {path} cannot be opened as an SQLite database.",
            "Restore it from a backup, or start a new chain directory.",
        ) from exc
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _write_state(db: sqlite3.Connection, changes: BlockChanges) -> None:
    db.executemany(
        "INSERT INTO nodes(hash, owner, number, value) VALUES (?,?,?,?)"
        " ON CONFLICT(hash, owner) DO UPDATE SET number = max(number, excluded.number)",
        changes.nodes,
    )
    db.executemany("INSERT INTO replaced VALUES (?,?,?,?)", changes.replaced)


def _mark(db: sqlite3.Connection, block: bytes, *, canonical: bool) -> None:
    db.execute("UPDATE blocks SET canonical = ? WHERE hash = ?", (int(canonical), block))
    db.execute("UPDATE logs SET canonical = ? WHERE block = ?", (int(canonical), block))
