"""What the books keep beside what they derive, as an audit needs it: documents, cursor, the outbox's rows.

None of it follows from the journal. A document names itself by its hash, the cursor must stand where the
journal ends, and the outbox's rows are for `ledger.chain.outbox_audit`, which knows what they must be.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlmodel import Session, col, func, select

from ledger.books.mapping import instruction_from, loads
from ledger.books.rows import ABSENT, Difference
from ledger.books.tables import (
    AttemptRecord,
    BlockRecord,
    CursorRecord,
    DocumentRecord,
    IntentRecord,
)
from ledger.market.errors import Broken
from ledger.market.events import BlockRef
from ledger.market.identity import Address, text
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState

Hash = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAttempt:
    """A signed transaction as it is stored."""

    id: int
    hash: bytes
    sender: Address
    nonce: int
    raw: bytes
    intents: tuple[int, ...]
    max_fee: int
    in_flight: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptIntent:
    """A wish as it is stored."""

    id: int
    instruction: Instruction
    state: IntentState


def changed_documents(session: Session, keccak: Hash) -> Iterator[Difference]:
    """Every document that is not what its hash names."""
    for name, body in session.exec(select(DocumentRecord.hash, DocumentRecord.body)).all():
        found = keccak(body)
        if found != name:
            yield Difference(
                table="documents", row=text(name), field="body", ours=text(found), chain=text(name)
            )


def newest_block(session: Session) -> int | None:
    """The number of the newest block that was noted, whatever the cursor says."""
    return session.exec(select(func.max(BlockRecord.number))).one()


def moved_cursor(session: Session) -> Iterator[Difference]:
    """Where the cursor contradicts itself or the journal: it may not stand before a block that was noted."""
    record = session.get(CursorRecord, 1)
    newest = newest_block(session)
    if record is None:
        if newest is not None:
            yield _cursor("row", ABSENT, f"block {newest} or later")
        return
    try:
        block, tail = loads(BlockRef, record.block), loads(tuple[BlockRef, ...], record.tail)
    except Broken as error:
        yield _cursor("block", record.block, str(error))
        return
    if newest is not None and block.number < newest:
        yield _cursor("block", block.number, f"{newest} or later")
    yield from _torn_tail(block, tail)


def _torn_tail(block: BlockRef, tail: tuple[BlockRef, ...]) -> Iterator[Difference]:
    if not tail or tail[-1] != block:
        yield _cursor("tail", tail[-1].number if tail else ABSENT, f"ends in block {block.number}")
    for older, newer in pairwise(tail):
        if newer.number == older.number + 1 and newer.parent != older.hash:
            yield _cursor("tail", text(newer.parent), text(older.hash))


def kept_attempts(session: Session) -> tuple[list[KeptAttempt], list[Difference]]:
    """The outbox's transactions, and those of them that cannot be read."""
    found: list[KeptAttempt] = []
    unreadable: list[Difference] = []
    for record in session.exec(select(AttemptRecord).order_by(col(AttemptRecord.id))).all():
        assert record.id is not None
        try:
            intents = tuple(int(one) for one in json.loads(record.intents))
        except (ValueError, TypeError) as error:
            unreadable.append(_unreadable("attempts", record.id, "intents", record.intents, error))
            continue
        found.append(
            KeptAttempt(
                id=record.id,
                hash=record.hash,
                sender=Address(record.sender),
                nonce=record.nonce,
                raw=record.raw,
                intents=intents,
                max_fee=record.max_fee,
                in_flight=record.in_flight,
            )
        )
    return found, unreadable


def kept_intents(session: Session) -> tuple[list[KeptIntent], list[Difference]]:
    """The outbox's wishes, and those of them that cannot be read."""
    found: list[KeptIntent] = []
    unreadable: list[Difference] = []
    for record in session.exec(select(IntentRecord).order_by(col(IntentRecord.id))).all():
        assert record.id is not None
        try:
            wish, state = instruction_from(record.instruction), IntentState(record.state)
        except (Broken, ValueError) as error:
            unknown = isinstance(error, ValueError)
            cell = ("state", record.state) if unknown else ("instruction", record.instruction)
            unreadable.append(_unreadable("intents", record.id, *cell, error))
            continue
        if type(wish).__name__ != record.kind:
            unreadable.append(_unreadable("intents", record.id, "kind", record.kind, type(wish).__name__))
        found.append(KeptIntent(id=record.id, instruction=wish, state=state))
    return found, unreadable


def _cursor(field: str, ours: object, chain: object) -> Difference:
    return Difference(table="cursor", row="1", field=field, ours=str(ours), chain=str(chain))


def _unreadable(table: str, row: int, field: str, ours: str, why: object) -> Difference:
    return Difference(table=table, row=str(row), field=field, ours=ours[:80], chain=str(why)[:80])
