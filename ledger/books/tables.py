"""The tables of one books file: the journal that is the truth, what is derived from it, and the outbox.

`PROJECTIONS` can be emptied and rebuilt from the journal at any time. Documents are content-addressed,
the cursor belongs to the follower and the outbox tables to the outbox: those are not derived.
"""

from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from ledger.books.columns import WHOLE, Hex, Prose, Wide
from ledger.books.money_tables import MONEY


def _bytes(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    return Field(sa_type=Hex, **options)


def _wide(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    return Field(sa_type=Wide, **options)


def _whole(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    return Field(sa_type=WHOLE, **options)


def _prose(**options: Any) -> Any:  # noqa: ANN401 - Field's own type
    return Field(sa_type=Prose, **options)


class JournalEntry(SQLModel, table=True):
    """One fact. `slot` is its natural key, by which `ledger.books.journal` knows a repeat; `digest` chains
    it to the one before (`ledger.books.journal_chain`)."""

    __tablename__ = "journal"
    seq: int | None = _whole(default=None, primary_key=True)
    at: int = _whole()
    kind: str
    slot: str = Field(index=True)
    body: str
    digest: bytes = _bytes()


class BlockRecord(SQLModel, table=True):
    """A surviving block that held events of the market."""

    __tablename__ = "blocks"
    hash: bytes = _bytes(primary_key=True)
    number: int = _whole(index=True)
    seq: int = _whole()


class EventRecord(SQLModel, table=True):
    """One logged event; `subject` is the lease, offer or account that it changes, as text."""

    __tablename__ = "events"
    seq: int = _whole(primary_key=True)
    name: str
    subject: str = Field(index=True)
    block_number: int = _whole()
    block_hash: bytes = _bytes(index=True)
    block_parent: bytes = _bytes()
    block_at: int = _whole()
    log_index: int = _whole()
    transaction_hash: bytes = _bytes()
    body: str
    rewound: bool = False


class DelegationRecord(SQLModel, table=True):
    """What a key may do for an account; no row where it may do nothing."""

    __tablename__ = "delegations"
    account: bytes = _bytes(primary_key=True)
    key: bytes = _bytes(primary_key=True, index=True)
    roles: int = _whole(default=0)
    allowance: int = _wide(default=0)
    until: int = _whole(default=0)


class MarketRecord(SQLModel, table=True):
    """One row: what the market fixed for good, who guards it, and until when it is paused (0: it is not)."""

    __tablename__ = "market"
    id: int = _whole(default=1, primary_key=True)
    token: bytes = _bytes()
    guardian: bytes = _bytes()
    arbiter: bytes = _bytes()
    jury: bytes = _bytes()
    policy: str
    paused_until: int = _whole(default=0)


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
    sequence: int = _whole(index=True)
    buyer: bytes = _bytes(index=True)
    document: bytes = _bytes()
    attempts: int = _whole()
    accepted_at: int = _whole()
    wait_until: int = _whole()
    delegate: bytes = _bytes()
    reserve: int = _wide()
    withdrawn_code: str | None = _prose(default=None)
    withdrawn_cause: str | None = _prose(default=None)
    state: str = Field(index=True)
    code: str = _prose(default="")
    cause: str = _prose(default="")
    lease: bytes | None = _bytes(default=None)
    members: str = "[]"
    next_attempt: int = _whole(default=0)
    excluded: str = "[]"


class BidRecord(SQLModel, table=True):
    """One signed bid of a job; `attempt` is its place among those of its alternative. `alternative` is
    None for a bid that continues a lease. `draw` is how a replicated one's providers were drawn last."""

    __tablename__ = "bids"
    bid: bytes = _bytes(primary_key=True)
    job: bytes = _bytes(index=True)
    alternative: int | None = _whole(default=None)
    attempt: int = _whole()
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
    attempt: int = _whole(default=0)
    member: int = _whole(default=0)
    continues: bytes | None = _bytes(default=None)
    sequence: int = _whole(default=0)
    planned_at: int | None = _whole(default=None)
    skipped: int | None = _whole(default=None)

    agree: int = _whole(default=0)
    undecided: bool = False
    commitment: bytes | None = _bytes(default=None)
    result: bytes | None = _bytes(default=None)
    verdict: str | None = None

    start: int | None = _whole(default=None)
    escrow: int = _wide(default=0)
    paid: int = _wide(default=0)
    refunded: int | None = _wide(default=None)
    ended_after: int | None = _whole(default=None)
    terminated: bool = False
    because: str | None = None
    fee: int = _wide(default=0)
    settled_milliseconds: int = _wide(default=0)
    lock: int = _wide(default=0)
    burned: int = _wide(default=0)
    claimed: int | None = _wide(default=None)
    provider_bond: int = _wide(default=0)
    buyer_bond: int = _wide(default=0)
    claim_until: int | None = _whole(default=None)

    phase: str | None = None
    exit_code: int | None = _wide(default=None)
    code: str = _prose(default="")
    cause: str = _prose(default="")
    agent_lost_at: int | None = _whole(default=None)
    usage: str | None = None
    usage_milliseconds: int = _wide(default=0)
    receipt: str | None = None
    receipt_milliseconds: int = _wide(default=0)
    receipt_last: bool = False


class UsageRecord(SQLModel, table=True):
    """One report of usage; `sequence` is its place among its lease's lines, None in no tree of them.
    `evidence` is the root over the lines up to this one."""

    __tablename__ = "usage_lines"
    __table_args__ = (Index("ix_usage_lines_lease_sequence", "lease", "sequence", unique=True),)
    seq: int = _whole(primary_key=True)
    lease: bytes = _bytes(index=True)
    sequence: int | None = _whole(default=None)
    evidence: bytes = _bytes(index=True)
    body: str


class OutputRecord(SQLModel, table=True):
    __tablename__ = "outputs"
    lease: bytes = _bytes(primary_key=True)
    path: str = _prose(primary_key=True)
    sha256: str
    size: int = _wide()


class DocumentRecord(SQLModel, table=True):
    __tablename__ = "documents"
    hash: bytes = _bytes(primary_key=True)
    body: bytes


class CursorRecord(SQLModel, table=True):
    """How far the chain was followed: one row, the block and its unfinalised tail."""

    __tablename__ = "cursor"
    id: int = _whole(default=1, primary_key=True)
    block: str
    tail: str


class IntentRecord(SQLModel, table=True):
    __tablename__ = "intents"
    id: int | None = _whole(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str = Field(index=True)
    instruction: str
    state: str = Field(index=True)
    detail: str = _prose(default="")
    created_at: int = _whole()


class AttemptRecord(SQLModel, table=True):
    """One signed transaction, stored before it is sent; several of one nonce where its fee was raised.

    Of a nonce whose fate is known: the wishes that it `decided` (JSON numbers), and, of the one that was
    mined, what it `cost` in wei; until that is final the block that showed it (`seen_number`, `seen_hash`).
    """

    __tablename__ = "attempts"
    id: int | None = _whole(default=None, primary_key=True)
    hash: bytes = _bytes(unique=True)
    sender: bytes = _bytes(index=True)
    nonce: int = _whole(index=True)
    raw: bytes
    intents: str
    max_fee: int = _wide()
    sent_at: int = _whole()
    in_flight: bool = Field(default=True, index=True)
    seen_number: int | None = _whole(default=None, index=True)
    seen_hash: bytes | None = _bytes(default=None)
    decided: str | None = None
    cost: int | None = _wide(default=None)


class SenderRecord(SQLModel, table=True):
    """Who sends from an account: `generation` is the newest outbox that took it over, the only one that may
    record transactions."""

    __tablename__ = "senders"
    sender: bytes = _bytes(primary_key=True)
    generation: int = _whole()


class GasRecord(SQLModel, table=True):
    """What an account's mined transactions cost in wei, by the UTC day (days since 1970) they were sent."""

    __tablename__ = "gas"
    sender: bytes = _bytes(primary_key=True)
    day: int = _whole(primary_key=True)
    wei: int = _wide()


class WriterRecord(SQLModel, table=True):
    """One row: which process writes these books, by the address at which the others reach it. `term` counts
    the elections."""

    __tablename__ = "writers"
    id: int = _whole(default=1, primary_key=True)
    term: int = _whole(default=0)
    url: str = _prose(default="")


PROJECTIONS: tuple[type[SQLModel], ...] = (
    BlockRecord,
    EventRecord,
    *MONEY,
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
