"""What the outbox asks of its surroundings: a memory that survives a crash, and a chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.chain.calls import Call
from ledger.chain.client import Fees, MinedReceipt
from ledger.chain.outcomes import Outcome
from ledger.chain.typed_data import Domain
from ledger.market.errors import Rejected
from ledger.market.events import BlockRef
from ledger.market.identity import Address
from ledger.market.outbox import SettledNonce, Sighting, TxAttempt, TxIntent


class OutboxStore(Protocol):
    """What survives a crash. Every method commits before it returns; each that writes may raise `LostRace`
    "outbox-superseded" once another store of the same account claimed it."""

    def claim(self) -> None:
        """Become the only store of this account that may write."""
        ...

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

    def settle_attempt(self, nonce: int, outcomes: Sequence[Outcome], seen: Sighting) -> None:
        """At once: every attempt with this nonce leaves the flight, its intents become what `outcomes` says
        (which may be PENDING: to be tried anew), and the cost counts as spent."""
        ...

    def settle_intent(self, outcome: Outcome) -> None:
        """The fate of an intent that never was in a transaction."""
        ...

    def settled(self) -> Sequence[SettledNonce]:
        """Nonces whose fate is known and not final, lowest first."""
        ...

    def make_final(self, number: int) -> None:
        """What blocks up to this number showed is final: `settled` names it no more."""
        ...

    def reopen(self, nonces: Sequence[int]) -> None:
        """At once: these are in flight again, the intents that they decided are SENT, their cost unspent."""
        ...

    def spent(self, day: int) -> int:
        """Wei that settled attempts cost which were sent on this UTC day (days since 1970)."""
        ...


class OutboxChain(Protocol):
    """What is asked of a chain; `ledger.chain.client.MarketClient` is one."""

    @property
    def market(self) -> Address: ...

    def domain(self) -> Domain: ...

    def jury(self) -> Address: ...

    def block(self, which: int | Literal["latest", "finalized"]) -> BlockRef: ...

    def transaction_count(self, account: Address, which: int | Literal["latest", "pending"]) -> int: ...

    def fees(self) -> Fees: ...

    def simulate(self, call: Call, sender: Address) -> None: ...

    def send_raw(self, raw: bytes) -> bytes: ...

    def receipt(self, transaction: bytes) -> MinedReceipt | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxPolicy:
    """Times in seconds, fees in wei per gas; `confirmations` 1 trusts the head.

    `in_flight` transactions at most wait at a time, about what a public node's pool keeps of one account.
    `gas_budget` is the most wei that the transactions sent on one UTC day may cost; None sets no limit.
    """

    confirmations: int = 1
    resend_after: int = 5
    bump_after: int = 60
    highest_fee: int = 1_000 * 10**9
    in_flight: int = 16
    gas_budget: int | None = None

    def __post_init__(self) -> None:
        if self.confirmations < 1 or self.in_flight < 1 or (self.gas_budget or 0) < 0:
            raise Rejected(
                "malformed-outbox-policy",
                "Confirmations and transactions in flight are at least 1, a gas budget is not negative.",
                "Correct the settings.",
            )
