"""What readers of the books get: frozen values, so that no caller can hold or change a database object."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.books.accounts import Kind, Purpose
from ledger.market.bid import Bid, SignedBid
from ledger.market.events import BlockRef, MarketEvent
from ledger.market.facts import Alternative, Draw, JobPhase, LeaseYields, OutputFile, UsageReported
from ledger.market.identity import NOBODY, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.instructions import Instruction
from ledger.market.lease import ClosedBecause, LeaseTerms, UsageClaim
from ledger.market.lifecycle import JobState, LeaseState, Verdict
from ledger.market.offer import Offer
from ledger.market.outbox import IntentState
from ledger.market.policy import Policy
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt
from ledger.market.resource import Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job. `sequence` is the journal's number of its acceptance (time priority); `lease` the lease
    that decides its state, `members` those of its attempt by their number; `reserve` the base units that
    an attempt at its limit would lock. `alternatives` are the further ways beside the first one's
    `document` and `attempts`, `delegate` the key that signed for the buyer (nobody: the buyer did), `draw`
    how the providers of replicas were drawn, in the attempt that decides."""

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
    alternatives: tuple[Alternative, ...] = ()
    delegate: Address = NOBODY
    members: tuple[LeaseId, ...] = ()
    draw: Draw | None = None

    @property
    def bid(self) -> Bid:
        """The first signed bid; the others of its way differ from it in their nonce alone."""
        return self.attempts[0].bid

    @property
    def ways(self) -> tuple[Alternative, ...]:
        """Every alternative, the first one included."""
        first = Alternative(document=self.document, attempts=self.attempts, attempt_ids=self.attempt_ids)
        return (first, *self.alternatives)


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
    `job` and `document` are None for a lease that this node did not plan. `continues` is the lease whose
    place it took. Of replicas: how many must `agree` (0 for another lease), whether the jury is yet to
    decide, what the provider committed to and revealed there, and what the decision made of it. In base
    units: the matcher's `fee` within `paid` (`settled_milliseconds` is what the last settlement was for), the
    provider's stake that it `lock`s while it is open, and
    what was `burned` of that; `claim` is one that nobody decided yet; `yields` says for whom it ends, and
    when."""

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
    fee: int
    settled_milliseconds: int
    lock: int
    burned: int
    claim: UsageClaim | None
    outputs: tuple[OutputFile, ...]
    continues: LeaseId | None
    agree: int
    undecided: bool
    terminated: bool
    commitment: Digest | None
    result: Digest | None
    verdict: Verdict | None
    yields: LeaseYields | None


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
class TransferRow:
    """One transfer: `amount` base units from the account `debit` to `credit`, named as
    `ledger.books.accounts` does. (`block`, `log_index`, `leg`) is the event's move that it posts; `reverses`
    is the number of the transfer that it takes back, because that one's block vanished."""

    id: int
    kind: Kind
    purpose: Purpose
    debit: str
    credit: str
    amount: int
    hold: str | None
    reverses: int | None
    lease: LeaseId | None
    block: bytes
    block_number: int
    at: int
    log_index: int
    leg: int
    transaction: bytes

    @property
    def posted(self) -> bool:
        """Whether money went from one account to the other, rather than was held or given back."""
        return self.kind in (Kind.DIRECT, Kind.POST)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTotals:
    """An account's sums in base units; a hold is pending until it is posted or void."""

    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int

    @property
    def posted(self) -> int:
        """What it has, its holds included."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What it has and may use."""
        return self.posted - self.debits_pending


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeRow:
    """An account's stake in base units; what it asked back is its own from `unlock_at` on, which is None
    where that is nothing."""

    free: int
    locked: int
    unstaking: int
    unlock_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRow:
    """What the market fixed for good; a guardian who renounced is `NOBODY`. `paused_until` is 0 where
    nobody paused it, or the pause was ended."""

    token: Address
    guardian: Address
    arbiter: Address
    jury: Address
    policy: Policy
    paused_until: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that rests in the book or is about to open. `reserve` base units would be locked at its
    limit; `delegate` signed for the buyer, nobody where the buyer itself did."""

    job: BidId
    sequence: int
    buyer: Address
    delegate: Address
    reserve: int
    rests: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLease:
    """A lease that holds capacity: `planned`, or else open on the chain; `continues` another one or not."""

    id: LeaseId
    terms: LeaseTerms
    planned: bool
    continues: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingOffer:
    """A registered offer; `usable` unless it was cancelled or its epoch was bumped."""

    id: OfferId
    offer: Offer
    usable: bool
