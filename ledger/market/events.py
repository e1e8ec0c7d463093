"""Facts that the market contract logged; from these alone every balance and lease can be rebuilt.

One class per event of the contract, same fields, bytes and integers only (words unpacked where the
kernel has a type for them). Where in the chain a fact stands is `Logged`, not part of the fact.
"""

from dataclasses import dataclass

from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.offer import Offer
from ledger.market.reasons import SkipReason


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
    """`amount` is what this receipt paid the provider, `paid` the lease's total, in base units."""

    lease: LeaseId
    buyer: Address
    provider: Address
    milliseconds: int
    amount: int
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
class Deposited:
    account: Address
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    account: Address
    amount: int


MarketEvent = (
    OfferRegistered
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
