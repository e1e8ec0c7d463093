"""A second copy of every projection, replayed from the journal, to find the cell that was tampered with."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Table, select, type_coerce
from sqlalchemy.types import NullType
from sqlmodel import Session, SQLModel

from ledger.books.cells import Cells, differing
from ledger.books.engine import open_engine
from ledger.books.journal import replay
from ledger.books.journal_chain import broken_links
from ledger.books.projections.project import project_all
from ledger.books.rows import Difference
from ledger.books.tables import PROJECTIONS, JournalEntry


def deviations(session: Session) -> list[Difference]:
    """Every changed entry of the journal; where there is none, every cell of a derived table that is not what
    the journal makes it. A changed journal judges nothing else."""
    broken = list(broken_links(session.connection(), _table(JournalEntry)))
    return broken or _against_replay(session)


def _against_replay(session: Session) -> list[Difference]:
    with TemporaryDirectory(prefix="bingwang-audit-") as folder:
        engine = open_engine(str(Path(folder) / "replica.db"))
        try:
            with Session(engine) as replica:
                project_all(replica, replay(session))
                return [one for table in PROJECTIONS for one in _deviating(table, session, replica)]
        finally:
            engine.dispose()


def _deviating(model: type[SQLModel], session: Session, replica: Session) -> Iterator[Difference]:
    table = _table(model)
    ours, meant = _rows(table, session), _rows(table, replica)
    for row in sorted(ours.keys() | meant.keys()):
        yield from differing(table.name, row, ours.get(row), meant.get(row))


def _table(model: type[SQLModel]) -> Table:
    return model.metadata.tables[str(model.__tablename__)]


def _rows(table: Table, session: Session) -> dict[str, Cells]:
    """Every row by its key, each cell as the database holds it: a tampered one may not even be readable."""
    stored = select(*(type_coerce(column, NullType()).label(column.name) for column in table.columns))
    keys = [column.name for column in table.primary_key]
    found: dict[str, Cells] = {}
    for row in session.connection().execute(stored).mappings():
        cells: Cells = {str(name): value for name, value in row.items()}
        found["/".join(str(cells[key]) for key in keys)] = cells
    return found
