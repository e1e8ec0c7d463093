"""The one place that knows which database it is: engines by URL, and the vendor's errors as the market's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolExhausted

from ledger.books import postgresql, sqlite
from ledger.books.election import Seat
from ledger.books.schema import bring_to_head
from ledger.market.errors import Broken, Unavailable

_POSTGRESQL: Final = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Engines on one database, its tables at the newest revision."""

    reading: Engine
    """each transaction sees one committed moment"""
    writing: Engine
    """a transaction has the writer's lock from its start"""
    seat: Seat

    def close(self) -> None:
        """Close every connection, and give the writer's place back."""
        self.reading.dispose()
        self.writing.dispose()


def open_database(url: str) -> Database:
    """The database of `url` (a path, `sqlite:///path` or `postgresql://…`), at the newest revision."""
    address = _address(url)
    seat = Seat()
    with translated():
        if address.drivername in _POSTGRESQL:
            reading, writing = postgresql.connect(address, seat)
            changing = postgresql.schema_engine(address)
        else:
            reading, writing = sqlite.connect(address.database or "")
            changing = writing
        database = Database(reading=reading, writing=writing, seat=seat)
        try:
            bring_to_head(reading, changing)
        except BaseException:
            database.close()
            raise
        finally:
            if changing is not writing:
                changing.dispose()
    return database


def open_engine(path: str) -> Engine:
    """An engine on the SQLite file at `path`, its tables made."""
    return open_database(path).reading


def is_shared(url: str) -> bool:
    """Whether several processes may open these books at once, one of them to write."""
    return _address(url).drivername in _POSTGRESQL


def _address(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        address = make_url(url)
    except ArgumentError:
        address = None
    if address is None or address.drivername not in ("sqlite", *_POSTGRESQL) or not address.database:
        raise Unavailable(
            "unknown-database",
            "Books are kept in SQLite or in PostgreSQL.",
            "Give a path, sqlite:///path or postgresql://user@host/database.",
        )
    return address


@contextmanager
def translated() -> Iterator[None]:
    """The database's errors as the market's: a broken rule is `Broken`, no answer `Unavailable`."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise _refused(error) from error
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(
            "books-unavailable",
            f"The books do not answer: {_said(error)}.",
            "Check that the disk has room, or that the database server runs.",
        ) from error
    except PoolExhausted as error:
        raise Unavailable(
            "books-busy", "Too many readers are at the books at once.", "Try again in a moment."
        ) from error
    except DatabaseError as error:
        raise Broken(
            "books-damaged",
            f"The books cannot be read: {_said(error)}.",
            "Restore them from a copy, or delete them and follow the chain again.",
        ) from error


def _refused(error: DBAPIError) -> Broken:
    return Broken(
        "books-invariant", f"The books refused a write: {_said(error)}.", "Stop the node and run an audit."
    )


def _said(error: DBAPIError) -> str:
    """The driver's first line; what follows repeats the statement."""
    return (str(error.orig).splitlines() or [type(error.orig).__name__])[0].rstrip(".")
