"""Why the outbox knows what became of each wish in a batch: the mined events say it, item by item."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.chain.typed_data import Domain, bid_id, offer_id
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    Deposited,
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
    Withdrawn,
)
from ledger.market.identity import NO_DIGEST, BidId, LeaseId
from ledger.market.instructions import (
    AnchorEpoch,
    CancelOffer,
    CloseLease,
    CommitResult,
    ContestClaim,
    ContinueLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    Instruction,
    OpenClaim,
    OpenGang,
    OpenLease,
    RegisterOffer,
    RelayDeposit,
    RelayWithdrawal,
    ReleaseLease,
    RevealResult,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.outbox import IntentState, TxIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an intent becomes; `detail` is "" or why it failed (a `SkipReason` name, or a code)."""

    intent: int
    state: IntentState
    detail: str = ""


def outcome_of(intent: TxIntent, events: Sequence[MarketEvent], domain: Domain) -> Outcome:
    """DONE where the mined transaction's events show the wish fulfilled, else FAILED with the reason."""
    reason = reason_against(intent.instruction, events, domain)
    if reason is None:
        return Outcome(intent=intent.id, state=IntentState.DONE)
    return Outcome(intent=intent.id, state=IntentState.FAILED, detail=reason)


def reason_against(wish: Instruction, events: Sequence[MarketEvent], domain: Domain) -> str | None:
    """Why a mined transaction's events do not fulfil the wish: a `SkipReason` name or a code; None where
    they do."""
    if any(_fulfils(event, wish, domain) for event in events):
        return None
    return _why(wish, events, domain)


def _fulfils(event: MarketEvent, wish: Instruction, domain: Domain) -> bool:
    match wish:
        case OpenLease(lease=lease) | ContinueLease(lease=lease):
            return isinstance(event, LeaseOpened) and event.id == lease
        case OpenGang(members=members):
            # All of a gang opens, or none.
            return isinstance(event, LeaseOpened) and event.id == members[0].lease
        case RegisterOffer(offer=offer):
            return isinstance(event, OfferRegistered) and event.id == offer_id(domain, offer)
        case CancelOffer(offer=offer):
            return isinstance(event, OfferCancelled) and event.id == offer_id(domain, offer)
        case SettleReceipt() | ReleaseLease() | CloseLease() | TerminateLease():
            return _moves_lease(event, wish)
        case OpenClaim() | ContestClaim() | FinalizeClaim():
            return _moves_claim(event, wish)
        case CommitResult() | RevealResult() | DecideReplicas():
            return _moves_result(event, wish)
        case RelayDeposit(signed=permit):
            return isinstance(event, Deposited) and event.account == permit.owner
        case RelayWithdrawal(signed=signed):
            order = signed.withdrawal
            paid_out = Withdrawn(account=order.account, to=order.to, amount=order.amount)
            return event == paid_out
        case FinishUnstake(account=account):
            return isinstance(event, Unstaked) and event.account == account
        case AnchorEpoch():
            # A call carries the newest of its roots, which names those before it.
            return isinstance(event, BatchMatched) and event.root != NO_DIGEST


def _moves_lease(
    event: MarketEvent, wish: SettleReceipt | ReleaseLease | CloseLease | TerminateLease
) -> bool:
    match wish:
        case SettleReceipt(signed=signed):
            settled = (signed.receipt.lease, signed.receipt.milliseconds)
            return isinstance(event, UsageSettled) and (event.lease, event.milliseconds) == settled
        case TerminateLease(lease=lease):
            return isinstance(event, LeaseTerminated) and event.lease == lease
        case ReleaseLease(lease=lease) | CloseLease(lease=lease):
            return isinstance(event, LeaseClosed) and event.lease == lease


def _moves_claim(event: MarketEvent, wish: OpenClaim | ContestClaim | FinalizeClaim) -> bool:
    match wish, event:
        case (
            (OpenClaim(), ClaimOpened(lease=lease))
            | (ContestClaim(), ClaimContested(lease=lease))
            | (FinalizeClaim(), ClaimDecided(lease=lease))
        ):
            return lease == wish.lease
        case _:
            return False


def _moves_result(event: MarketEvent, wish: CommitResult | RevealResult | DecideReplicas) -> bool:
    match wish:
        case CommitResult(lease=lease, commitment=commitment):
            named = (lease, commitment)
            return isinstance(event, ResultCommitted) and (event.lease, event.commitment) == named
        case RevealResult(lease=lease, result=result):
            shown = (lease, result)
            return isinstance(event, ResultRevealed) and (event.lease, event.result) == shown
        case DecideReplicas(bid_id=bid):
            return isinstance(event, ReplicasDecided) and event.bid == bid


def _why(wish: Instruction, events: Sequence[MarketEvent], domain: Domain) -> str:
    subject = _subject(wish, domain)
    for event in events:
        if isinstance(event, BidSkipped) and event.bid == subject:
            return event.reason.name
        if isinstance(event, ReceiptSkipped) and event.lease == subject:
            return event.reason.name
    return "no-event"


def _subject(wish: Instruction, domain: Domain) -> BidId | LeaseId | None:
    match wish:
        case OpenLease(signed=signed):
            return bid_id(domain, signed.bid)
        case OpenGang(bid=bid):
            return bid
        case SettleReceipt(signed=signed):
            return signed.receipt.lease
        case CloseLease(lease=lease):
            return lease
        case _:
            return None
