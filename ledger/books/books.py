"""The door of the books: one database, one writer at a time, readers that never wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from types import TracebackType

from sqlalchemy import text
from sqlmodel import Session

from ledger.books.bundles import BundleQueries
from ledger.books.engine import Database, open_database, translated
from ledger.books.journal import replay
from ledger.books.outbox import BooksOutbox, Takes
from ledger.books.projections.project import project_all, start_over
from ledger.books.queries import Queries
from ledger.books.tables import WriterRecord
from ledger.books.unit_of_work import Unit
from ledger.market.errors import Broken, LostRace, Unavailable
from ledger.market.identity import Address


def open_books(url: str) -> "Books":
    """The books at `url` (a path, `sqlite:///path` or `postgresql://…`), made or migrated where needed."""
    return Books(open_database(url))


class Books:
    """Thread-safe: units of work queue for the writer's lock, `queries` each see one committed moment.

    Of several openings of one PostgreSQL database one writes: the first that does, or that called `lead`,
    until it is closed or loses its connection. Another's unit of work is `LostRace` "another-writer".
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._holder: int | None = None
        self.queries = Queries(self.reading)
        self.bundles = BundleQueries(self.reading)
        """the epochs that the matcher published"""

    @contextmanager
    def transaction(self) -> Iterator[Unit]:
        """A unit of work, durable once the block was left without an error, and undone otherwise."""
        with self._writing() as session:
            yield Unit(session)

    def outbox(self, sender: Address, takes: Takes | None = None) -> BooksOutbox:
        """The outbox store of the account `sender`, for `ledger.chain.outbox`; of all that waits it shows
        what `takes` says is that account's to send."""
        return BooksOutbox(self.reading, self._writing, sender, takes)

    def rebuild(self) -> int:
        """Empty the projections and replay the journal into them, in one transaction; how many facts."""
        with self._writing() as session:
            start_over(session)
            return project_all(session, replay(session))

    def lead(self) -> bool:
        """Take the writer's place if it is free, without waiting; whether these books have it."""
        self._database.seat.patience = 0.0
        return self.leads()

    def leads(self) -> bool:
        """Whether these books can write: asked of the database, over the connection that would."""
        try:
            with self._writing() as session:
                session.execute(text("SELECT 1"))
        except (LostRace, Unavailable):
            return False
        return True

    def announce(self, url: str) -> int:
        """Tell the other processes where the one that writes is; the number of its term."""
        with self._writing() as session:
            record = session.get(WriterRecord, 1) or WriterRecord()
            record.term, record.url = record.term + 1, url
            session.add(record)
            return record.term

    def writer(self) -> str | None:
        """Where the process that writes said it is; it may have ended since. None before the first one."""
        with self.reading() as session:
            record = session.get(WriterRecord, 1)
            return None if record is None else record.url

    def term(self) -> int:
        """How many times a writer was elected."""
        with self.reading() as session:
            record = session.get(WriterRecord, 1)
            return 0 if record is None else record.term

    def close(self) -> None:
        """Close every connection; the books cannot be used afterwards."""
        self._database.close()

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
                with translated(), Session(self._database.writing) as session, session.begin():
                    yield session
            finally:
                self._holder = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One committed moment of the books, for modules of this package."""
        with translated(), Session(self._database.reading) as session:
            yield session
