"""Wishes of every kind for the outbox, and what the contracts log for each, the second time too."""

from collections.abc import Callable

from ledger.chain.typed_data import Domain, bid_id, offer_id
from ledger.market.bid import SignedBid
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    ClaimDecided,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    OfferCancelled,
    OfferRegistered,
    ReceiptSkipped,
    ReplicasDecided,
    ResultCommitted,
    ResultRevealed,
    Unstaked,
    UsageSettled,
)
from ledger.market.identity import NO_DIGEST, BidId, LeaseId, OfferId
from ledger.market.instructions import (
    AnchorEpoch,
    CancelOffer,
    CloseLease,
    CommitResult,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    GangMember,
    Instruction,
    OpenGang,
    OpenLease,
    RegisterOffer,
    ReleaseLease,
    RevealResult,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt, UsageReceipt
from tests.factories import a_bid, a_digest, an_address, an_offer, some_terms

MARKET, JURY = an_address("market"), an_address("jury")
DOMAIN = Domain(chain_id=7, market=MARKET)


def an_opening(serial: int, limit: int = 5) -> OpenLease:
    signed = SignedBid(bid=a_bid(nonce=serial, limit_rate=limit), signature=bytes(64))
    return OpenLease(
        lease=LeaseId(a_digest(f"lease {serial}")),
        offer_id=OfferId(a_digest("offer")),
        offer=an_offer(),
        signed=signed,
        rate=5,
    )


def a_settlement(serial: int) -> SettleReceipt:
    receipt = UsageReceipt(
        lease=LeaseId(a_digest(f"lease {serial}")), milliseconds=serial, evidence=NO_DIGEST, last=True
    )
    return SettleReceipt(
        terms=some_terms(rate=serial), signed=SignedReceipt(receipt=receipt, signature=bytes(64))
    )


def a_close(serial: int) -> CloseLease:
    return CloseLease(lease=LeaseId(a_digest(f"close {serial}")), terms=some_terms(rate=serial))


def a_registration(serial: int) -> RegisterOffer:
    return RegisterOffer(offer=an_offer(salt=serial))


def a_cancellation(serial: int) -> CancelOffer:
    return CancelOffer(offer=an_offer(salt=serial))


def a_release(serial: int) -> ReleaseLease:
    return ReleaseLease(lease=LeaseId(a_digest(f"release {serial}")), terms=some_terms(rate=serial))


def a_termination(serial: int) -> TerminateLease:
    return TerminateLease(lease=LeaseId(a_digest(f"end {serial}")), terms=some_terms(rate=serial))


def a_gang(serial: int, limit: int = 5) -> OpenGang:
    bid = a_bid(nonce=serial, limit_rate=limit, members=2)
    members = tuple(
        GangMember(
            lease=LeaseId(a_digest(f"member {serial} {number}")),
            offer_id=OfferId(a_digest("offer")),
            offer=an_offer(),
            rate=5,
        )
        for number in range(2)
    )
    signed = SignedBid(bid=bid, signature=bytes(64))
    return OpenGang(bid=bid_id(DOMAIN, bid), signed=signed, members=members, seed=NO_DIGEST)


def a_finalisation(serial: int) -> FinalizeClaim:
    return FinalizeClaim(lease=LeaseId(a_digest(f"claim {serial}")), terms=some_terms(rate=serial))


def an_unstaking(serial: int) -> FinishUnstake:
    return FinishUnstake(account=an_address(f"staker {serial}"))


def a_commitment(serial: int) -> CommitResult:
    lease = LeaseId(a_digest(f"replica {serial}"))
    return CommitResult(lease=lease, terms=some_terms(rate=serial), commitment=a_digest("commitment"))


def a_reveal(serial: int) -> RevealResult:
    lease, terms = LeaseId(a_digest(f"replica {serial}")), some_terms(rate=serial)
    return RevealResult(lease=lease, bid=a_bid(), terms=terms, result=a_digest("result"), salt=NO_DIGEST)


def a_judgement(serial: int) -> DecideReplicas:
    return DecideReplicas(bid_id=BidId(a_digest(f"bid {serial}")), bid=a_bid(nonce=serial), members=())


def an_anchor(serial: int) -> AnchorEpoch:
    return AnchorEpoch(root=a_digest(f"epoch {serial}"))


KINDS: list[Callable[[int], Instruction]] = [
    a_registration,
    a_cancellation,
    an_opening,
    a_gang,
    a_settlement,
    a_release,
    a_termination,
    a_close,
    a_finalisation,
    an_unstaking,
    an_anchor,
    a_commitment,
    a_reveal,
    a_judgement,
]
TIMED = [a_close, a_finalisation, an_unstaking, a_reveal, a_judgement]


def effect(wish: Instruction, again: bool) -> MarketEvent:
    """What the contract logs for one wish, the second time a skip where it can."""
    buyer, provider = an_address("buyer"), an_address("provider")
    match wish:
        case OpenLease() if again or wish.signed.bid.limit_rate < wish.rate:
            reason = SkipReason.NONCE_USED if again else SkipReason.ABOVE_LIMIT
            return BidSkipped(bid=bid_id(DOMAIN, wish.signed.bid), reason=reason)
        case OpenLease():
            return LeaseOpened(id=wish.lease, terms=some_terms(), start=0, escrow=0, nonce=0, job=NO_DIGEST)
        case OpenGang() if again or wish.signed.bid.limit_rate < wish.members[0].rate:
            return BidSkipped(bid=wish.bid, reason=SkipReason.NONCE_USED if again else SkipReason.ABOVE_LIMIT)
        case OpenGang(members=members):
            lease = members[0].lease
            return LeaseOpened(id=lease, terms=some_terms(), start=0, escrow=0, nonce=0, job=NO_DIGEST)
        case SettleReceipt(signed=signed) if again:
            return ReceiptSkipped(lease=signed.receipt.lease, reason=SkipReason.NOT_MONOTONE)
        case SettleReceipt(signed=signed):
            return UsageSettled(
                lease=signed.receipt.lease,
                buyer=buyer,
                provider=provider,
                milliseconds=signed.receipt.milliseconds,
                amount=0,
                fee=0,
                paid=0,
                evidence=NO_DIGEST,
            )
        case CloseLease(lease=lease) if again:
            return ReceiptSkipped(lease=lease, reason=SkipReason.LEASE_UNKNOWN)
        case TerminateLease(lease=lease):
            return LeaseTerminated(lease=lease, buyer=buyer, provider=provider, ended_after=1)
        case ReleaseLease(lease=lease) | CloseLease(lease=lease):
            return LeaseClosed(
                lease=lease,
                buyer=buyer,
                provider=provider,
                paid=0,
                refunded=0,
                because=ClosedBecause.RELEASED,
            )
        case RegisterOffer(offer=offer):
            return OfferRegistered(id=offer_id(DOMAIN, offer), offer=offer)
        case CancelOffer(offer=offer):
            return OfferCancelled(id=offer_id(DOMAIN, offer), provider=offer.provider)
        case _:
            return later_effect(wish)


def later_effect(wish: Instruction) -> MarketEvent:
    """What is logged for a wish about a claim, a stake or a replica."""
    provider = an_address("provider")
    match wish:
        case FinalizeClaim(lease=lease):
            return ClaimDecided(
                lease=lease,
                buyer=an_address("buyer"),
                provider=provider,
                by=ClaimDecidedBy.NOBODY_CONTESTED,
                **dict.fromkeys(("amount", "fee", "paid", "to_provider", "to_buyer", "burned"), 0),
            )
        case AnchorEpoch(root=root):
            return BatchMatched(matcher=an_address("node"), root=root, opened=0, skipped=0)
        case FinishUnstake(account=account):
            return Unstaked(account=account, amount=1)
        case CommitResult(lease=lease, commitment=commitment):
            return ResultCommitted(lease=lease, provider=provider, commitment=commitment)
        case RevealResult(lease=lease, result=result):
            return ResultRevealed(lease=lease, provider=provider, result=result)
        case DecideReplicas(bid_id=bid):
            return ReplicasDecided(bid=bid, result=NO_DIGEST, agreed=0)
        case _:
            raise AssertionError(wish)
