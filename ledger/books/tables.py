"""The tables of one books file: the journal that is the truth, what is derived from it, and the outbox.

`PROJECTIONS` can be emptied and rebuilt from the journal at any time. Documents are content-addressed,
the cursor belongs to the follower and the outbox tables to the outbox: those are not derived.
"""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from ledger.books.columns import hex_field, prose_field, whole_field, wide_field
from ledger.books.money_tables import MONEY


class JournalEntry(SQLModel, table=True):
    """One fact. `slot` is its natural key, by which `ledger.books.journal` knows a repeat; `digest` chains
    it to the one before (`ledger.books.journal_chain`)."""

    __tablename__ = "journal"
    seq: int | None = whole_field(default=None, primary_key=True)
    at: int = whole_field()
    kind: str
    slot: str = Field(index=True)
    body: str
    digest: bytes = hex_field()


class BlockRecord(SQLModel, table=True):
    """A surviving block that held events of the market."""

    __tablename__ = "blocks"
    hash: bytes = hex_field(primary_key=True)
    number: int = whole_field(index=True)
    seq: int = whole_field()


class EventRecord(SQLModel, table=True):
    """One logged event; `subject` is the lease, offer or account that it changes, as text."""

    __tablename__ = "events"
    seq: int = whole_field(primary_key=True)
    name: str
    subject: str = Field(index=True)
    block_number: int = whole_field()
    block_hash: bytes = hex_field(index=True)
    block_parent: bytes = hex_field()
    block_at: int = whole_field()
    log_index: int = whole_field()
    transaction_hash: bytes = hex_field()
    body: str
    rewound: bool = False


class DelegationRecord(SQLModel, table=True):
    """What a key may do for an account; no row where it may do nothing."""

    __tablename__ = "delegations"
    account: bytes = hex_field(primary_key=True)
    key: bytes = hex_field(primary_key=True, index=True)
    roles: int = whole_field(default=0)
    allowance: int = wide_field(default=0)
    until: int = whole_field(default=0)


class MarketRecord(SQLModel, table=True):
    """One row: what the market fixed for good, who guards it, and until when it is paused (0: it is not)."""

    __tablename__ = "market"
    id: int = whole_field(default=1, primary_key=True)
    token: bytes = hex_field()
    guardian: bytes = hex_field()
    arbiter: bytes = hex_field()
    jury: bytes = hex_field()
    policy: str
    paused_until: int = whole_field(default=0)


class EpochRecord(SQLModel, table=True):
    __tablename__ = "epochs"
    account: bytes = hex_field(primary_key=True)
    epoch: int = wide_field()


class OfferRecord(SQLModel, table=True):
    __tablename__ = "offers"
    id: bytes = hex_field(primary_key=True)
    provider: bytes = hex_field(index=True)
    offer: str
    used: int = wide_field()
    cancelled: bool = False


class JobRecord(SQLModel, table=True):
    """`state` to `excluded` cache `ledger.market.lifecycle.standing` of the job's facts."""

    __tablename__ = "jobs"
    job: bytes = hex_field(primary_key=True)
    sequence: int = whole_field(index=True)
    buyer: bytes = hex_field(index=True)
    document: bytes = hex_field()
    attempts: int = whole_field()
    accepted_at: int = whole_field()
    wait_until: int = whole_field()
    delegate: bytes = hex_field()
    reserve: int = wide_field()
    withdrawn_code: str | None = prose_field(default=None)
    withdrawn_cause: str | None = prose_field(default=None)
    state: str = Field(index=True)
    code: str = prose_field(default="")
    cause: str = prose_field(default="")
    lease: bytes | None = hex_field(default=None)
    members: str = "[]"
    next_attempt: int = whole_field(default=0)
    excluded: str = "[]"


class BidRecord(SQLModel, table=True):
    """One signed bid of a job; `attempt` is its place among those of its alternative. `alternative` is
    None for a bid that continues a lease. `draw` is how a replicated one's providers were drawn last."""

    __tablename__ = "bids"
    bid: bytes = hex_field(primary_key=True)
    job: bytes = hex_field(index=True)
    alternative: int | None = whole_field(default=None)
    attempt: int = whole_field()
    document: bytes = hex_field(index=True)
    signed: str
    draw: str | None = None


class LeaseRecord(SQLModel, table=True):
    """One lease: what was planned, what the chain says, what its agent and signer say. `sequence` is the
    journal's number of what made it, or planned it last; `planned_at` is None where nobody here did."""

    __tablename__ = "leases"
    id: bytes = hex_field(primary_key=True)
    offer: bytes = hex_field(index=True)
    bid: bytes = hex_field(index=True)
    provider: bytes = hex_field(index=True)
    buyer: bytes = hex_field(index=True)
    signer: bytes = hex_field(index=True)
    terms: str
    state: str = Field(index=True)
    job: bytes | None = hex_field(default=None, index=True)
    attempt: int = whole_field(default=0)
    member: int = whole_field(default=0)
    continues: bytes | None = hex_field(default=None)
    sequence: int = whole_field(default=0)
    planned_at: int | None = whole_field(default=None)
    skipped: int | None = whole_field(default=None)

    agree: int = whole_field(default=0)
    undecided: bool = False
    commitment: bytes | None = hex_field(default=None)
    result: bytes | None = hex_field(default=None)
    verdict: str | None = None

    start: int | None = whole_field(default=None)
    escrow: int = wide_field(default=0)
    paid: int = wide_field(default=0)
    refunded: int | None = wide_field(default=None)
    ended_after: int | None = whole_field(default=None)
    terminated: bool = False
    because: str | None = None
    fee: int = wide_field(default=0)
    settled_milliseconds: int = wide_field(default=0)
    lock: int = wide_field(default=0)
    burned: int = wide_field(default=0)
    claimed: int | None = wide_field(default=None)
    provider_bond: int = wide_field(default=0)
    buyer_bond: int = wide_field(default=0)
    claim_until: int | None = whole_field(default=None)

    phase: str | None = None
    exit_code: int | None = wide_field(default=None)
    code: str = prose_field(default="")
    cause: str = prose_field(default="")
    agent_lost_at: int | None = whole_field(default=None)
    yields: str | None = None
    usage: str | None = None
    usage_milliseconds: int = wide_field(default=0)
    receipt: str | None = None
    receipt_milliseconds: int = wide_field(default=0)
    receipt_last: bool = False


class UsageRecord(SQLModel, table=True):
    """One report of usage; `sequence` is its place among its lease's lines, None in no tree of them.
    `evidence` is the root over the lines up to this one."""

    __tablename__ = "usage_lines"
    __table_args__ = (Index("ix_usage_lines_lease_sequence", "lease", "sequence", unique=True),)
    seq: int = whole_field(primary_key=True)
    lease: bytes = hex_field(index=True)
    sequence: int | None = whole_field(default=None)
    evidence: bytes = hex_field(index=True)
    body: str


class OutputRecord(SQLModel, table=True):
    __tablename__ = "outputs"
    lease: bytes = hex_field(primary_key=True)
    path: str = prose_field(primary_key=True)
    sha256: str
    size: int = wide_field()


class DocumentRecord(SQLModel, table=True):
    __tablename__ = "documents"
    hash: bytes = hex_field(primary_key=True)
    body: bytes


class BundleRecord(SQLModel, table=True):
    """One published epoch of the matcher; `kept` until its pages were dropped."""

    __tablename__ = "bundles"
    seq: int | None = whole_field(default=None, primary_key=True)
    root: bytes = hex_field(unique=True)
    header: bytes
    at: int = whole_field(index=True)
    matches: int = whole_field()
    kept: bool = True


class PageRecord(SQLModel, table=True):
    """A page of published epochs under its SHA-256; `last` is the newest epoch that it is part of, None while
    it is part of the next one too."""

    __tablename__ = "bundle_pages"
    hash: bytes = hex_field(primary_key=True)
    body: bytes
    size: int = whole_field()
    last: int | None = whole_field(default=None, index=True)


class CursorRecord(SQLModel, table=True):
    """How far the chain was followed: one row, the block and its unfinalised tail."""

    __tablename__ = "cursor"
    id: int = whole_field(default=1, primary_key=True)
    block: str
    tail: str


class IntentRecord(SQLModel, table=True):
    __tablename__ = "intents"
    id: int | None = whole_field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str = Field(index=True)
    instruction: str
    state: str = Field(index=True)
    detail: str = prose_field(default="")
    created_at: int = whole_field()


class AttemptRecord(SQLModel, table=True):
    """One signed transaction, stored before it is sent; several of one nonce where its fee was raised.

    Of a nonce whose fate is known: the wishes that it `decided` (JSON numbers), and, of the one that was
    mined, what it `cost` in wei; until that is final the block that showed it (`seen_number`, `seen_hash`).
    """

    __tablename__ = "attempts"
    id: int | None = whole_field(default=None, primary_key=True)
    hash: bytes = hex_field(unique=True)
    sender: bytes = hex_field(index=True)
    nonce: int = whole_field(index=True)
    raw: bytes
    intents: str
    max_fee: int = wide_field()
    sent_at: int = whole_field()
    in_flight: bool = Field(default=True, index=True)
    seen_number: int | None = whole_field(default=None, index=True)
    seen_hash: bytes | None = hex_field(default=None)
    decided: str | None = None
    cost: int | None = wide_field(default=None)


class SenderRecord(SQLModel, table=True):
    """Who sends from an account: `generation` is the newest outbox that took it over, the only one that may
    record transactions."""

    __tablename__ = "senders"
    sender: bytes = hex_field(primary_key=True)
    generation: int = whole_field()


class GasRecord(SQLModel, table=True):
    """What an account's mined transactions cost in wei, by the UTC day (days since 1970) they were sent."""

    __tablename__ = "gas"
    sender: bytes = hex_field(primary_key=True)
    day: int = whole_field(primary_key=True)
    wei: int = wide_field()


class WriterRecord(SQLModel, table=True):
    """One row: which process writes these books, by the address at which the others reach it. `term` counts
    the elections."""

    __tablename__ = "writers"
    id: int = whole_field(default=1, primary_key=True)
    term: int = whole_field(default=0)
    url: str = prose_field(default="")


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
