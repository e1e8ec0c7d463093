"""What the node or an agent wants the chain to do; each wish becomes one outbox intent, then a call.

Wishes carry all that the call needs, so that an intent written before a crash can be carried out after
it. Several of one kind may be batched into one transaction.
"""

from dataclasses import dataclass

from ledger.market.bid import Bid, SignedBid
from ledger.market.identity import Address, BidId, Digest, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOffer:
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOffer:
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLease:
    """Match this bid with this offer at `rate`; `lease` is the id that must come out."""

    lease: LeaseId
    offer_id: OfferId
    offer: Offer
    signed: SignedBid
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleReceipt:
    terms: LeaseTerms
    signed: SignedReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLease:
    lease: LeaseId
    terms: LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateLease:
    lease: LeaseId
    terms: LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseLease:
    lease: LeaseId
    terms: LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class GangMember:
    """One lease of a gang: on which offer, at which rate; `lease` is the id that must come out."""

    lease: LeaseId
    offer_id: OfferId
    offer: Offer
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGang:
    """Open all members of this bid in one call, or none; `members` stand in the order of their number.
    `seed` is what replicas were drawn by, published with them; zero for another gang."""

    bid: BidId
    signed: SignedBid
    members: tuple[GangMember, ...]
    seed: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueLease:
    """Close the lease of `previous` with its last receipt and open the next in the same call."""

    lease: LeaseId
    previous: LeaseTerms
    receipt: SignedReceipt
    offer_id: OfferId
    offer: Offer
    signed: SignedBid
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenClaim:
    """The provider claims pay up to `milliseconds` for a lease whose signer fell silent."""

    lease: LeaseId
    terms: LeaseTerms
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestClaim:
    lease: LeaseId
    terms: LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeClaim:
    lease: LeaseId
    terms: LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    lease: LeaseId
    terms: LeaseTerms
    commitment: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealResult:
    lease: LeaseId
    bid: Bid
    terms: LeaseTerms
    result: Digest
    salt: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideReplicas:
    """Have the jury judge the replicas of a bid; `members` are their terms in the order of their number."""

    bid_id: BidId
    bid: Bid
    members: tuple[LeaseTerms, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayDeposit:
    """Deposit for the owner who signed the permit; the sender pays the gas."""

    signed: SignedPermit


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayWithdrawal:
    """Deliver a signed withdrawal; the sender pays the gas."""

    signed: SignedWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishUnstake:
    """Move what the account queued, and may have now, to its balance; anybody may."""

    account: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorEpoch:
    """Log the root of what the matcher published of an epoch; each root stands for all before it, so the
    newest of a call is enough."""

    root: Digest


Instruction = (
    RegisterOffer
    | CancelOffer
    | OpenLease
    | OpenGang
    | ContinueLease
    | SettleReceipt
    | ReleaseLease
    | TerminateLease
    | CloseLease
    | OpenClaim
    | ContestClaim
    | FinalizeClaim
    | CommitResult
    | RevealResult
    | DecideReplicas
    | RelayDeposit
    | RelayWithdrawal
    | FinishUnstake
    | AnchorEpoch
)
