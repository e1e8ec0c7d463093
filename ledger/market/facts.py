"""Facts that only the node knows: what it accepted, planned, co-signed and was told by agents.

Together with the chain's events they are the journal; replaying it rebuilds every projection. Each may
be applied twice without a difference.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.market.bid import Bid, SignedBid
from ledger.market.events import BlockRef, Logged
from ledger.market.identity import NOBODY, Address, BidId, Digest, LeaseId, OfferId
from ledger.market.instructions import ContinueLease, OpenGang, OpenLease
from ledger.market.lease import LeaseTerms
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One way in which a buyer would have its job: a document, and bids on it that differ in their nonce
    alone; each is for one attempt."""

    document: Digest
    attempts: tuple[SignedBid, ...]
    attempt_ids: tuple[BidId, ...]

    @property
    def bid(self) -> Bid:
        """The first attempt's; the others differ from it in their nonce alone."""
        return self.attempts[0].bid


@dataclass(frozen=True, slots=True, kw_only=True)
class BidAccepted:
    """A buyer's order stands in the book: `attempts` are bids that differ in their nonce alone; the
    first one's id names the job, the others serve retries. `wait_until` is seconds since 1970.
    `alternatives` are further ways, each attempt with the nonce of the first way's, so that one opens.
    `delegate` is the key that signed for the buyer, nobody where the buyer itself did."""

    job: BidId
    document: Digest
    attempts: tuple[SignedBid, ...]
    attempt_ids: tuple[BidId, ...]
    accepted_at: int
    wait_until: int
    alternatives: tuple[Alternative, ...] = ()
    delegate: Address = NOBODY

    @property
    def ways(self) -> tuple[Alternative, ...]:
        """Every alternative, the first one included."""
        first = Alternative(document=self.document, attempts=self.attempts, attempt_ids=self.attempt_ids)
        return (first, *self.alternatives)


@dataclass(frozen=True, slots=True, kw_only=True)
class BidWithdrawn:
    """The order left the book without a lease: cancelled by its buyer, or its waiting time ran out."""

    job: BidId
    code: str
    cause: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasePlanned:
    """The node decided to open this lease; the match transaction carries it. A lease that continues
    another one stays in that one's job and attempt."""

    job: BidId
    attempt: int
    wish: OpenLease | ContinueLease
    terms: LeaseTerms
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How the providers of replicas were drawn: `seed` is sha256 of the bid's id and of the hash of the
    newest block that the node followed; `eligible` are the offers that took part."""

    seed: Digest
    block_number: int
    block_hash: bytes
    eligible: tuple[OfferId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPlanned:
    """The node decided to open the leases of this gang, all in one call; `terms` stand in the order of
    the members' numbers. `draw` is None for a gang that is no replicas."""

    job: BidId
    attempt: int
    wish: OpenGang
    terms: tuple[LeaseTerms, ...]
    draw: Draw | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFailed:
    """The contract skipped the planned match; the order returns to the book or leaves it. For a gang
    `lease` is the first member's, and all were skipped."""

    job: BidId
    lease: LeaseId
    reason: SkipReason
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReported:
    """What an agent metered: cumulative milliseconds, with CPU time and peak memory as evidence.

    `evidence` is the root over the lease's lines up to this one (`ledger.market.usage_tree`), of which it is
    the one at `sequence`, counted from 0. None in what release 0.1.0 wrote: such a report is in no tree, and
    its `evidence` is the hash of it alone.
    """

    lease: LeaseId
    milliseconds: int
    cpu_ns: int
    peak_bytes: int
    evidence: Digest
    last: bool
    at: int
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCosigned:
    """The bid's signer agreed to a usage report."""

    signed: SignedReceipt
    at: int


class JobPhase(StrEnum):
    """What an agent says of a lease's job."""

    PREPARING = "preparing"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    LOST = "lost"

    @property
    def final(self) -> bool:
        return self in (JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.REFUSED, JobPhase.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReported:
    """An agent's word on its job; `cause` says why it failed or was refused, "" otherwise."""

    lease: LeaseId
    phase: JobPhase
    exit_code: int | None
    code: str
    cause: str
    outputs: tuple[OutputFile, ...]
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLost:
    """The agent of an open lease fell silent: this lease ends, and its provider gets the job no more."""

    lease: LeaseId
    provider: Address
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseYields:
    """An interruptible lease was told at `at` to end by `until`, both seconds, with the notice that it was
    sold with: the order that the bid `by` is an attempt of takes its place."""

    lease: LeaseId
    by: BidId
    at: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainObserved:
    """One block of the market's chain with the market's events in it; the cursor moves with it."""

    block: BlockRef
    events: tuple[Logged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRewound:
    """A reorganisation: blocks above `to` no longer exist and their events never happened."""

    to: BlockRef


Fact = (
    BidAccepted
    | BidWithdrawn
    | LeasePlanned
    | GangPlanned
    | PlanFailed
    | UsageReported
    | ReceiptCosigned
    | JobReported
    | AgentLost
    | LeaseYields
    | ChainObserved
    | ChainRewound
)
