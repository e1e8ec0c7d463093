"""Which event fulfils which wish, and that another wish's event, or another lease's, does not."""

import pytest

from ledger.chain.outcomes import outcome_of, reason_against
from ledger.chain.typed_data import Domain
from ledger.market.bid import SignedBid
from ledger.market.events import (
    BidSkipped,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    Deposited,
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    ReplicasDecided,
    ResultCommitted,
    ResultRevealed,
    Unstaked,
    Withdrawn,
)
from ledger.market.identity import NO_DIGEST, BidId, LeaseId, OfferId
from ledger.market.instructions import (
    CommitResult,
    ContestClaim,
    ContinueLease,
    DecideReplicas,
    FinalizeClaim,
    FinishUnstake,
    GangMember,
    Instruction,
    OpenClaim,
    OpenGang,
    RelayDeposit,
    RelayWithdrawal,
    RevealResult,
)
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.reasons import SkipReason
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal, Withdrawal
from tests.factories import a_bid, a_digest, an_address, an_offer, some_terms

DOMAIN = Domain(chain_id=7, market=an_address("market"))
LEASE, OTHER = LeaseId(a_digest("lease")), LeaseId(a_digest("other"))
BID = BidId(a_digest("bid"))
OWNER, RECEIVER = an_address("owner"), an_address("receiver")
PARTIES = {"buyer": an_address("buyer"), "provider": an_address("provider")}
SIGNED = SignedBid(bid=a_bid(), signature=bytes(64))


def opened(lease: LeaseId) -> LeaseOpened:
    return LeaseOpened(id=lease, terms=some_terms(), start=0, escrow=1, nonce=1, job=NO_DIGEST)


def a_member(name: str) -> GangMember:
    offer = an_offer()
    return GangMember(lease=LeaseId(a_digest(name)), offer_id=OfferId(a_digest("offer")), offer=offer, rate=1)


def decided(lease: LeaseId) -> ClaimDecided:
    return ClaimDecided(
        lease=lease,
        buyer=PARTIES["buyer"],
        provider=PARTIES["provider"],
        by=ClaimDecidedBy.ARBITER,
        **dict.fromkeys(("amount", "fee", "paid", "to_provider", "to_buyer", "burned"), 0),
    )


def closed(lease: LeaseId) -> LeaseClosed:
    return LeaseClosed(lease=lease, **PARTIES, paid=1, refunded=0, because=ClosedBecause.CLAIMED)


GANG = OpenGang(bid=BID, signed=SIGNED, members=(a_member("lease"), a_member("other")), seed=a_digest("seed"))
CONTINUATION = ContinueLease(
    lease=LEASE,
    previous=some_terms(),
    receipt=SignedReceipt(
        receipt=UsageReceipt(lease=OTHER, milliseconds=1, evidence=NO_DIGEST, last=True), signature=bytes(64)
    ),
    offer_id=OfferId(a_digest("offer")),
    offer=an_offer(),
    signed=SIGNED,
    rate=1,
)
ORDER = Withdrawal(account=OWNER, to=RECEIVER, amount=5, nonce=1, deadline=9)
PERMIT = SignedPermit(owner=OWNER, amount=5, deadline=9, signature=bytes(64))
COMMITMENT, RESULT = a_digest("commitment"), a_digest("result")

CASES: list[tuple[Instruction, MarketEvent, MarketEvent]] = [
    (GANG, opened(LEASE), opened(LeaseId(a_digest("third")))),
    (CONTINUATION, opened(LEASE), opened(OTHER)),
    (
        OpenClaim(lease=LEASE, terms=some_terms(), milliseconds=1),
        ClaimOpened(lease=LEASE, **PARTIES, claimed=2, bond=0, until=9),
        ClaimOpened(lease=OTHER, **PARTIES, claimed=2, bond=0, until=9),
    ),
    (
        ContestClaim(lease=LEASE, terms=some_terms()),
        ClaimContested(lease=LEASE, **PARTIES, bond=1, until=9),
        ClaimOpened(lease=LEASE, **PARTIES, claimed=2, bond=0, until=9),
    ),
    (FinalizeClaim(lease=LEASE, terms=some_terms()), decided(LEASE), closed(LEASE)),
    (
        CommitResult(lease=LEASE, terms=some_terms(), commitment=COMMITMENT),
        ResultCommitted(lease=LEASE, provider=PARTIES["provider"], commitment=COMMITMENT),
        ResultCommitted(lease=LEASE, provider=PARTIES["provider"], commitment=RESULT),
    ),
    (
        RevealResult(lease=LEASE, bid=a_bid(), terms=some_terms(), result=RESULT, salt=NO_DIGEST),
        ResultRevealed(lease=LEASE, provider=PARTIES["provider"], result=RESULT),
        ResultRevealed(lease=OTHER, provider=PARTIES["provider"], result=RESULT),
    ),
    (
        DecideReplicas(bid_id=BID, bid=a_bid(), members=()),
        ReplicasDecided(bid=BID, result=NO_DIGEST, agreed=0),
        ReplicasDecided(bid=BidId(a_digest("another bid")), result=RESULT, agreed=2),
    ),
    (
        RelayDeposit(signed=PERMIT),
        Deposited(account=OWNER, amount=5),
        Deposited(account=RECEIVER, amount=5),
    ),
    (
        RelayWithdrawal(signed=SignedWithdrawal(withdrawal=ORDER, signature=bytes(64))),
        Withdrawn(account=OWNER, to=RECEIVER, amount=5),
        Withdrawn(account=OWNER, to=OWNER, amount=5),
    ),
    (
        FinishUnstake(account=OWNER),
        Unstaked(account=OWNER, amount=5),
        Unstaked(account=RECEIVER, amount=5),
    ),
]


def intent(wish: Instruction) -> TxIntent:
    return TxIntent(id=3, key="key", instruction=wish, state=IntentState.SENT, created_at=0)


@pytest.mark.parametrize(("wish", "event", "_"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_a_wish_is_fulfilled_by_its_event(wish: Instruction, event: MarketEvent, _: MarketEvent) -> None:
    outcome = outcome_of(intent(wish), [closed(OTHER), event], DOMAIN)
    assert (outcome.intent, outcome.state, outcome.detail) == (3, IntentState.DONE, "")


@pytest.mark.parametrize(("wish", "_", "event"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_a_wish_is_not_fulfilled_by_anothers_event(
    wish: Instruction, _: MarketEvent, event: MarketEvent
) -> None:
    outcome = outcome_of(intent(wish), [event], DOMAIN)
    assert (outcome.state, outcome.detail) == (IntentState.FAILED, "no-event")


def test_a_gang_that_was_skipped_says_why() -> None:
    skipped = BidSkipped(bid=BID, reason=SkipReason.STAKE)
    assert reason_against(GANG, [skipped], DOMAIN) == "STAKE"
