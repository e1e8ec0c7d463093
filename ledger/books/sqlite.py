"""Books in one SQLite file: what a node has that runs alone, and every agent for its outbox.

WAL mode with synchronous=FULL: a commit that returned is on the disk, readers never wait for the writer,
and the writer takes its lock at the start, so that it cannot fail half way on a lock.
"""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from ledger.market.errors import Unavailable

BUSY_TIMEOUT_MS: Final = 10_000
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
)


def connect(path: str) -> tuple[Engine, Engine]:
    """One engine on the file, and the same one whose transactions take the write lock at their start."""
    _make_folder(Path(path).parent)
    engine = create_engine(URL.create("sqlite", database=path), connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine, engine.execution_options(writer=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "books-unavailable",
            f"The books' folder cannot be made: {error}.",
            "Check the path and its rights.",
        ) from error


def _on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    mode = "IMMEDIATE" if connection.get_execution_options().get("writer") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")
