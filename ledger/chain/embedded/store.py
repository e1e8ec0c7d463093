"""One SQLite file holds the whole chain, so that a kill at any instant leaves a whole number of blocks.

A block's trie nodes, rows and canonical marks go in one transaction with `synchronous=FULL` (one fsync
of the write-ahead log a block): what a reader has seen is on disk. There is one writing connection,
guarded by the chain's lock; readers take connections of their own, each question one snapshot.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.chain.embedded.queries import Queries
from ledger.chain.embedded.rows import BlockChanges
from ledger.market.errors import Broken, Unavailable

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks(
    hash BLOB PRIMARY KEY, number INTEGER NOT NULL, parent BLOB NOT NULL, timestamp INTEGER NOT NULL,
    header BLOB NOT NULL, size INTEGER NOT NULL, canonical INTEGER NOT NULL);
CREATE UNIQUE INDEX canonical_blocks ON blocks(number) WHERE canonical = 1;
CREATE TABLE txs(
    block BLOB NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, sender BLOB NOT NULL,
    raw BLOB NOT NULL, PRIMARY KEY(block, position));
CREATE INDEX txs_by_hash ON txs(hash);
CREATE TABLE receipts(
    block BLOB NOT NULL, position INTEGER NOT NULL, type INTEGER NOT NULL, status INTEGER NOT NULL,
    gas_used INTEGER NOT NULL, cumulative_gas INTEGER NOT NULL, price TEXT NOT NULL, contract BLOB,
    bloom BLOB NOT NULL, PRIMARY KEY(block, position));
CREATE TABLE logs(
    block BLOB NOT NULL, position INTEGER NOT NULL, number INTEGER NOT NULL,
    tx_position INTEGER NOT NULL, tx BLOB NOT NULL, address BLOB NOT NULL, topic0 BLOB, topic1 BLOB,
    topic2 BLOB, topic3 BLOB, data BLOB NOT NULL, canonical INTEGER NOT NULL,
    PRIMARY KEY(block, position));
CREATE INDEX logs_by_number ON logs(number, position) WHERE canonical = 1;
CREATE INDEX logs_by_address ON logs(address, topic0, number) WHERE canonical = 1;
CREATE INDEX logs_by_topic1 ON logs(topic1, number) WHERE canonical = 1 AND topic1 IS NOT NULL;
CREATE INDEX logs_by_topic2 ON logs(topic2, number) WHERE canonical = 1 AND topic2 IS NOT NULL;
CREATE INDEX logs_by_topic3 ON logs(topic3, number) WHERE canonical = 1 AND topic3 IS NOT NULL;
CREATE TABLE grants(address BLOB NOT NULL, at INTEGER NOT NULL);
CREATE INDEX grants_by_time ON grants(at);
"""


class Store:
    """The chain's file at `path`, created when absent. `Broken` if unreadable or of another version."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = _connect(path)
        self._idle: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        self._prepare()

    def commit(self, changes: BlockChanges) -> None:
        """Write one block; returns after it is on disk. `Unavailable` when it cannot be written."""
        canonical = set(changes.canonical)
        mark = int(changes.block.hash in canonical)
        with self._transaction() as db:
            _write_nodes(db, changes)
            for orphan in changes.orphaned:
                _mark(db, orphan, canonical=False)
            db.execute("INSERT INTO blocks VALUES (?,?,?,?,?,?,?)", (*changes.block, mark))
            db.executemany("INSERT INTO txs VALUES (?,?,?,?,?)", changes.transactions)
            db.executemany("INSERT INTO receipts VALUES (?,?,?,?,?,?,?,?,?)", changes.receipts)
            rows = ((*log, mark) for log in changes.logs)
            db.executemany("INSERT INTO logs VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
            for adopted in canonical - {changes.block.hash}:
                _mark(db, adopted, canonical=True)

    def record_grant(self, address: bytes, at: int) -> None:
        """Note that the faucet served `address` at second `at`, before it serves."""
        with self._transaction() as db:
            db.execute("INSERT INTO grants VALUES (?,?)", (address, at))

    def node(self, key: bytes) -> bytes | None:
        """Read one key of py-evm's database through the writing connection."""
        row = self._writer.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

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
            raise Unavailable(
                "chain-file-unwritable",
                f"The chain file {self._path} cannot be written: {exc}.",
                "Make room on its disk; nothing that was acknowledged is lost.",
            ) from exc
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        with suppress(sqlite3.Error):
            self._writer.rollback()

    def _prepare(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self._transaction() as db:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise Broken(
                "chain-file-version",
                f"The chain file has schema version {version}, this program knows {SCHEMA_VERSION}.",
                "Run the version of Bingwang that wrote it, or start a new chain directory.",
                path=str(self._path),
            )


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


def _write_nodes(db: sqlite3.Connection, changes: BlockChanges) -> None:
    kept = [(key, value) for key, value in changes.nodes.items() if value is not None]
    gone = [(key,) for key, value in changes.nodes.items() if value is None]
    db.executemany("INSERT OR REPLACE INTO kv VALUES (?,?)", kept)
    db.executemany("DELETE FROM kv WHERE key = ?", gone)


def _mark(db: sqlite3.Connection, block: bytes, *, canonical: bool) -> None:
    db.execute("UPDATE blocks SET canonical = ? WHERE hash = ?", (int(canonical), block))
    db.execute("UPDATE logs SET canonical = ? WHERE block = ?", (int(canonical), block))
