"""Tables at the newest revision before anybody reads them, whichever release made them.

New books are made as the models declare, older ones are migrated; a test holds both to the same schema. A
migration is one transaction with what follows from it: the projections are emptied and replayed from the
journal, so that a revision need not carry over what can be derived. Revisions change tables alone; the rules
(triggers) are taken away before and made anew after.
"""

from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)
from sqlmodel import Session, SQLModel

from ledger.books import journal_rules, money_rules
from ledger.books.dialect import Dialect, dialect_of
from ledger.books.election import WRITER_LOCK
from ledger.books.journal import replay
from ledger.books.projections.project import project_all, start_over
from ledger.books.tables import JournalEntry
from ledger.market.errors import LostRace, Unavailable

HEAD: Final = "0004"
_FIRST: Final = "0001"
"""the revision of release 0.1.0, which stamped none"""
_MAKING: Final = WRITER_LOCK + 1
"""the lock of whoever makes or changes tables"""
_version: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def bring_to_head(reading: Engine, changing: Engine) -> None:
    """Make or migrate the tables; `Unavailable` where a newer release made them."""
    with reading.begin() as connection:
        if revision_of(connection) == HEAD:
            return
    with changing.begin() as connection:
        _lock(connection)
        _change(connection)


def revision_of(connection: Connection) -> str | None:
    """The revision that the tables were stamped with; None where there is none."""
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def install(connection: Connection) -> None:
    """Every table and rule as it is declared, in an empty database."""
    SQLModel.metadata.create_all(connection)
    for statement in rules(dialect_of(connection)):
        connection.exec_driver_sql(statement)
    _version.create(connection)
    connection.execute(insert(_version).values(version_num=HEAD))


def rules(dialect: Dialect) -> tuple[str, ...]:
    """What the database itself enforces."""
    return journal_rules.rules(dialect) + money_rules.rules(dialect)


def _change(connection: Connection) -> None:
    revision = revision_of(connection)
    if revision == HEAD:
        return
    if revision is None and not inspect(connection).has_table(JournalEntry.__tablename__):
        install(connection)
        return
    if revision is not None and revision > HEAD:
        raise Unavailable(
            "newer-books",
            f"The books have the schema {revision} of a newer release; this one knows {HEAD}.",
            "Run the newer release.",
        )
    _migrate(connection, revision or _FIRST)


def _migrate(connection: Connection, revision: str) -> None:
    """The tables by their revisions, the rules as they are declared now, what is derived from the journal."""
    from ledger.books.migrating import upgrade  # Alembic costs every other start a tenth of a second

    dialect = dialect_of(connection)
    for statement in journal_rules.lifted(dialect) + money_rules.lifted(dialect):
        connection.exec_driver_sql(statement)
    upgrade(connection, revision, HEAD)
    for statement in journal_rules.rules(dialect):
        connection.exec_driver_sql(statement)
    with Session(connection) as session:
        start_over(session)
        project_all(session, replay(session))
        session.flush()


def _lock(connection: Connection) -> None:
    """Wait for another that makes the tables; a writer of an older release must be gone."""
    if dialect_of(connection) == "sqlite":
        return
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MAKING})
    free = connection.execute(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": WRITER_LOCK})
    if not free.scalar_one() and revision_of(connection) != HEAD:
        raise LostRace(
            "another-writer",
            "A node of another release writes these books.",
            "Stop every node of the older release first.",
        )
