"""What the node or an agent wants the chain to do; each wish becomes one outbox intent, then a call.

Wishes carry all that the call needs, so that an intent written before a crash can be carried out after
it. Several of one kind may be batched into one transaction.
"""

from dataclasses import dataclass

from ledger.market.bid import SignedBid
from ledger.market.identity import LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt


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


Instruction = (
    RegisterOffer | CancelOffer | OpenLease | SettleReceipt | ReleaseLease | TerminateLease | CloseLease
)
