"""The events that the books noted against those that the chain has: what was never logged cannot hide.

A row that was changed in journal and tables alike, with the journal's digests made anew, agrees with itself
and still not with the chain.
"""

from collections.abc import Iterable, Iterator

from sqlmodel import Session, col, select

from ledger.books.cells import Cells, differing
from ledger.books.mapping import dumps
from ledger.books.rows import ABSENT, Difference
from ledger.books.tables import EventRecord
from ledger.market.events import Logged
from ledger.market.identity import text

_Place = tuple[str, int]


def unlike_the_chain(session: Session, logged: Iterable[Logged]) -> Iterator[Difference]:
    """Every event of a surviving block that is not the chain's, and every one of the chain's that is not
    noted."""
    theirs = {(text(one.block.hash), one.log_index): _of_chain(one) for one in logged}
    seen: set[_Place] = set()
    query = select(EventRecord).where(col(EventRecord.rewound).is_(False)).order_by(col(EventRecord.seq))
    for record in session.exec(query):
        place = (text(record.block_hash), record.log_index)
        meant = None if place in seen else theirs.get(place)
        seen.add(place)
        if meant is None:
            yield _row(str(record.seq), f"{record.name} in block {record.block_number}", ABSENT)
            continue
        yield from differing("events", str(record.seq), _of_books(record), meant)
    for place in sorted(theirs.keys() - seen):
        yield _row("/".join(map(str, place)), ABSENT, str(theirs[place]["name"]))


def _row(row: str, ours: str, chain: str) -> Difference:
    return Difference(table="events", row=row, field="row", ours=ours, chain=chain)


def _of_chain(one: Logged) -> Cells:
    return {
        "name": type(one.event).__name__,
        "body": dumps(one.event),
        "block_number": one.block.number,
        "block_parent": text(one.block.parent),
        "block_at": one.block.at,
        "transaction_hash": text(one.transaction),
    }


def _of_books(record: EventRecord) -> Cells:
    return {
        "name": record.name,
        "body": record.body,
        "block_number": record.block_number,
        "block_parent": text(record.block_parent),
        "block_at": record.block_at,
        "transaction_hash": text(record.transaction_hash),
    }
