"""A chain in one file: taken while it is mined, put back only after it was proved whole.

The copy is of one instant (a reader's snapshot; the writer is never held up) and carries the genesis
document, since a chain file alone is nobody's. The faucet's key lies beside it in a file of its own, so that
a copy of the chain is no secret and can be kept anywhere.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from eth_keys.datatypes import PrivateKey

from ledger.chain.embedded import genesis
from ledger.chain.embedded.chain import lock
from ledger.chain.embedded.store import Store
from ledger.chain.embedded.verification import Progress, Verified, silent, verify
from ledger.market.errors import Broken, Rejected, Unavailable

_PAGES_AT_ONCE = 1_024
_COPY_BYTES = 4 * 1024 * 1024
KEY_SUFFIX = ".key"
_TABLE = "CREATE TABLE backup(name TEXT PRIMARY KEY, content BLOB NOT NULL)"
_HEAD = "SELECT number, hash FROM blocks WHERE canonical = 1 ORDER BY number DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """The head of the copied chain, and the copy's size in bytes."""

    head: int
    head_hash: bytes
    size: int


def backup(directory: Path, to: Path, progress: Progress = silent) -> BackedUp:
    """Copy the chain in `directory`, running or not, into the new file `to`; on disk when it returns.

    The faucet's key goes to `key_of(to)`, for its owner alone. Raises `Rejected` (no chain, file exists),
    `Broken` (unreadable) or `Unavailable` (cannot be written).
    """
    genesis.read(directory)
    key = genesis.read_key(directory)
    if to.exists() or key_of(to).exists():
        raise Rejected("backup-exists", f"{to} exists already.", "Name another file.")
    partial = to.with_name(f".{to.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(directory, partial, progress)
        head = _finish(directory, partial)
        genesis.put_file(key_of(to), key.hex().encode(), mode=0o600)
        genesis.publish(partial, to)
    except (OSError, sqlite3.OperationalError) as exc:
        raise Unavailable(
            "backup-unwritable",
            f"The backup {to} cannot be written: {exc}.",
            "Make room, or name another place.",
        ) from exc
    except sqlite3.DatabaseError as exc:
        raise Broken(
            "chain-file-unreadable",
            f"The chain in {directory} cannot be read: {exc}.",
            "Restore a backup of it.",
        ) from exc
    finally:
        partial.unlink(missing_ok=True)
    return BackedUp(head=head[0], head_hash=bytes(head[1]), size=to.stat().st_size)


def restore(file: Path, directory: Path, progress: Progress = silent) -> Verified:
    """Make the chain of a backup in `directory`; it appears there only after it was verified.

    Raises `Rejected` (a chain is there, no such file) or `Broken` (not a whole backup).
    """
    for one in (file, key_of(file)):
        if not one.is_file():
            raise Rejected("backup-missing", f"There is no file {one}.", "Name a backup, its key beside it.")
    directory.mkdir(parents=True, exist_ok=True)
    held = lock(directory)
    try:
        aside = genesis.begin(directory)
        try:
            _copy_file(file, aside / genesis.CHAIN_FILE, progress)
            _unpack(aside, file)
            verified = _verified(aside, progress)
            genesis.finish(directory)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    finally:
        os.close(held)
    return verified


def key_of(backup_file: Path) -> Path:
    """Where the faucet's key of a backup lies."""
    return backup_file.with_name(backup_file.name + KEY_SUFFIX)


def _copy(directory: Path, to: Path, progress: Progress) -> None:
    with _connected(directory / genesis.CHAIN_FILE) as source, _connected(to) as target:
        source.execute("BEGIN")
        source.execute(_HEAD).fetchone()  # from here on this connection sees one instant
        size = source.execute("PRAGMA page_size").fetchone()[0]

        def report(_: int, left: int, total: int) -> None:
            progress("copied", (total - left) * size, total * size)

        source.backup(target, pages=_PAGES_AT_ONCE, progress=report, sleep=0)
        source.rollback()


def _finish(directory: Path, copy: Path) -> tuple[int, bytes]:
    with _connected(copy) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("BEGIN")
        db.execute(_TABLE)
        document = (directory / genesis.GENESIS_FILE).read_bytes()
        db.execute("INSERT INTO backup VALUES (?,?)", (genesis.GENESIS_FILE, document))
        db.commit()
        head: tuple[int, bytes] = db.execute(_HEAD).fetchone()
    return head


def _copy_file(file: Path, to: Path, progress: Progress) -> None:
    total = file.stat().st_size
    with file.open("rb") as source, to.open("xb") as target:
        while part := source.read(_COPY_BYTES):
            target.write(part)
            progress("copied", target.tell(), total)
        target.flush()
        os.fsync(target.fileno())


def _unpack(aside: Path, file: Path) -> None:
    try:
        with _connected(aside / genesis.CHAIN_FILE) as db:
            (document,) = db.execute("SELECT content FROM backup").fetchone()
            db.execute("DROP TABLE backup")
        genesis.put_file(aside / genesis.GENESIS_FILE, bytes(document), mode=0o644)
        genesis.put_file(aside / genesis.KEY_FILE, key_of(file).read_bytes(), mode=0o600)
    except (sqlite3.DatabaseError, TypeError) as exc:
        raise Broken(
            "backup-unreadable", f"{file} is not a whole backup of a chain.", "Use another backup."
        ) from exc


def _verified(aside: Path, progress: Progress) -> Verified:
    identity = genesis.read(aside)
    if PrivateKey(genesis.read_key(aside)).public_key.to_canonical_address() != identity.faucet:
        raise Broken("backup-key", "The backup's key is not its faucet's.", "Use another backup.")
    with closing(Store(aside / genesis.CHAIN_FILE)) as store:
        return verify(store, identity, progress)


def _connected(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))
