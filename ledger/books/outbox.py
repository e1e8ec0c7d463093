"""The outbox's memory: which wishes wait, which signed transactions carry them, and the next nonce.

Each call commits by itself, so that the sender may die between any two of them: what was signed is found
again, byte for byte, and no nonce is used for two different things.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sqlmodel import Session, col, func, select

from ledger.books.mapping import instruction_from
from ledger.books.tables import AttemptRecord, IntentRecord
from ledger.market.errors import Broken
from ledger.market.identity import Address
from ledger.market.outbox import IntentState, TxAttempt, TxIntent

Open = Callable[[], AbstractContextManager[Session]]


class Settled(Protocol):
    """What became of an intent: its new state, and why where it failed."""

    @property
    def intent(self) -> int: ...

    @property
    def state(self) -> IntentState: ...

    @property
    def detail(self) -> str: ...


class BooksOutbox:
    """The store that `ledger.chain.outbox` asks for; one per sending account, every call durable."""

    def __init__(self, reading: Open, writing: Open, sender: Address) -> None:
        self._reading = reading
        self._writing = writing
        self._sender = sender

    def pending(self, limit: int) -> list[TxIntent]:
        """Wishes without a transaction, oldest first."""
        query = (
            select(IntentRecord)
            .where(IntentRecord.state == IntentState.PENDING.value)
            .order_by(col(IntentRecord.id))
            .limit(limit)
        )
        with self._reading() as session:
            return [_intent(record) for record in session.exec(query).all()]

    def intents(self, ids: Sequence[int]) -> list[TxIntent]:
        """The wishes of these numbers, in this order; `Broken` where one is unknown."""
        with self._reading() as session:
            return [_intent(_known(session, one)) for one in ids]

    def attempts_in_flight(self) -> list[TxAttempt]:
        """Signed transactions that nothing is known of yet, by nonce, then as they were recorded."""
        query = (
            select(AttemptRecord)
            .where(AttemptRecord.sender == self._sender, col(AttemptRecord.in_flight).is_(True))
            .order_by(col(AttemptRecord.nonce), col(AttemptRecord.id))
        )
        with self._reading() as session:
            return [_attempt(record) for record in session.exec(query).all()]

    def next_nonce(self) -> int:
        """One above the highest nonce ever recorded for this account; 0 at first."""
        query = select(func.max(AttemptRecord.nonce)).where(AttemptRecord.sender == self._sender)
        with self._reading() as session:
            highest: int | None = session.exec(query).one()
        return 0 if highest is None else highest + 1

    def record_attempt(self, attempt: TxAttempt) -> None:
        """Keep a signed transaction before it is sent, and mark what it carries; twice is once."""
        with self._writing() as session:
            if session.exec(select(AttemptRecord).where(AttemptRecord.hash == attempt.hash)).first():
                return
            session.add(
                AttemptRecord(
                    hash=attempt.hash,
                    sender=self._sender,
                    nonce=attempt.nonce,
                    raw=attempt.raw,
                    intents=json.dumps(attempt.intents),
                    max_fee=attempt.max_fee,
                    sent_at=attempt.sent_at,
                )
            )
            for one in attempt.intents:
                _known(session, one).state = IntentState.SENT.value

    def settle_attempt(self, nonce: int, outcomes: Sequence[Settled]) -> None:
        """Every transaction of this nonce leaves the flight, and its wishes become what `outcomes` say."""
        query = select(AttemptRecord).where(
            AttemptRecord.sender == self._sender, AttemptRecord.nonce == nonce
        )
        with self._writing() as session:
            for record in session.exec(query).all():
                record.in_flight = False
            for outcome in outcomes:
                _settle(session, outcome)

    def settle_intent(self, outcome: Settled) -> None:
        """The fate of a wish that never was in a transaction."""
        with self._writing() as session:
            _settle(session, outcome)


def _known(session: Session, number: int) -> IntentRecord:
    record = session.get(IntentRecord, number)
    if record is None:
        raise Broken("unknown-intent", f"There is no intent {number}.", "Restore the books from a copy.")
    return record


def _settle(session: Session, outcome: Settled) -> None:
    record = _known(session, outcome.intent)
    record.state, record.detail = outcome.state.value, outcome.detail


def _intent(record: IntentRecord) -> TxIntent:
    assert record.id is not None
    return TxIntent(
        id=record.id,
        key=record.key,
        instruction=instruction_from(record.instruction),
        state=IntentState(record.state),
        created_at=record.created_at,
    )


def _attempt(record: AttemptRecord) -> TxAttempt:
    return TxAttempt(
        intents=tuple(json.loads(record.intents)),
        nonce=record.nonce,
        raw=record.raw,
        hash=record.hash,
        max_fee=record.max_fee,
        sent_at=record.sent_at,
    )
