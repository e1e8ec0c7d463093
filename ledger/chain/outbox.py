"""Why a wish committed is carried out once, whatever dies in between: sign, store, then send.

An intent becomes part of a signed transaction whose nonce and bytes are stored before they are sent; the
same bytes may be sent any number of times. Only a mined transaction, deep enough, decides what became of
its intents. One outbox per sending account, stepped by one thread; nothing else should send from it,
though a nonce taken by somebody else only delays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal, Protocol

from ledger.chain.calls import BATCHED, MAX_ITEMS, TO_JURY, Call, market_call
from ledger.chain.client import Fees, MinedReceipt
from ledger.chain.keys import Signer, UnsignedTransaction, unsigned_of
from ledger.chain.outcomes import Outcome, outcome_of
from ledger.chain.typed_data import Domain
from ledger.market.errors import LostRace, Rejected
from ledger.market.events import BlockRef
from ledger.market.identity import NOBODY, Address
from ledger.market.instructions import (
    CloseLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    Instruction,
    OpenLease,
    RevealResult,
    SettleReceipt,
)
from ledger.market.outbox import IntentState, TxAttempt, TxIntent

TRANSFER_GAS = 21_000
"""what a transaction without a call costs"""
NOT_YET: Final = ("not yet", "too early")
"""what the contracts say of a call whose time has not come"""
_SKIPPED_ALONE: Final = (OpenLease, SettleReceipt)
"""kinds of which a bad one costs the others nothing and is explained by its event"""
_TIMED: Final = (CloseLease, FinalizeClaim, FinishUnstake, DecideReplicas, RevealResult)
"""kinds whose time may not have come: they wait, at no cost, for as long as the contract says `NOT_YET`"""


class OutboxStore(Protocol):
    """What survives a crash. Every method commits before it returns."""

    def pending(self, limit: int) -> Sequence[TxIntent]:
        """PENDING intents, oldest first."""
        ...

    def intents(self, ids: Sequence[int]) -> Sequence[TxIntent]: ...

    def attempts_in_flight(self) -> Sequence[TxAttempt]:
        """Attempts recorded and not settled, by nonce, then as recorded."""
        ...

    def next_nonce(self) -> int:
        """One above the highest nonce ever recorded; 0 at first."""
        ...

    def record_attempt(self, attempt: TxAttempt) -> None:
        """At once: keep the attempt, make its intents SENT, move `next_nonce` beyond its nonce."""
        ...

    def settle_attempt(self, nonce: int, outcomes: Sequence[Outcome]) -> None:
        """At once: every attempt with this nonce leaves the flight, and its intents become what
        `outcomes` says (which may be PENDING: to be tried anew)."""
        ...

    def settle_intent(self, outcome: Outcome) -> None:
        """The fate of an intent that never was in a transaction."""
        ...


class OutboxChain(Protocol):
    """What is asked of a chain; `ledger.chain.client.MarketClient` is one."""

    @property
    def market(self) -> Address: ...

    def domain(self) -> Domain: ...

    def jury(self) -> Address: ...

    def block(self, which: Literal["latest"]) -> BlockRef: ...

    def transaction_count(self, account: Address, which: int | Literal["latest"]) -> int: ...

    def fees(self) -> Fees: ...

    def simulate(self, call: Call, sender: Address) -> None: ...

    def send_raw(self, raw: bytes) -> bytes: ...

    def receipt(self, transaction: bytes) -> MinedReceipt | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxPolicy:
    """Times in seconds, fees in wei per gas; `confirmations` 1 trusts the head."""

    confirmations: int = 1
    resend_after: int = 5
    bump_after: int = 60
    highest_fee: int = 1_000 * 10**9
    in_flight: int = 16


class Outbox:
    """Carries out the intents of one account."""

    def __init__(
        self,
        store: OutboxStore,
        chain: OutboxChain,
        key: Signer,
        policy: OutboxPolicy = OutboxPolicy(),
    ) -> None:
        self._store = store
        self._chain = chain
        self._key = key
        self._policy = policy
        self._sent_at: dict[bytes, int] = {}
        self._underpriced: set[bytes] = set()
        self._alone: set[int] = set()

    def step(self, at: int) -> int:
        """Settle what is mined, pursue what is not, send what is new; how many of these it did.

        `Unavailable` where the chain is silent and `Rejected` where it takes nothing (no coin for gas):
        nothing is lost, the next step goes on from there.
        """
        flying = self._in_flight()
        if not flying:
            return self._send_pending(at)
        # Read before the receipts: a nonce counted here whose receipt is missing below is a stranger's.
        counted = self._chain.transaction_count(self._key.address, "latest")
        done = self._fill_gap(counted, flying, at)
        done += sum(self._look_after(attempts, counted, at) for attempts in flying)
        return done + self._send_pending(at)

    def _in_flight(self) -> list[list[TxAttempt]]:
        attempts = self._store.attempts_in_flight()
        return [list(group) for _, group in groupby(attempts, key=lambda attempt: attempt.nonce)]

    def _fill_gap(self, counted: int, flying: Sequence[Sequence[TxAttempt]], at: int) -> int:
        """Where a stranger's transaction vanished (a reorganisation, a lost pool), nothing takes the next
        nonce and ours wait for ever: after a while an empty one to ourselves takes it."""
        waiting = [attempts[-1] for attempts in flying if attempts[-1].nonce >= counted]
        gap = bool(waiting) and waiting[0].nonce > counted
        if not gap or at - waiting[0].sent_at < self._policy.bump_after:
            return 0
        nothing = Call(to=self._key.address, data=b"", gas=TRANSFER_GAS)
        self._sign_and_send(self._unsigned(nothing, counted), (), at)
        return 1

    def _look_after(self, attempts: Sequence[TxAttempt], counted: int, at: int) -> int:
        """One nonce: settle it, leave it to get deeper, or see to it that the chain has it."""
        mined = self._mined(attempts)
        if mined is None:
            taken = counted > attempts[-1].nonce
            return self._recover(attempts) if taken else self._pursue(attempts[-1], at)
        for attempt in attempts:
            self._sent_at.pop(attempt.hash, None)
        if mined.block.number > self._deep_enough():
            return 0
        self._store.settle_attempt(attempts[-1].nonce, self._outcomes(attempts[-1], mined))
        return 1

    def _mined(self, attempts: Sequence[TxAttempt]) -> MinedReceipt | None:
        receipts = (self._chain.receipt(attempt.hash) for attempt in reversed(attempts))
        return next((receipt for receipt in receipts if receipt is not None), None)

    def _deep_enough(self) -> int:
        return self._chain.block("latest").number - self._policy.confirmations + 1

    def _recover(self, attempts: Sequence[TxAttempt]) -> int:
        """A foreign transaction took the nonce: once that is deep enough, try the intents anew."""
        depth = max(0, self._deep_enough())
        if self._chain.transaction_count(self._key.address, depth) <= attempts[-1].nonce:
            return 0
        anew = [
            Outcome(intent=one, state=IntentState.PENDING, detail="nonce-taken")
            for one in attempts[-1].intents
        ]
        self._store.settle_attempt(attempts[-1].nonce, anew)
        return 1

    def _pursue(self, last: TxAttempt, at: int) -> int:
        patience = self._policy.resend_after if last.hash in self._underpriced else self._policy.bump_after
        stuck = at - last.sent_at >= patience
        if stuck and (dearer := self._dearer(last)) is not None:
            self._sign_and_send(dearer, last.intents, at)
            return 1
        sent_at = self._sent_at.get(last.hash)
        if sent_at is None or at - sent_at >= self._policy.resend_after:
            self._send(last.raw, last.hash, at)
            return 1
        return 0

    def _dearer(self, last: TxAttempt) -> UnsignedTransaction | None:
        """The same call with both fees at least an eighth higher, as mempools ask of a replacement."""
        before, fees = unsigned_of(last.raw), self._chain.fees()
        max_fee = max(fees.max_fee, before.max_fee + before.max_fee // 8 + 1)
        tip = max(fees.tip, before.tip + before.tip // 8 + 1)
        if max_fee > self._policy.highest_fee:
            return None
        return replace(before, max_fee=max_fee, tip=min(tip, max_fee))

    def _outcomes(self, attempt: TxAttempt, mined: MinedReceipt) -> list[Outcome]:
        intents = self._store.intents(attempt.intents)
        if mined.succeeded:
            domain = self._chain.domain()
            return [outcome_of(intent, mined.events, domain) for intent in intents]
        if len(intents) > 1:
            self._alone.update(attempt.intents)
            return [
                Outcome(intent=one, state=IntentState.PENDING, detail="reverted") for one in attempt.intents
            ]
        return [self._failed(intent, self._refusal(intent) or "reverted") for intent in intents]

    def _send_pending(self, at: int) -> int:
        sent = 0
        room = self._policy.in_flight - len(self._in_flight())
        waiting = list(self._store.pending(MAX_ITEMS * max(0, room)))
        while waiting and sent < room:
            batch = self._next_batch(waiting)
            waiting = [intent for intent in waiting if intent not in batch]
            idle = not self._in_flight()
            ready = [intent for intent in batch if self._is_ready(intent, idle=idle)]
            if ready:
                self._send_batch(ready, at)
                sent += 1
        return sent

    def _next_batch(self, waiting: Sequence[TxIntent]) -> list[TxIntent]:
        """The oldest intent and those that may share its call."""
        first = waiting[0]
        if not isinstance(first.instruction, BATCHED) or first.id in self._alone:
            return [first]
        alike = [
            intent
            for intent in waiting
            if type(intent.instruction) is type(first.instruction) and intent.id not in self._alone
        ]
        return alike[:MAX_ITEMS]

    def _is_ready(self, intent: TxIntent, *, idle: bool) -> bool:
        """Whether sending it can do any good now. What would revert fails without costing gas, but only
        when none of our transactions is on its way that might make it right."""
        timed = isinstance(intent.instruction, _TIMED)
        harmless = isinstance(intent.instruction, _SKIPPED_ALONE) and intent.id not in self._alone
        if harmless or not (idle or timed):
            return True
        reason = self._refusal(intent)
        if reason is None:
            return True
        if idle and not (timed and any(phrase in reason for phrase in NOT_YET)):
            self._store.settle_intent(self._failed(intent, reason))
        return False

    def _refusal(self, intent: TxIntent) -> str | None:
        """Why the contract would refuse the intent alone now; None where it would not."""
        try:
            self._chain.simulate(self._call([intent.instruction]), self._key.address)
        except Rejected as exc:
            return str(exc.facts.get("reason", exc.code))
        return None

    def _failed(self, intent: TxIntent, detail: str) -> Outcome:
        return Outcome(intent=intent.id, state=IntentState.FAILED, detail=detail)

    def _call(self, wishes: Sequence[Instruction]) -> Call:
        jury = self._chain.jury() if isinstance(wishes[0], TO_JURY) else NOBODY
        return market_call(self._chain.market, wishes, jury=jury)

    def _send_batch(self, batch: Sequence[TxIntent], at: int) -> None:
        call = self._call([intent.instruction for intent in batch])
        counted = self._chain.transaction_count(self._key.address, "latest")
        fields = self._unsigned(call, max(self._store.next_nonce(), counted))
        self._sign_and_send(fields, tuple(intent.id for intent in batch), at)

    def _unsigned(self, call: Call, nonce: int) -> UnsignedTransaction:
        fees = self._chain.fees()
        return UnsignedTransaction(
            chain_id=self._chain.domain().chain_id,
            nonce=nonce,
            to=call.to,
            data=call.data,
            gas=call.gas,
            max_fee=fees.max_fee,
            tip=fees.tip,
        )

    def _sign_and_send(self, fields: UnsignedTransaction, intents: tuple[int, ...], at: int) -> None:
        signed = self._key.sign_transaction(fields)
        attempt = TxAttempt(
            intents=intents,
            nonce=fields.nonce,
            raw=signed.raw,
            hash=signed.hash,
            max_fee=fields.max_fee,
            sent_at=at,
        )
        self._store.record_attempt(attempt)
        self._send(signed.raw, signed.hash, at)

    def _send(self, raw: bytes, transaction: bytes, at: int) -> None:
        """A lost race (nonce used, fee too low by now) is for the next step to see and settle."""
        try:
            self._chain.send_raw(raw)
        except LostRace as exc:
            if exc.code == "underpriced":
                self._underpriced.add(transaction)
        self._sent_at[transaction] = at
