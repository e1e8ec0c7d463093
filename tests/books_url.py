"""Fresh books for a test, on SQLite or on PostgreSQL: one seam, so that a test need not know which.

The PostgreSQL server is `scripts/postgres`'. A database is a copy of one that was made once, since copying
takes a fraction of making its tables.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import URL, create_engine, make_url

from ledger.books.books import open_books

SQLITE, POSTGRESQL = "sqlite", "postgresql"
KINDS = (SQLITE, POSTGRESQL)
CHOICE = "BINGWANG_TEST_BOOKS"
"""the environment's word on which books grids of real processes keep; SQLite's by default"""
TAKE_ITS_CONNECTION = (
    "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
    "WHERE l.locktype = 'advisory' AND l.granted AND d.datname = '{database}'"
)
"""the statement that cuts the writer of a database off"""
_made: set[str] = set()
_SERVER = Path(__file__).parents[1] / "scripts" / "postgres"


def grid_kind() -> str:
    """Which books grids of real processes keep in this run of the tests."""
    return os.environ.get(CHOICE, SQLITE)


@contextmanager
def fresh_books(kind: str, folder: Path) -> Iterator[str]:
    """The URL of empty books of that kind; on SQLite a file below `folder`."""
    if kind == SQLITE:
        yield str(folder / "books.sqlite3")
        return
    with fresh_database(_template()) as url:
        yield url


@contextmanager
def fresh_database(template: str = "template0") -> Iterator[str]:
    """The URL of a database that is a copy of `template`'s, gone afterwards, whoever is still connected."""
    url = make_database(template)
    try:
        yield url
    finally:
        drop_database(url)


def make_database(template: str = "template0") -> str:
    """The URL of a new copy of a database, to which nobody may be connected."""
    name = f"books_{secrets.token_hex(8)}"
    _execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
    _made.add(name)
    return _url_of(name)


def make_copy(url: str) -> str:
    """The URL of a copy of this database; whoever is still connected to it is cut off."""
    name = database_of(url)
    _execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    return make_database(name)


def drop_database(url: str) -> None:
    """Remove a database of `make_database`, whoever is still connected."""
    name = database_of(url)
    _execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _made.discard(name)


def drop_all() -> None:
    """Remove every database that this process made."""
    for name in list(_made):
        drop_database(_url_of(name))
    _template.cache_clear()


def database_of(url: str) -> str:
    """The name of a URL's database."""
    name = make_url(url).database
    assert name
    return name


def tamper(url: str, statement: str) -> int:
    """Carry out one statement behind the books' back; how many rows it changed."""
    engine = create_engine(driven_url(url))
    try:
        with engine.begin() as connection:
            return connection.exec_driver_sql(statement).rowcount
    finally:
        engine.dispose()


def driven_url(url: str) -> URL:
    """A books URL as SQLAlchemy takes it."""
    if "://" not in url:
        return URL.create(SQLITE, database=url)
    address = make_url(url)
    return address if address.drivername == SQLITE else address.set(drivername="postgresql+psycopg")


@cache
def server_url() -> str:
    """The server's own database; started where it does not run."""
    started = subprocess.run([_SERVER, "start"], check=True, stdout=subprocess.PIPE, text=True)
    return started.stdout.strip()


@cache
def _template() -> str:
    """A database with every table, one a process."""
    url = make_database()
    open_books(url).close()
    return database_of(url)


def _url_of(name: str) -> str:
    return make_url(server_url()).set(database=name).render_as_string(hide_password=False)


def _execute(statement: str) -> None:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(statement.encode())
