"""Why the outbox knows what became of each wish in a batch: the mined events say it, item by item."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.chain.typed_data import Domain, bid_id, offer_id
from ledger.market.events import (
    BidSkipped,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    OfferCancelled,
    OfferRegistered,
    ReceiptSkipped,
    UsageSettled,
)
from ledger.market.identity import BidId, LeaseId
from ledger.market.instructions import (
    CancelOffer,
    CloseLease,
    Instruction,
    OpenLease,
    RegisterOffer,
    ReleaseLease,
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
    if any(_fulfils(event, intent.instruction, domain) for event in events):
        return Outcome(intent=intent.id, state=IntentState.DONE)
    return Outcome(
        intent=intent.id, state=IntentState.FAILED, detail=_why(intent.instruction, events, domain)
    )


def _fulfils(event: MarketEvent, wish: Instruction, domain: Domain) -> bool:
    match wish:
        case OpenLease(lease=lease):
            return isinstance(event, LeaseOpened) and event.id == lease
        case SettleReceipt(signed=signed):
            settled = (signed.receipt.lease, signed.receipt.milliseconds)
            return isinstance(event, UsageSettled) and (event.lease, event.milliseconds) == settled
        case ReleaseLease(lease=lease) | CloseLease(lease=lease):
            return isinstance(event, LeaseClosed) and event.lease == lease
        case TerminateLease(lease=lease):
            return isinstance(event, LeaseTerminated) and event.lease == lease
        case RegisterOffer(offer=offer):
            return isinstance(event, OfferRegistered) and event.id == offer_id(domain, offer)
        case CancelOffer(offer=offer):
            return isinstance(event, OfferCancelled) and event.id == offer_id(domain, offer)


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
        case SettleReceipt(signed=signed):
            return signed.receipt.lease
        case CloseLease(lease=lease):
            return lease
        case _:
            return None
