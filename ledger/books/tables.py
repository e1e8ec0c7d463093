"""The tables of one books file: the journal that is the truth, what is derived from it, and the outbox.

`PROJECTIONS` can be emptied and rebuilt from the journal at any time. Documents are content-addressed,
the cursor belongs to the follower and the outbox tables to the outbox: those are not derived.
"""

from typing import Any

from sqlmodel import Field, SQLModel

from ledger.books.columns import Hex, Wide


def _bytes(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    return Field(sa_type=Hex, **options)


def _wide(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    return Field(sa_type=Wide, **options)


class JournalEntry(SQLModel, table=True):
    """One fact. `slot` is its natural key, by which `ledger.books.journal` knows a repeat."""

    __tablename__ = "journal"
    seq: int | None = Field(default=None, primary_key=True)
    at: int
    kind: str
    slot: str = Field(index=True)
    body: str


class BlockRecord(SQLModel, table=True):
    """A surviving block that held events of the market."""

    __tablename__ = "blocks"
    hash: bytes = _bytes(primary_key=True)
    number: int = Field(index=True)
    seq: int


class EventRecord(SQLModel, table=True):
    """One logged event; `subject` is the lease, offer or account that it changes, as text."""

    __tablename__ = "events"
    seq: int = Field(primary_key=True)
    name: str
    subject: str = Field(index=True)
    block_number: int
    block_hash: bytes = _bytes(index=True)
    block_parent: bytes = _bytes()
    block_at: int
    log_index: int
    transaction_hash: bytes = _bytes()
    body: str
    rewound: bool = False


class PostingRecord(SQLModel, table=True):
    """One leg of a money move; the legs of one event sum to zero."""

    __tablename__ = "postings"
    block_hash: bytes = _bytes(primary_key=True)
    log_index: int = Field(primary_key=True)
    leg: int = Field(primary_key=True)
    account: str = Field(index=True)
    amount: int = _wide()


class BalanceRecord(SQLModel, table=True):
    __tablename__ = "balances"
    account: bytes = _bytes(primary_key=True)
    amount: int = _wide()


class StakeRecord(SQLModel, table=True):
    """An account's free stake, and what it asked back of it; `unlock_at` is 0 where that is nothing."""

    __tablename__ = "stakes"
    account: bytes = _bytes(primary_key=True)
    free: int = _wide(default=0)
    queued: int = _wide(default=0)
    unlock_at: int = 0


class DelegationRecord(SQLModel, table=True):
    """What a key may do for an account; no row where it may do nothing."""

    __tablename__ = "delegations"
    account: bytes = _bytes(primary_key=True)
    key: bytes = _bytes(primary_key=True, index=True)
    roles: int = 0
    allowance: int = _wide(default=0)
    until: int = 0


class MarketRecord(SQLModel, table=True):
    """One row: what the market fixed for good, who guards it, and until when it is paused (0: it is not)."""

    __tablename__ = "market"
    id: int = Field(default=1, primary_key=True)
    token: bytes = _bytes()
    guardian: bytes = _bytes()
    arbiter: bytes = _bytes()
    jury: bytes = _bytes()
    policy: str
    paused_until: int = 0


class EpochRecord(SQLModel, table=True):
    __tablename__ = "epochs"
    account: bytes = _bytes(primary_key=True)
    epoch: int = _wide()


class OfferRecord(SQLModel, table=True):
    __tablename__ = "offers"
    id: bytes = _bytes(primary_key=True)
    provider: bytes = _bytes(index=True)
    offer: str
    used: int = _wide()
    cancelled: bool = False


class JobRecord(SQLModel, table=True):
    """`state` to `excluded` cache `ledger.market.lifecycle.standing` of the job's facts."""

    __tablename__ = "jobs"
    job: bytes = _bytes(primary_key=True)
    sequence: int = Field(index=True)
    buyer: bytes = _bytes(index=True)
    document: bytes = _bytes()
    attempts: int
    accepted_at: int
    wait_until: int
    delegate: bytes = _bytes()
    reserve: int = _wide()
    withdrawn_code: str | None = None
    withdrawn_cause: str | None = None
    state: str = Field(index=True)
    code: str = ""
    cause: str = ""
    lease: bytes | None = _bytes(default=None)
    members: str = "[]"
    next_attempt: int = 0
    excluded: str = "[]"


class BidRecord(SQLModel, table=True):
    """One signed bid of a job; `attempt` is its place among those of its alternative. `alternative` is
    None for a bid that continues a lease. `draw` is how a replicated one's providers were drawn last."""

    __tablename__ = "bids"
    bid: bytes = _bytes(primary_key=True)
    job: bytes = _bytes(index=True)
    alternative: int | None = None
    attempt: int
    document: bytes = _bytes(index=True)
    signed: str
    draw: str | None = None


class LeaseRecord(SQLModel, table=True):
    """One lease: what was planned, what the chain says, what its agent and signer say. `sequence` is the
    journal's number of what made it, or planned it last; `planned_at` is None where nobody here did."""

    __tablename__ = "leases"
    id: bytes = _bytes(primary_key=True)
    offer: bytes = _bytes(index=True)
    bid: bytes = _bytes(index=True)
    provider: bytes = _bytes(index=True)
    buyer: bytes = _bytes(index=True)
    signer: bytes = _bytes(index=True)
    terms: str
    state: str = Field(index=True)
    job: bytes | None = _bytes(default=None, index=True)
    attempt: int = 0
    member: int = 0
    continues: bytes | None = _bytes(default=None)
    sequence: int = 0
    planned_at: int | None = None
    skipped: int | None = None

    agree: int = 0
    undecided: bool = False
    commitment: bytes | None = _bytes(default=None)
    result: bytes | None = _bytes(default=None)
    verdict: str | None = None

    start: int | None = None
    escrow: int = _wide(default=0)
    paid: int = _wide(default=0)
    refunded: int | None = _wide(default=None)
    ended_after: int | None = None
    terminated: bool = False
    because: str | None = None
    fee: int = _wide(default=0)
    settled_milliseconds: int = _wide(default=0)
    lock: int = _wide(default=0)
    burned: int = _wide(default=0)
    claimed: int | None = _wide(default=None)
    provider_bond: int = _wide(default=0)
    buyer_bond: int = _wide(default=0)
    claim_until: int | None = None

    phase: str | None = None
    exit_code: int | None = _wide(default=None)
    code: str = ""
    cause: str = ""
    agent_lost_at: int | None = None
    usage: str | None = None
    usage_milliseconds: int = _wide(default=0)
    receipt: str | None = None
    receipt_milliseconds: int = _wide(default=0)
    receipt_last: bool = False


class UsageRecord(SQLModel, table=True):
    __tablename__ = "usage_lines"
    seq: int = Field(primary_key=True)
    lease: bytes = _bytes(index=True)
    body: str


class OutputRecord(SQLModel, table=True):
    __tablename__ = "outputs"
    lease: bytes = _bytes(primary_key=True)
    path: str = Field(primary_key=True)
    sha256: str
    size: int = _wide()


class DocumentRecord(SQLModel, table=True):
    __tablename__ = "documents"
    hash: bytes = _bytes(primary_key=True)
    body: bytes


class CursorRecord(SQLModel, table=True):
    """How far the chain was followed: one row, the block and its unfinalised tail."""

    __tablename__ = "cursor"
    id: int = Field(default=1, primary_key=True)
    block: str
    tail: str


class IntentRecord(SQLModel, table=True):
    __tablename__ = "intents"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str = Field(index=True)
    instruction: str
    state: str = Field(index=True)
    detail: str = ""
    created_at: int


class AttemptRecord(SQLModel, table=True):
    """One signed transaction, stored before it is sent; several of one nonce where its fee was raised."""

    __tablename__ = "attempts"
    id: int | None = Field(default=None, primary_key=True)
    hash: bytes = _bytes(unique=True)
    sender: bytes = _bytes(index=True)
    nonce: int = Field(index=True)
    raw: bytes
    intents: str
    max_fee: int = _wide()
    sent_at: int
    in_flight: bool = Field(default=True, index=True)


PROJECTIONS: tuple[type[SQLModel], ...] = (
    BlockRecord,
    EventRecord,
    PostingRecord,
    BalanceRecord,
    StakeRecord,
    DelegationRecord,
    MarketRecord,
    EpochRecord,
    OfferRecord,
    JobRecord,
    BidRecord,
    LeaseRecord,
    UsageRecord,
    OutputRecord,
)
