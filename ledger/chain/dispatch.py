"""Why the same bytes reach the chain whatever dies: signed, stored, sent, in this order, within the limits.

What was sent when is remembered in this process alone; after a crash everything in flight is sent once more,
which costs nothing, since the same bytes are one transaction.
"""

from ledger.chain.calls import Call
from ledger.chain.gas import DAY_SECONDS, capped, dearer, over_budget, reserved, unsigned, worst_cost
from ledger.chain.keys import Signer, UnsignedTransaction, unsigned_of
from ledger.chain.outbox_ports import OutboxChain, OutboxPolicy, OutboxStore
from ledger.market.errors import LostRace, Unavailable
from ledger.market.outbox import TxAttempt


class Dispatch:
    """Signs, records and sends the transactions of one account."""

    def __init__(self, store: OutboxStore, chain: OutboxChain, key: Signer, policy: OutboxPolicy) -> None:
        self._store = store
        self._chain = chain
        self._key = key
        self._policy = policy
        self._since: dict[bytes, int] = {}
        self._sent_at: dict[bytes, int] = {}
        self._underpriced: set[bytes] = set()

    def send(self, call: Call, nonce: int, intents: tuple[int, ...], at: int) -> None:
        """A new transaction; `Unavailable` "gas-budget-spent" where it might cost more than is left today."""
        fees = capped(self._chain.fees(), self._policy.highest_fee)
        fields = unsigned(call, fees, chain_id=self._chain.domain().chain_id, nonce=nonce)
        if (refusal := self._over_budget(fields, at)) is not None:
            raise refusal
        self._sign_and_send(fields, intents, at)

    def pursue(self, last: TxAttempt, at: int) -> int:
        """See to it that the chain has it: the same bytes first and once in a while, dearer where it is stuck
        although this process has sent it for long enough."""
        sent_at = self._sent_at.get(last.hash)
        if sent_at is None:
            self._hand_over(last.raw, last.hash, at)
            return 1
        patience = self._policy.resend_after if last.hash in self._underpriced else self._policy.bump_after
        stuck = at - self._since[last.hash] >= patience
        if stuck and (raised := self._raised(last, at)) is not None:
            self._sign_and_send(raised, last.intents, at)
            return 1
        if at - sent_at >= self._policy.resend_after:
            self._hand_over(last.raw, last.hash, at)
            return 1
        return 0

    def forget(self, transaction: bytes) -> None:
        """It was seen mined: should it vanish, the same bytes are to be sent again at once."""
        self._sent_at.pop(transaction, None)
        self._since.pop(transaction, None)
        self._underpriced.discard(transaction)

    def _raised(self, last: TxAttempt, at: int) -> UnsignedTransaction | None:
        raised = dearer(unsigned_of(last.raw), self._chain.fees(), self._policy.highest_fee)
        return raised if raised is None or self._over_budget(raised, at) is None else None

    def _over_budget(self, fields: UnsignedTransaction, at: int) -> Unavailable | None:
        budget, cost = self._policy.gas_budget, worst_cost(fields)
        if budget is None:
            return None
        spent = self._store.spent(at // DAY_SECONDS)
        flying = reserved(self._store.attempts_in_flight(), fields.nonce)
        return over_budget(budget, spent, flying, cost) if spent + flying + cost > budget else None

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
        self._hand_over(signed.raw, signed.hash, at)

    def _hand_over(self, raw: bytes, transaction: bytes, at: int) -> None:
        """A lost race (nonce used, fee too low by now) is for the next step to see and settle."""
        try:
            self._chain.send_raw(raw)
        except LostRace as exc:
            if exc.code == "underpriced":
                self._underpriced.add(transaction)
        self._since.setdefault(transaction, at)
        self._sent_at[transaction] = at
