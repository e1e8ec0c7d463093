"""Each journal entry carries a digest of itself and of the one before, so that a changed, lost or moved entry
shows though every table was made to agree with it.

Whoever can write the file can also make the digests anew: what that leaves is the chain, whose events the
audit compares with the journal's. sha256, since the books know no other hash (keccak is the chain's).
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Table, select, type_coerce, update
from sqlalchemy.types import NullType

from ledger.books.rows import ABSENT, Difference
from ledger.market.identity import text

BEGINNING: Final = bytes(32)
"""what the first entry's digest is chained to"""
_PAGE: Final = 1_000


def digest_of(previous: bytes, seq: int, at: int, kind: str, slot: str, body: str) -> bytes:
    """An entry's digest; the lengths keep one field from growing into the next."""
    told = sha256(previous)
    for field in (str(seq), str(at), kind, slot, body):
        raw = field.encode()
        told.update(len(raw).to_bytes(8) + raw)
    return told.digest()


def seal(connection: Connection, journal: Table) -> int:
    """Give every entry its digest, for a journal of a release that had none; how many they were."""
    previous, count = BEGINNING, 0
    for entry in _entries(connection, journal):
        previous = _digest_after(previous, entry)
        connection.execute(update(journal).where(journal.c.seq == entry["seq"]).values(digest=previous))
        count += 1
    return count


def broken_links(connection: Connection, journal: Table) -> Iterator[Difference]:
    """Every entry whose digest or number does not follow from the one before, as the database holds it."""
    previous, expected = BEGINNING, 1
    for entry in _entries(connection, journal):
        while expected < entry["seq"]:
            yield Difference(
                table="journal", row=str(expected), field="row", ours=ABSENT, chain=f"seq={expected}"
            )
            expected += 1
        meant = _digest_after(previous, entry)
        if entry["digest"] != text(meant):
            yield Difference(
                table="journal",
                row=str(entry["seq"]),
                field="digest",
                ours=str(entry["digest"]),
                chain=text(meant),
            )
        previous = _stored(entry, meant)
        expected = entry["seq"] + 1


def _digest_after(previous: bytes, entry: RowMapping) -> bytes:
    fields = (entry["seq"], entry["at"], entry["kind"], entry["slot"], entry["body"])
    return digest_of(previous, *fields)


def _stored(entry: RowMapping, meant: bytes) -> bytes:
    """The digest as it is stored, so that one changed entry is one finding and not all after it."""
    try:
        return bytes.fromhex(str(entry["digest"])[2:])
    except ValueError:
        return meant


def _entries(connection: Connection, journal: Table) -> Iterator[RowMapping]:
    names = ("seq", "at", "kind", "slot", "body", "digest")
    columns: list[Any] = [type_coerce(journal.c[name], NullType()).label(name) for name in names]
    after = -1
    while True:
        query = select(*columns).where(journal.c.seq > after).order_by(journal.c.seq).limit(_PAGE)
        page = connection.execute(query).mappings().all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["seq"]
