"""The reference model by itself; that the contract does the same is the lock-step tests' business."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.events import BidSkipped, LeaseClosed, LeaseOpened, ReceiptSkipped, UsageSettled
from ledger.market.identity import NO_DIGEST, BidId, LeaseId, OfferId
from ledger.market.lease import ClosedBecause, LeaseTerms
from ledger.market.model import MAX_AMOUNT, Fill, MarketModel, Settlement, check_bid, sound_offer
from ledger.market.money import rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.receipt import UsageReceipt
from ledger.market.resource import Quantities
from tests.factories import NOW, a_bid, a_digest, an_address, an_offer

OFFER, BID = an_offer(), a_bid()
OFFER_ID, BID_ID = OfferId(a_digest("offer")), BidId(a_digest("bid"))
DEPOSIT = 10**6


def lease_id(terms: LeaseTerms) -> LeaseId:
    return LeaseId(sha256(repr(terms).encode()).digest())


def a_fill(**changes: object) -> Fill:
    fill = Fill(
        offer_id=OFFER_ID,
        offer=OFFER,
        bid_id=BID_ID,
        bid=BID,
        rate=rate_of(OFFER.ask, BID.want),
        authentic=True,
    )
    return replace(fill, **changes)  # type: ignore[arg-type]


def a_settlement(terms: LeaseTerms, milliseconds: int, last: bool = False) -> Settlement:
    receipt = UsageReceipt(lease=lease_id(terms), milliseconds=milliseconds, evidence=NO_DIGEST, last=last)
    return Settlement(terms=terms, receipt=receipt, authentic=True)


@pytest.fixture
def market() -> MarketModel:
    model = MarketModel(policy=EMBEDDED, lease_id=lease_id)
    model.deposit(BID.buyer, DEPOSIT)
    model.register_offer(OFFER.provider, OFFER_ID, OFFER, NOW)
    return model


def opened(market: MarketModel) -> LeaseOpened:
    (event,) = market.match_bid(an_address("anybody"), a_fill(), NOW)
    assert isinstance(event, LeaseOpened)
    return event


def test_a_good_bid_opens_and_its_escrow_leaves_the_balance(market: MarketModel) -> None:
    event = opened(market)
    assert market.state.balances[BID.buyer] == DEPOSIT - event.escrow
    assert market.state.used[OFFER_ID] == BID.want
    assert market.state.held() == DEPOSIT


def test_a_forged_bid_is_skipped_and_changes_nothing(market: MarketModel) -> None:
    (event,) = market.match_bid(an_address("anybody"), a_fill(authentic=False), NOW)
    assert event == BidSkipped(bid=BID_ID, reason=SkipReason.SIGNATURE)
    assert market.state.balances == {BID.buyer: DEPOSIT}
    assert market.state.leases == {}


def test_a_bid_opens_once(market: MarketModel) -> None:
    opened(market)
    (event,) = market.match_bid(an_address("anybody"), a_fill(), NOW)
    assert event == BidSkipped(bid=BID_ID, reason=SkipReason.NONCE_USED)


def test_a_receipt_pays_its_time_and_the_last_one_refunds(market: MarketModel) -> None:
    lease = opened(market)
    settled, closed = market.settle(a_settlement(lease.terms, 60_000, last=True), NOW + 60)
    assert isinstance(settled, UsageSettled)
    assert isinstance(closed, LeaseClosed)
    assert closed.paid == settled.amount == market.state.balances[OFFER.provider]
    assert closed.paid + closed.refunded == lease.escrow


def test_a_receipt_twice_changes_nothing(market: MarketModel) -> None:
    lease = opened(market)
    item = a_settlement(lease.terms, 60_000)
    market.settle(item, NOW + 60)
    before = dict(market.state.balances)
    (event,) = market.settle(item, NOW + 61)
    assert event == ReceiptSkipped(lease=lease.id, reason=SkipReason.NOT_MONOTONE)
    assert market.state.balances == before


def test_a_lease_closes_from_its_grace_on_and_not_before(market: MarketModel) -> None:
    lease = opened(market)
    ripe = NOW + BID.duration + EMBEDDED.grace
    with pytest.raises(Rejected):
        market.close(lease.terms, ripe - 1)
    (closed,) = market.close(lease.terms, ripe)
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.EXPIRED
    assert closed.refunded == lease.escrow


def test_only_provider_and_buyer_end_a_lease_early(market: MarketModel) -> None:
    lease = opened(market)
    with pytest.raises(Rejected):
        market.release(BID.buyer, lease.terms)
    with pytest.raises(Rejected):
        market.terminate(OFFER.provider, lease.terms, NOW)
    with pytest.raises(Rejected):
        market.release(OFFER.provider, replace(lease.terms, member=1))
    market.terminate(BID.buyer, lease.terms, NOW)
    assert market.state.leases[lease.id].ended_after == 1
    market.release(OFFER.provider, lease.terms)
    assert market.state.leases == {}


def test_nobody_deposits_more_than_the_market_can_count(market: MarketModel) -> None:
    market.deposit(BID.buyer, MAX_AMOUNT - DEPOSIT)
    with pytest.raises(Rejected):
        market.deposit(BID.buyer, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, SkipReason.NONE),
        ({"want": Quantities()}, SkipReason.BID_FIELD),
        ({"flags": 4}, SkipReason.FLAGS),
        ({"members": 3}, SkipReason.MEMBERS),
        ({"continues": a_digest("lease")}, SkipReason.CONTINUES),
    ],
)
def test_a_bid_is_judged_by_itself(changes: dict[str, object], reason: SkipReason) -> None:
    assert check_bid(a_bid(**changes)) is reason


def test_an_offer_is_of_one_vendor_and_one_region() -> None:
    assert sound_offer(OFFER)
    assert not sound_offer(an_offer(traits=replace(OFFER.traits, vendors=0b11)))
    assert not sound_offer(an_offer(traits=replace(OFFER.traits, regions=0)))


@given(
    receipts=st.lists(st.tuples(st.integers(0, 700_000), st.booleans()), max_size=6),
    step=st.integers(0, 200),
)
def test_whatever_receipts_come_no_money_is_made_or_lost(receipts: list[tuple[int, bool]], step: int) -> None:
    model = MarketModel(policy=EMBEDDED, lease_id=lease_id)
    model.deposit(BID.buyer, DEPOSIT)
    model.register_offer(OFFER.provider, OFFER_ID, OFFER, NOW)
    lease = opened(model)
    for number, (milliseconds, last) in enumerate(receipts, start=1):
        model.settle(a_settlement(lease.terms, milliseconds, last), NOW + number * step)
        assert model.state.held() == DEPOSIT
    model.close_many([lease.terms], NOW + 10**6)
    assert model.state.escrowed() == 0
    assert sum(model.state.balances.values()) == DEPOSIT
