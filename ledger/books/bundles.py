"""The epochs that the matcher published: headers by their roots, and pages that many epochs share.

Not derived from the journal, and not needed by the node: what an auditor may ask for, kept for a while and
never dropped silently: the header stays and says that its pages are gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text as statement
from sqlmodel import Session, col, func, select

from ledger.books.account_queries import Open
from ledger.books.tables import BundleRecord, PageRecord
from ledger.market.identity import Digest, text

_PUT = statement(
    "INSERT INTO bundle_pages (hash, body, size, last) VALUES (:hash, :body, :size, :last) "
    "ON CONFLICT (hash) DO UPDATE SET last = excluded.last"
)
_LEAVE = statement("UPDATE bundle_pages SET last = :last WHERE hash = :hash")
_LEAVE_ALL = statement("UPDATE bundle_pages SET last = :last WHERE last IS NULL")
_DROP_PAGES = statement("DELETE FROM bundle_pages WHERE last <= :last")
_DROP_BUNDLES = statement("UPDATE bundles SET kept = :kept WHERE seq <= :last AND kept = :was")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """A published epoch: `seq` counts them, `at` is the moment of its clearing, `kept` whether its pages are
    here still."""

    seq: int
    root: Digest
    header: bytes
    at: int
    matches: int
    kept: bool


class BundleStore:
    """What a unit of work writes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(self) -> BundleRow | None:
        """The epoch that was published last; None before the first."""
        query = select(BundleRecord).order_by(col(BundleRecord.seq).desc()).limit(1)
        record = self._session.exec(query).first()
        return None if record is None else _row(record)

    def add(self, root: Digest, header: bytes, at: int, matches: int) -> int:
        """Keep an epoch's header; its number."""
        record = BundleRecord(root=root, header=header, at=at, matches=matches)
        self._session.add(record)
        self._session.flush()
        assert record.seq is not None
        return record.seq

    def keep(
        self, pages: Mapping[Digest, bytes], passing: Mapping[Digest, bytes] | None = None, last: int = 0
    ) -> None:
        """Keep pages under their names, as part of the next epoch too; those that are `passing` are part of
        epochs up to `last`."""
        rows = [_page_row(name, body, None) for name, body in pages.items()]
        rows += [_page_row(name, body, last) for name, body in (passing or {}).items()]
        if rows:
            self._session.execute(_PUT, rows)

    def leave(self, names: Iterable[Digest], last: int) -> None:
        """These pages are part of epochs up to `last` alone."""
        rows = [{"hash": text(name), "last": last} for name in names]
        if rows:
            self._session.execute(_LEAVE, rows)

    def leave_all(self, last: int) -> None:
        """No page is part of an epoch after `last`, but for what is kept again."""
        self._session.execute(_LEAVE_ALL, {"last": last})

    def retire(self, before: int, budget: int) -> int:
        """Drop the pages that only epochs before the moment `before` need, and older ones beyond `budget`
        bytes of all pages; up to which epoch, 0 for none. The newest one always stays."""
        newest = self.newest()
        if newest is None:
            return 0
        aged = self._session.exec(select(func.max(BundleRecord.seq)).where(BundleRecord.at < before)).one()
        last = min(newest.seq - 1, max(aged or 0, self._beyond(budget)))
        if last > 0:
            self._session.execute(_DROP_PAGES, {"last": last})
            self._session.execute(_DROP_BUNDLES, {"last": last, "kept": False, "was": True})
        return last

    def _beyond(self, budget: int) -> int:
        """The epoch up to which pages must go so that the others fit into the budget."""
        size = func.sum(PageRecord.size)
        excess = int(self._session.exec(select(size)).one() or 0) - budget
        if excess <= 0:
            return 0
        query = (
            select(PageRecord.last, size)
            .where(col(PageRecord.last).is_not(None))
            .group_by(col(PageRecord.last))
            .order_by(col(PageRecord.last))
        )
        last = 0
        for seq, freed in self._session.exec(query):
            if excess <= 0:
                break
            assert seq is not None
            last, excess = seq, excess - int(freed)
        return last


class BundleQueries:
    """What readers ask; each call sees one committed moment."""

    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    def bundle(self, root: Digest) -> BundleRow | None:
        """A published epoch by its root."""
        with self._open() as session:
            record = session.exec(select(BundleRecord).where(BundleRecord.root == root)).first()
            return None if record is None else _row(record)

    def bundles(self, limit: int, before: int | None = None) -> list[BundleRow]:
        """The newest epochs, those before number `before` where it is given."""
        query = select(BundleRecord).order_by(col(BundleRecord.seq).desc()).limit(limit)
        if before is not None:
            query = query.where(col(BundleRecord.seq) < before)
        with self._open() as session:
            return [_row(record) for record in session.exec(query)]

    def pages(self, names: Sequence[Digest]) -> list[bytes]:
        """Those of these pages that are here, in no particular order."""
        query = select(PageRecord.body).where(col(PageRecord.hash).in_(names))
        with self._open() as session:
            return list(session.exec(query))

    def page(self, name: Digest) -> bytes | None:
        """A page by its name; None where it was never here, or was dropped."""
        with self._open() as session:
            record = session.get(PageRecord, name)
            return None if record is None else record.body


def _page_row(name: Digest, body: bytes, last: int | None) -> dict[str, object]:
    return {"hash": text(name), "body": body, "size": len(body), "last": last}


def _row(record: BundleRecord) -> BundleRow:
    assert record.seq is not None
    return BundleRow(
        seq=record.seq,
        root=Digest(record.root),
        header=record.header,
        at=record.at,
        matches=record.matches,
        kept=record.kept,
    )
