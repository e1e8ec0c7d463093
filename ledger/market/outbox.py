"""The outbox's values: a wish that was committed, and each signed transaction that tries to fulfil it.

An intent is written in the same database transaction as the fact that caused it; the transaction's
nonce and raw bytes are written before it is sent, so that a crash anywhere is repaired by sending the
same bytes again (`ledger.chain.outbox` does, `ledger.books.outbox` keeps). What became of a nonce is only as
sure as the block that showed it: both are kept, so that a reorganisation brings the nonce back into flight.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.market.events import BlockRef
from ledger.market.instructions import Instruction


class IntentState(StrEnum):
    """PENDING: committed, no transaction yet. SENT: in a transaction not yet final. DONE: its event or a
    receipt is final. FAILED: it was mined and took no effect, or can never take effect."""

    PENDING = "pending"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TxIntent:
    """`key` makes it unique: the same wish is written once, however often it is wished."""

    id: int
    key: str
    instruction: Instruction
    state: IntentState
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TxAttempt:
    """One signed transaction, kept before it is sent; it may carry several intents of one kind."""

    intents: tuple[int, ...]
    nonce: int
    raw: bytes
    hash: bytes
    max_fee: int
    sent_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The block that showed what became of a nonce: `transaction` of ours was mined in it and cost `cost`
    wei; None where it shows the nonce taken by somebody else's."""

    block: BlockRef
    transaction: bytes | None = None
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledNonce:
    """A nonce whose fate is known, and number and hash of the block that showed it."""

    nonce: int
    number: int
    hash: bytes
