"""Books of any age are opened at the newest schema, with everything that was in them."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect
from sqlmodel import SQLModel

from ledger.books import schema
from ledger.books.books import Books, open_books
from ledger.books.engine import open_database
from ledger.books.migrating import configuration, upgrade
from ledger.market.errors import Broken, LostRace, Unavailable
from ledger.market.identity import Address, text
from ledger.market.outbox import IntentState
from tests.books_url import driven_url, fresh_database, tamper
from tests.factories import a_digest
from tests.fakes.small_market import MATCHER, accepted

DATA = Path(__file__).parents[3] / "data"
RELEASE = "books-0.1.0"
TRIGGERS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    "postgresql": "SELECT pg_get_triggerdef(t.oid), pg_get_functiondef(t.tgfoid) FROM pg_trigger t "
    "WHERE NOT t.tgisinternal ORDER BY 1",
}


@pytest.fixture
def old_books(tmp_path: Path) -> str:
    """The path of books that release 0.1.0 wrote."""
    path = tmp_path / "old.sqlite3"
    with sqlite3.connect(path) as raw:
        raw.executescript((DATA / f"{RELEASE}.sql").read_text())
    raw.close()
    return str(path)


@pytest.fixture
def expected() -> dict[str, Any]:
    """What release 0.1.0 read from them."""
    found: dict[str, Any] = json.loads((DATA / f"{RELEASE}.json").read_text())
    return found


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """One transaction on a database as it is."""
    engine = create_engine(driven_url(url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def described(connection: Connection) -> dict[str, object]:
    """A schema in all that the database says of it."""
    inspector = inspect(connection)
    tables: dict[str, object] = {}
    for name in sorted(inspector.get_table_names()):
        tables[name] = {
            "columns": sorted(
                (one["name"], str(one["type"]), one["nullable"], one["default"])
                for one in inspector.get_columns(name)
            ),
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "foreign": sorted(map(str, inspector.get_foreign_keys(name))),
            "unique": sorted(str(one["column_names"]) for one in inspector.get_unique_constraints(name)),
            "checks": sorted(map(str, inspector.get_check_constraints(name))),
            "indexes": sorted(map(str, inspector.get_indexes(name))),
        }
    statement = TRIGGERS[connection.dialect.name]
    return {"tables": tables, "triggers": [tuple(row) for row in connection.exec_driver_sql(statement)]}


def migrate_from_nothing(url: str) -> None:
    """Every revision in turn on an empty database, and what follows from a migration."""
    with connected(url) as connection:
        upgrade(connection, "base", "0001")
    open_books(url).close()


@pytest.fixture
def empty_url(books_kind: str, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if books_kind == "sqlite":
        yield str(tmp_path / "empty.sqlite3")
    else:
        with fresh_database() as url:
            yield url


def test_the_migrated_schema_is_the_declared_one(empty_url: str, books_url: str) -> None:
    migrate_from_nothing(empty_url)
    open_books(books_url).close()
    with connected(empty_url) as ours, connected(books_url) as meant:
        assert described(ours) == described(meant)
        context = MigrationContext.configure(ours, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        assert schema.revision_of(ours) == schema.revision_of(meant) == schema.HEAD


def test_the_head_that_books_are_stamped_with_is_the_newest_revision(tmp_path: Path) -> None:
    with connected(str(tmp_path / "any.sqlite3")) as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
        assert scripts.get_heads() == [schema.HEAD]


def money(books: Books) -> dict[str, Any]:
    queries = books.queries
    return {
        "balances": {text(account): str(amount) for account, amount in queries.balances().items()},
        "stakes": {
            text(account): [str(one.free), str(one.locked), str(one.unstaking), one.unlock_at]
            for account, one in queries.stakes().items()
        },
    }


def courses(books: Books) -> dict[str, Any]:
    queries = books.queries
    jobs = [
        [
            text(row.job),
            row.state.value,
            row.exit_code,
            str(row.reserve),
            [file.path for file in row.outputs],
            [text(lease) for lease in row.leases],
        ]
        for row in queries.jobs()
    ]
    leases = [
        [
            text(row.id),
            row.state.value,
            str(row.escrow),
            str(row.paid),
            None if row.refunded is None else str(row.refunded),
            str(row.fee),
            str(row.lock),
            str(row.burned),
            row.phase.value if row.phase else None,
            row.usage.milliseconds if row.usage else None,
            row.receipt.receipt.milliseconds if row.receipt else None,
        ]
        for row in queries.leases()
    ]
    return {"jobs": jobs, "leases": leases}


def test_books_of_the_previous_release_open_with_all_that_was_in_them(
    old_books: str, expected: dict[str, Any]
) -> None:
    with open_books(old_books) as books:
        held = {account: amount for account, amount in expected["balances"].items() if int(amount)}
        shown = money(books)
        assert {account: amount for account, amount in shown["balances"].items() if int(amount)} == held
        assert shown["stakes"] == expected["stakes"]
        assert courses(books) == {name: expected[name] for name in ("jobs", "leases")}
        queries = books.queries
        intents = [[row.key, row.state.value] for row in queries.intents(list(IntentState))]
        assert intents == expected["intents"]
        flights = books.outbox(Address(MATCHER)).attempts_in_flight()
        assert [[one.nonce, one.raw.decode(), str(one.max_fee)] for one in flights] == expected["in_flight"]
        cursor = queries.cursor()
        assert cursor is not None
        assert text(cursor[0].hash) == expected["cursor"]
        assert len(list(queries.facts())) == expected["facts"]
        assert queries.document(a_digest("document open")) == expected["documents"].encode()


def test_migrated_books_go_on_and_guard_their_journal(old_books: str, expected: dict[str, Any]) -> None:
    with open_books(old_books) as books:
        with books.transaction() as unit:
            assert unit.record(accepted("new")) == expected["facts"] + 1
        before = money(books), courses(books)
        assert books.rebuild() == expected["facts"] + 1
        assert (money(books), courses(books)) == before
    with pytest.raises(Exception, match="append-only"):
        tamper(old_books, "DELETE FROM journal")
    open_books(old_books).close()


def test_books_whose_journal_cannot_be_read_stay_as_they_were(old_books: str) -> None:
    tamper(old_books, "DROP TRIGGER journal_no_update")
    tamper(old_books, "UPDATE journal SET body = '{}' WHERE seq = 3")
    with pytest.raises(Broken):
        open_books(old_books)
    assert tamper(old_books, "UPDATE postings SET leg = leg") > 0, "the old tables are still there"


def test_books_of_a_newer_release_are_refused(books_url: str) -> None:
    open_books(books_url).close()
    tamper(books_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable) as refused:
        open_books(books_url)
    assert refused.value.code == "newer-books"


def test_several_processes_may_make_the_tables_at_once(empty_url: str) -> None:
    failures: list[BaseException] = []

    def open_once() -> None:
        try:
            open_books(empty_url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_books_are_not_migrated_under_a_writer_of_an_older_release(postgresql_url: str) -> None:
    with open_books(postgresql_url) as writer:
        assert writer.lead()
        tamper(postgresql_url, "UPDATE alembic_version SET version_num = '0001'")
        with pytest.raises(LostRace) as refused:
            open_database(postgresql_url)
        assert refused.value.code == "another-writer"
