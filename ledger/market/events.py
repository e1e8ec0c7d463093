"""Facts that the market contract logged; from these alone every balance and lease can be rebuilt.

One class per event of the contract, same fields, bytes and integers only (words unpacked where the
kernel has a type for them). Where in the chain a fact stands is `Logged`, not part of the fact.
"""

from dataclasses import dataclass

from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause, LeaseTerms
from ledger.market.offer import Offer
from ledger.market.policy import Policy
from ledger.market.reasons import SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDeployed:
    """The market's first event: what it fixed for good; `jury` is the contract that judges replicas."""

    token: Address
    guardian: Address
    arbiter: Address
    jury: Address
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRegistered:
    id: OfferId
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferCancelled:
    id: OfferId
    provider: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochBumped:
    account: Address
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoncesCancelled:
    """The nonces `word * 256 + i` for each bit i of `mask` can no longer open."""

    account: Address
    word: int
    mask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMatched:
    matcher: Address
    root: Digest
    opened: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BidSkipped:
    bid: BidId
    reason: SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSkipped:
    lease: LeaseId
    reason: SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOpened:
    """`start` is the block's time in seconds, `escrow` base units taken from the buyer's balance."""

    id: LeaseId
    terms: LeaseTerms
    start: int
    escrow: int
    nonce: int
    job: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettled:
    """`amount` is what this receipt took from the escrow and `paid` the lease's total, in base units; of
    `amount` the provider got all but `fee`, which the matcher gets (`FeePaid` moves it)."""

    lease: LeaseId
    buyer: Address
    provider: Address
    milliseconds: int
    amount: int
    fee: int
    paid: int
    evidence: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerminated:
    """The buyer ended the lease `ended_after` seconds after its start."""

    lease: LeaseId
    buyer: Address
    provider: Address
    ended_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseClosed:
    """`paid` is the lease's total, `refunded` what returned to the buyer's balance; their sum is the
    escrow."""

    lease: LeaseId
    buyer: Address
    provider: Address
    paid: int
    refunded: int
    because: ClosedBecause


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseContinued:
    """`lease` was opened in the call that closed `previous`, of the same buyer on the same offer."""

    lease: LeaseId
    previous: LeaseId


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateSet:
    """What `key` may do for `account` from now on: `roles` (`ledger.market.delegation`), base units of
    escrow that it may still commit, and the last second. Logged anew when a bid of the key opens."""

    account: Address
    key: Address
    roles: int
    allowance: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOpened:
    """The provider claims that the lease's total be `claimed`; `bond` left its balance."""

    lease: LeaseId
    buyer: Address
    provider: Address
    claimed: int
    bond: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimContested:
    """The buyer contests; `bond` left its balance. From `until` on the arbiter's silence splits it."""

    lease: LeaseId
    buyer: Address
    provider: Address
    bond: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDecided:
    """`paid` is the lease's total now and `amount` what the decision took from the escrow, of which the
    matcher gets `fee`. Of the bonds the provider gets `to_provider`, the buyer `to_buyer`, and `burned`
    is nobody's any more. A `LeaseClosed` follows."""

    lease: LeaseId
    buyer: Address
    provider: Address
    amount: int
    fee: int
    paid: int
    to_provider: int
    to_buyer: int
    burned: int
    by: ClaimDecidedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasOpened:
    """The open leases of `bid` are replicas: undecided until the jury has judged their results. `seed` is
    what the matcher says that it drew the providers by."""

    bid: BidId
    members: int
    agree: int
    seed: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseJudged:
    """The jury judged a replica's result. Where it is not `guilty` the lease goes on, undecided no more,
    with `start` and `ended_after` (seconds after it) such that its end, from which the grace counts, is
    the judgement; a guilty one's whole lock is burned and the lease closes."""

    lease: LeaseId
    guilty: bool
    start: int
    ended_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCommitted:
    """Logged by the jury: `commitment` = keccak256(lease, provider, result, salt)."""

    lease: LeaseId
    provider: Address
    commitment: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRevealed:
    """Logged by the jury."""

    lease: LeaseId
    provider: Address
    result: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasDecided:
    """Logged by the jury: `agreed` providers revealed `result`; both are 0 without a quorum."""

    bid: BidId
    result: Digest
    agreed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Staked:
    """Base units moved from the account's balance to its free stake."""

    account: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnstakeQueued:
    """`amount` left the free stake; all that is queued can be had from `unlock_at` on."""

    account: Address
    amount: int
    unlock_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstaked:
    """All that was queued moved to the account's balance."""

    account: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeBurned:
    """`amount` of the lock of a lease that has just closed is nobody's any more; the rest of the lock
    went back to the provider's free stake."""

    provider: Address
    lease: LeaseId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePaid:
    """The fees of the receipts before it in the same call, credited to the matcher's balance."""

    matcher: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaused:
    guardian: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianRenounced:
    guardian: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposited:
    account: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """`amount` left the account's balance and went to `to` as tokens."""

    account: Address
    to: Address
    amount: int


MarketEvent = (
    MarketDeployed
    | OfferRegistered
    | OfferCancelled
    | EpochBumped
    | NoncesCancelled
    | BatchMatched
    | BidSkipped
    | ReceiptSkipped
    | LeaseOpened
    | UsageSettled
    | LeaseTerminated
    | LeaseClosed
    | LeaseContinued
    | DelegateSet
    | ClaimOpened
    | ClaimContested
    | ClaimDecided
    | ReplicasOpened
    | LeaseJudged
    | ResultCommitted
    | ResultRevealed
    | ReplicasDecided
    | Staked
    | UnstakeQueued
    | Unstaked
    | StakeBurned
    | FeePaid
    | Paused
    | Unpaused
    | GuardianRenounced
    | Deposited
    | Withdrawn
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRef:
    """One block of the followed chain; `at` its timestamp in seconds."""

    number: int
    hash: bytes
    parent: bytes
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A fact and where it stands; (block hash, log index) names it, a duplicate has the same name."""

    event: MarketEvent
    block: BlockRef
    log_index: int
    transaction: bytes
