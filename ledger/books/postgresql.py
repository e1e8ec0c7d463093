"""Books in a PostgreSQL database, which several processes read at once and one of them writes.

Readers are READ ONLY at REPEATABLE READ, so that a query of many statements sees one committed moment. The
writer has one connection alone, the one that holds its seat (`ledger.books.election`).
"""

from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event

from ledger.books.election import Seat

_READERS: Final = 8
_MORE_READERS: Final = 24
_SESSION: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # The server's side of the same: it must notice within seconds that a writer's host is gone. A process
    # that was stopped inside a transaction loses its place as well. Whatever else the server's databases do
    # without, a commit of the books that returned is on its disk.
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
    "-c idle_in_transaction_session_timeout=60s -c synchronous_commit=on -c timezone=UTC",
}


def connect(url: URL, seat: Seat) -> tuple[Engine, Engine]:
    """An engine for readers, and one whose only connection holds the writer's `seat`."""
    address = url.set(drivername="postgresql+psycopg")
    reading = create_engine(
        address,
        connect_args=_SESSION,
        isolation_level="REPEATABLE READ",
        pool_size=_READERS,
        max_overflow=_MORE_READERS,
        pool_pre_ping=True,
    )
    event.listen(reading, "connect", _read_only)
    writing = create_engine(
        address, connect_args=_SESSION, isolation_level="REPEATABLE READ", pool_size=1, max_overflow=0
    )
    event.listen(writing, "connect", seat.on_connect)
    return reading, writing


def schema_engine(url: URL) -> Engine:
    """An engine for making and changing tables, before anybody has a seat."""
    return create_engine(url.set(drivername="postgresql+psycopg"), connect_args=_SESSION, pool_size=1)


def _read_only(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    connection.read_only = True
