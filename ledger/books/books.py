"""The door of the books: one SQLite file, one writer at a time, readers that never wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from types import TracebackType

from sqlalchemy import Engine, delete
from sqlmodel import Session

from ledger.books.engine import open_engine, translated, writer
from ledger.books.journal import replay
from ledger.books.outbox import BooksOutbox
from ledger.books.projections.project import project_all
from ledger.books.queries import Queries
from ledger.books.tables import PROJECTIONS
from ledger.books.unit_of_work import Unit
from ledger.market.errors import Broken
from ledger.market.identity import Address


def open_books(url: str) -> "Books":
    """The books at `url` (a path or `sqlite:///path`), made where missing."""
    return Books(open_engine(url))


class Books:
    """Thread-safe: units of work queue for the writer's lock, `queries` each see one committed moment."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = writer(engine)
        self._lock = Lock()
        self._holder: int | None = None
        self.queries = Queries(self.reading)

    @contextmanager
    def transaction(self) -> Iterator[Unit]:
        """A unit of work, durable once the block was left without an error, and undone otherwise."""
        with self._writing() as session:
            yield Unit(session)

    def outbox(self, sender: Address) -> BooksOutbox:
        """The outbox store of the account `sender`, for `ledger.chain.outbox`."""
        return BooksOutbox(self.reading, self._writing, sender)

    def rebuild(self) -> int:
        """Empty the projections and replay the journal into them, in one transaction; how many facts."""
        with self._writing() as session:
            for table in PROJECTIONS:
                session.execute(delete(table))
            return project_all(session, replay(session))

    def close(self) -> None:
        """Close every connection; the books cannot be used afterwards."""
        self._engine.dispose()

    def __enter__(self) -> "Books":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        if self._holder == get_ident():
            raise Broken(
                "nested-transaction",
                "A unit of work was begun inside another of the same thread.",
                "Pass the open unit on instead.",
            )
        with self._lock:
            self._holder = get_ident()
            try:
                with translated(), Session(self._writer) as session, session.begin():
                    yield session
            finally:
                self._holder = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One committed moment of the books, for modules of this package."""
        with translated(), Session(self._engine) as session:
            yield session
