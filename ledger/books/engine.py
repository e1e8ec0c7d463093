"""The one place that knows which database it is: pragmas, triggers, transaction modes, vendor errors.

SQLite in WAL mode with synchronous=FULL: a commit that returned is on the disk, readers never wait for
the writer, and the writer takes its lock at the start, so that it cannot fail half way on a lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlmodel import SQLModel

from ledger.market.errors import Broken, Unavailable

BUSY_TIMEOUT_MS: Final = 10_000
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
)
_APPEND_ONLY: Final = tuple(
    f"CREATE TRIGGER IF NOT EXISTS journal_no_{verb.lower()} BEFORE {verb} ON journal "
    "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    for verb in ("UPDATE", "DELETE")
)


def open_engine(url: str) -> Engine:
    """An engine on the SQLite file of `url` (`sqlite:///path`, or a bare path), its tables made."""
    address = url if "://" in url else f"sqlite:///{url}"
    if not address.startswith("sqlite:///"):
        raise Unavailable(
            "unknown-database",
            "Books are kept in SQLite alone by this release.",
            "Give a path or sqlite:///path.",
        )
    _make_folder(Path(address.removeprefix("sqlite:///")).parent)
    with translated():
        engine = create_engine(address, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        try:
            _create(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "books-unavailable",
            f"The books' folder cannot be made: {error}.",
            "Check the path and its rights.",
        ) from error


def writer(engine: Engine) -> Engine:
    """The same engine, whose transactions take the write lock at their start."""
    return engine.execution_options(writer=True)


def _create(engine: Engine) -> None:
    with writer(engine).begin() as connection:
        SQLModel.metadata.create_all(connection)
        for trigger in _APPEND_ONLY:
            connection.exec_driver_sql(trigger)


def _on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    mode = "IMMEDIATE" if connection.get_execution_options().get("writer") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def translated() -> Iterator[None]:
    """The database's errors as the market's: a broken rule is `Broken`, a busy disk `Unavailable`."""
    try:
        yield
    except IntegrityError as error:
        raise Broken(
            "books-invariant",
            f"The books refused a write: {error.orig}.",
            "Stop the node and run an audit.",
        ) from error
    except OperationalError as error:
        raise Unavailable(
            "books-unavailable",
            f"The books do not answer: {error.orig}.",
            "Check the disk and that one node alone uses this file.",
        ) from error
    except DatabaseError as error:
        raise Broken(
            "books-damaged",
            f"The books cannot be read: {error.orig}.",
            "Restore them from a copy, or delete them and follow the chain again.",
        ) from error
