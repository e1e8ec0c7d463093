"""Why nobody has to trust what the outbox remembers: its bytes name themselves, and the chain shows the rest.

A transaction's hash, sender, nonce, fee and call follow from its raw bytes, and what became of a wish from
the events that its transactions logged. Not proven by anything: when a wish was made, and when it was sent.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from eth_account import Account
from hexbytes import HexBytes

from ledger.chain.calls import Call
from ledger.chain.keys import UnsignedTransaction, unsigned_of
from ledger.chain.outcomes import reason_against
from ledger.chain.typed_data import Domain, keccak
from ledger.market.errors import Rejected
from ledger.market.events import Logged, MarketEvent
from ledger.market.identity import Address, text
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState


class StoredAttempt(Protocol):
    """A signed transaction as the outbox's store holds it."""

    @property
    def id(self) -> int: ...

    @property
    def hash(self) -> bytes: ...

    @property
    def sender(self) -> Address: ...

    @property
    def nonce(self) -> int: ...

    @property
    def raw(self) -> bytes: ...

    @property
    def intents(self) -> tuple[int, ...]: ...

    @property
    def max_fee(self) -> int: ...

    @property
    def in_flight(self) -> bool: ...


class StoredIntent(Protocol):
    """A wish as the outbox's store holds it."""

    @property
    def id(self) -> int: ...

    @property
    def instruction(self) -> Instruction: ...

    @property
    def state(self) -> IntentState: ...


class AuditedChain(Protocol):
    """What is asked of the chain; `ledger.chain.client.MarketClient` is one."""

    def domain(self) -> Domain: ...

    def call_of(self, *wishes: Instruction) -> Call: ...

    def transaction_count(self, account: Address, which: Literal["latest"]) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDifference:
    """One figure of the outbox that cannot be: which table, row and field, what it is and what it must be."""

    table: str
    row: str
    field: str
    ours: str
    chain: str


def check_outbox(
    attempts: Sequence[StoredAttempt],
    intents: Sequence[StoredIntent],
    logged: Iterable[Logged],
    chain: AuditedChain,
) -> list[OutboxDifference]:
    """Everything in which the outbox contradicts its own bytes or the chain's events, all of them."""
    check = _Check(attempts, intents, logged, chain)
    return [*check.transactions(), *check.wishes()]


class _Check:
    def __init__(
        self,
        attempts: Sequence[StoredAttempt],
        intents: Sequence[StoredIntent],
        logged: Iterable[Logged],
        chain: AuditedChain,
    ) -> None:
        self._attempts = attempts
        self._intents = {intent.id: intent for intent in intents}
        self._chain = chain
        self._domain = chain.domain()
        self._counts: dict[Address, int] = {}
        self._nonces: dict[int, int] = {}
        self._events: dict[bytes, list[MarketEvent]] = defaultdict(list)
        for one in logged:
            self._events[one.transaction].append(one.event)
        self._carriers: dict[int, list[StoredAttempt]] = defaultdict(list)
        for attempt in attempts:
            for intent in attempt.intents:
                self._carriers[intent].append(attempt)

    def transactions(self) -> Iterator[OutboxDifference]:
        for attempt in self._attempts:
            if keccak(attempt.raw) != attempt.hash:
                yield _attempt(attempt, "raw", f"keccak {text(keccak(attempt.raw))}", text(attempt.hash))
                continue
            try:
                fields = unsigned_of(attempt.raw)
            except Rejected as exc:
                yield _attempt(attempt, "raw", text(attempt.raw)[:40], exc.cause)
                continue
            self._nonces[attempt.id] = fields.nonce
            yield from self._columns(attempt, fields)
            yield from self._carried(attempt, fields)

    def _columns(self, attempt: StoredAttempt, fields: UnsignedTransaction) -> Iterator[OutboxDifference]:
        signer = Account.recover_transaction(HexBytes(attempt.raw)).lower()
        meant = {
            "sender": (text(attempt.sender), signer),
            "nonce": (attempt.nonce, fields.nonce),
            "max_fee": (attempt.max_fee, fields.max_fee),
        }
        for field, (ours, chain) in meant.items():
            if ours != chain:
                yield _attempt(attempt, field, ours, chain)
        if self._lost(attempt):
            yield _attempt(attempt, "in_flight", False, True)

    def _lost(self, attempt: StoredAttempt) -> bool:
        """Whether it counts as settled though the chain has taken no transaction of its nonce."""
        if attempt.in_flight:
            return False
        if attempt.sender not in self._counts:
            self._counts[attempt.sender] = self._chain.transaction_count(attempt.sender, "latest")
        return self._nonces.get(attempt.id, attempt.nonce) >= self._counts[attempt.sender]

    def _carried(self, attempt: StoredAttempt, fields: UnsignedTransaction) -> Iterator[OutboxDifference]:
        """Whether the wishes that it names make the call that was signed."""
        unknown = [number for number in attempt.intents if number not in self._intents]
        for number in unknown:
            yield _intent(number, "row", "absent", f"carried by {text(attempt.hash)}")
        if unknown or not (attempt.intents or fields.data):
            return
        wishes = [self._intents[number].instruction for number in attempt.intents]
        if self._makes(wishes, fields):
            return
        others = [one.id for one in self._intents.values() if self._makes([one.instruction], fields)]
        if others or not attempt.intents:
            yield _attempt(attempt, "intents", list(attempt.intents), others or "the call's wishes")
            return
        for number in attempt.intents:
            told = f"another than {text(attempt.hash)} carries"
            yield _intent(number, "instruction", told, f"call data {text(fields.data)[:74]}")

    def _makes(self, wishes: Sequence[Instruction], fields: UnsignedTransaction) -> bool:
        try:
            call = self._chain.call_of(*wishes) if wishes else None
        except Rejected:
            return False
        return call is not None and (call.to, call.data) == (fields.to, fields.data)

    def wishes(self) -> Iterator[OutboxDifference]:
        for intent in self._intents.values():
            meant = self._state_of(intent)
            if meant is not None:
                yield _intent(intent.id, "state", intent.state.value, meant)

    def _state_of(self, intent: StoredIntent) -> str | None:
        """The state that the wish must have instead; None where it may have its own."""
        carriers = self._carriers[intent.id]
        reasons = [self._reason(intent, self._events[one.hash]) for one in carriers]
        if None in reasons:
            return None if intent.state in (IntentState.DONE, IntentState.SENT) else IntentState.DONE.value
        if intent.state is IntentState.DONE:
            return None if self._done_by_others(intent) else "not done: no event shows it"
        if any(one.in_flight or self._lost(one) for one in carriers):
            return None if intent.state is IntentState.SENT else IntentState.SENT.value
        if intent.state is IntentState.FAILED:
            return None
        skipped = [reason for reason in reasons if reason != "no-event"]
        if skipped:
            return f"{IntentState.FAILED.value}: {skipped[-1]}"
        return None if intent.state is IntentState.PENDING else IntentState.PENDING.value

    def _reason(self, intent: StoredIntent, events: Sequence[MarketEvent]) -> str | None:
        return reason_against(intent.instruction, events, self._domain)

    def _done_by_others(self, intent: StoredIntent) -> bool:
        return any(self._reason(intent, events) is None for events in self._events.values())


def _attempt(attempt: StoredAttempt, field: str, ours: object, chain: object) -> OutboxDifference:
    return OutboxDifference(
        table="attempts", row=str(attempt.id), field=field, ours=str(ours), chain=str(chain)
    )


def _intent(number: int, field: str, ours: str, chain: str) -> OutboxDifference:
    return OutboxDifference(table="intents", row=str(number), field=field, ours=ours, chain=chain)
