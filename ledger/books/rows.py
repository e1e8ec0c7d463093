"""What readers of the books get: frozen values, so that no caller can hold or change a database object."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.market.bid import Bid, SignedBid
from ledger.market.events import BlockRef, MarketEvent
from ledger.market.facts import JobPhase, OutputFile, UsageReported
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.instructions import Instruction
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.offer import Offer
from ledger.market.outbox import IntentState
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt
from ledger.market.resource import Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job. `sequence` is the journal's number of its acceptance (time priority); `lease` the lease
    that decides its state; `reserve` the base units that an attempt at its limit would lock."""

    job: BidId
    sequence: int
    buyer: Address
    document: Digest
    attempts: tuple[SignedBid, ...]
    attempt_ids: tuple[BidId, ...]
    accepted_at: int
    wait_until: int
    state: JobState
    code: str
    cause: str
    lease: LeaseId | None
    leases: tuple[LeaseId, ...]
    next_attempt: int
    excluded: frozenset[Address]
    reserve: int
    exit_code: int | None
    outputs: tuple[OutputFile, ...]

    @property
    def bid(self) -> Bid:
        """The first signed bid; the others differ from it in their nonce alone."""
        return self.attempts[0].bid


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTransactions:
    """Hashes of the surviving transactions that moved a lease."""

    opened: bytes | None = None
    settled: tuple[bytes, ...] = ()
    terminated: bytes | None = None
    closed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """One lease. `start` is None until its opening is observed, `refunded` until it is closed; `signed`,
    `job` and `document` are None for a lease that this node did not plan."""

    id: LeaseId
    terms: LeaseTerms
    state: LeaseState
    job: BidId | None
    attempt: int
    signed: SignedBid | None
    document: Digest | None
    start: int | None
    escrow: int
    paid: int
    refunded: int | None
    ended_after: int | None
    because: ClosedBecause | None
    skipped: SkipReason | None
    phase: JobPhase | None
    exit_code: int | None
    code: str
    cause: str
    agent_lost_at: int | None
    planned_at: int | None
    usage: UsageReported | None
    receipt: SignedReceipt | None
    transactions: LeaseTransactions


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRow:
    """One registered offer with what its open leases take of it; `void` once its epoch was bumped."""

    id: OfferId
    offer: Offer
    used: Quantities
    cancelled: bool
    void: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferUsage:
    """Of one offer: `used` by leases open on chain, `planned` by matches not yet seen there."""

    used: Quantities
    planned: Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event as an explorer lists it; `rewound` when its block no longer exists."""

    seq: int
    event: MarketEvent
    block: BlockRef
    log_index: int
    transaction: bytes
    rewound: bool

    @property
    def name(self) -> str:
        return type(self.event).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRow:
    """One wish of the outbox; `detail` says why it failed, "" otherwise."""

    id: int
    key: str
    instruction: Instruction
    state: IntentState
    detail: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingRow:
    """One leg of a money move: `amount` base units into (negative: out of) `account`, which is
    `wallet:0x…` outside the market, `balance:0x…` or `escrow:0x…` in it."""

    block: bytes
    log_index: int
    leg: int
    account: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of the books that is not what it must be: which table, row and field, both values;
    `chain` is what the chain says, or the journal for a row that the chain knows nothing of."""

    table: str
    row: str
    field: str
    ours: str
    chain: str


ABSENT = "absent"
"""what a `Difference` shows where one side has no such row"""
Used = Mapping[OfferId, OfferUsage]
