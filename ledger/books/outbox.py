"""The outbox's memory: which wishes wait, which signed transactions carry them, and the next nonce.

Each call commits by itself, so that the sender may die between any two of them: what was signed is found
again, byte for byte, and no nonce is used for two different things. Two processes that send from one account
would do just that, so the newest to `claim` it is the only one that may write: the other's next write fails.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from ledger.books.account_queries import Open
from ledger.books.mapping import instruction_from
from ledger.books.tables import AttemptRecord, GasRecord, IntentRecord, SenderRecord
from ledger.market.errors import Broken, LostRace
from ledger.market.identity import Address, text
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState, SettledNonce, Sighting, TxAttempt, TxIntent

Takes = Callable[[Instruction], bool]
_DAY_SECONDS: Final = 86_400


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

    def __init__(self, reading: Open, writing: Open, sender: Address, takes: Takes | None = None) -> None:
        self._reading = reading
        self._writing = writing
        self._sender = sender
        self._takes = takes
        self._generation: int | None = None

    def claim(self) -> None:
        """Take the account over: from now on every other store of it that claimed earlier is refused."""
        with self._writing() as session:
            record = session.get(SenderRecord, self._sender, with_for_update=True)
            record = record or SenderRecord(sender=self._sender, generation=0)
            record.generation += 1
            session.add(record)
            self._generation = record.generation

    def pending(self, limit: int) -> list[TxIntent]:
        """Wishes without a transaction, oldest first."""
        query = (
            select(IntentRecord)
            .where(IntentRecord.state == IntentState.PENDING.value)
            .order_by(col(IntentRecord.id))
        )
        takes = self._takes
        if takes is None:
            query = query.limit(limit)
        with self._reading() as session:
            waiting = [_intent(record) for record in session.exec(query).all()]
        return waiting if takes is None else [one for one in waiting if takes(one.instruction)][:limit]

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
        """Keep a signed transaction before it is sent, and mark what it carries; twice is once.

        This and every other write: `LostRace` "outbox-superseded" once another store claimed the account.
        """
        with self._writing() as session:
            self._check_claim(session)
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

    def settle_attempt(self, nonce: int, outcomes: Sequence[Settled], seen: Sighting | None = None) -> None:
        """Every transaction of this nonce leaves the flight, and its wishes become what `outcomes` say.

        Of what was `seen`, the block is kept for `settled`, the cost for `spent`.
        """
        with self._writing() as session:
            self._check_claim(session)
            for record in session.exec(self._of_nonce(nonce)).all():
                record.in_flight = False
                if seen is not None:
                    _keep(session, record, outcomes, seen)
            for outcome in outcomes:
                _settle(session, outcome)

    def settle_intent(self, outcome: Settled) -> None:
        """The fate of a wish that never was in a transaction."""
        with self._writing() as session:
            self._check_claim(session)
            _settle(session, outcome)

    def settled(self) -> list[SettledNonce]:
        """Nonces whose fate is known, and may yet change with the block that showed it; lowest first."""
        query = (
            select(AttemptRecord)
            .where(AttemptRecord.sender == self._sender, col(AttemptRecord.seen_number).is_not(None))
            .order_by(col(AttemptRecord.nonce))
        )
        with self._reading() as session:
            found = {record.nonce: record for record in session.exec(query).all()}
            return [_settled_nonce(record) for record in found.values()]

    def make_final(self, number: int) -> None:
        """What blocks up to this number showed cannot change any more."""
        query = select(AttemptRecord).where(
            AttemptRecord.sender == self._sender, col(AttemptRecord.seen_number) <= number
        )
        with self._writing() as session:
            self._check_claim(session)
            for record in session.exec(query).all():
                record.seen_number = record.seen_hash = None

    def reopen(self, nonces: Sequence[int]) -> None:
        """These nonces come back into flight, and the wishes that they decided with them; what they cost is
        not spent any more."""
        with self._writing() as session:
            self._check_claim(session)
            for nonce in nonces:
                _reopen(session, session.exec(self._of_nonce(nonce)).all())

    def spent(self, day: int) -> int:
        """Wei that mined transactions cost which were sent on this UTC day (days since 1970)."""
        with self._reading() as session:
            record = session.get(GasRecord, (self._sender, day))
            return 0 if record is None else record.wei

    def _of_nonce(self, nonce: int) -> SelectOfScalar[AttemptRecord]:
        return select(AttemptRecord).where(AttemptRecord.sender == self._sender, AttemptRecord.nonce == nonce)

    def _check_claim(self, session: Session) -> None:
        if self._generation is None:
            return
        record = session.get(SenderRecord, self._sender, with_for_update=True)
        if record is None or record.generation != self._generation:
            raise LostRace(
                "outbox-superseded",
                f"Another process took over sending from {text(self._sender)}.",
                "Let one process send from it: stop this one, or the other and start this one again.",
            )


def reopen_above(session: Session, number: int) -> None:
    """After a reorganisation down to this block: whatever a later block showed is in flight again, within
    the caller's unit of work, so that nobody takes a vanished effect for one that lasts."""
    query = select(AttemptRecord).where(col(AttemptRecord.seen_number) > number)
    _reopen(session, session.exec(query).all())


def _reopen(session: Session, records: Iterable[AttemptRecord]) -> None:
    for record in records:
        if record.in_flight:
            continue
        for one in json.loads(record.decided or "[]"):
            _known(session, one).state = IntentState.SENT.value
        if record.cost is not None:
            _spend(session, record, -record.cost)
        record.in_flight = True
        record.seen_number = record.seen_hash = record.decided = record.cost = None


def _keep(session: Session, record: AttemptRecord, outcomes: Sequence[Settled], seen: Sighting) -> None:
    record.seen_number, record.seen_hash = seen.block.number, seen.block.hash
    record.decided = json.dumps([outcome.intent for outcome in outcomes])
    if record.hash == seen.transaction:
        record.cost = seen.cost
        _spend(session, record, seen.cost)


def _spend(session: Session, record: AttemptRecord, wei: int) -> None:
    day = record.sent_at // _DAY_SECONDS
    gas = session.get(GasRecord, (record.sender, day)) or GasRecord(sender=record.sender, day=day, wei=0)
    gas.wei += wei
    session.add(gas)


def _known(session: Session, number: int) -> IntentRecord:
    record = session.get(IntentRecord, number)
    if record is None:
        raise Broken("unknown-intent", f"There is no intent {number}.", "Restore the books from a copy.")
    return record


def _settle(session: Session, outcome: Settled) -> None:
    record = _known(session, outcome.intent)
    record.state, record.detail = outcome.state.value, outcome.detail


def _settled_nonce(record: AttemptRecord) -> SettledNonce:
    assert record.seen_number is not None
    assert record.seen_hash is not None
    return SettledNonce(nonce=record.nonce, number=record.seen_number, hash=record.seen_hash)


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
