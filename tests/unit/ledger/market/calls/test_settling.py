"""Receipts pay provider and matcher; a lease ends in one of its ways and gives everything back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import FeePaid, LeaseClosed, ReceiptSkipped, StakeBurned, UsageSettled
from ledger.market.lease import ClosedBecause
from ledger.market.model import MarketModel
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.factories import NOW, a_bid, a_gang, an_address
from tests.fakes.model_market import (
    BUYER,
    DEPOSIT,
    KEY,
    NODE,
    PROVIDER,
    STAKE,
    TOTAL,
    a_market,
    fill_of,
    gang_of,
    kinds,
    offer_of,
    open_one,
    opened_of,
    receipt_of,
)

LATER = 2**40 - 1
RIPE = NOW + 600 + EMBEDDED.grace


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def test_a_receipt_pays_its_time_and_the_last_one_refunds(market: MarketModel) -> None:
    lease = open_one(market)
    settled, closed, fee = market.settle(receipt_of(lease.terms, 600_000, last=True), NOW + 600)
    assert isinstance(settled, UsageSettled)
    assert isinstance(closed, LeaseClosed)
    assert settled.fee == EMBEDDED.fee_on(lease.escrow) == 1
    assert fee == FeePaid(matcher=NODE, amount=settled.fee)
    assert market.state.balances[PROVIDER] == STAKE + settled.amount - settled.fee
    assert closed.paid + closed.refunded == lease.escrow
    assert market.state.held() == TOTAL


def test_a_receipt_twice_changes_nothing(market: MarketModel) -> None:
    lease = open_one(market)
    item = receipt_of(lease.terms, 60_000)
    market.settle(item, NOW + 60)
    before = dict(market.state.balances)
    (event,) = market.settle(item, NOW + 61)
    assert event == ReceiptSkipped(lease=lease.id, reason=SkipReason.NOT_MONOTONE)
    assert market.state.balances == before


@pytest.mark.parametrize(
    ("milliseconds", "at", "reason"),
    [
        (16_001, NOW + 1, SkipReason.BEYOND_ELAPSED),
        (16_000, NOW + 1, SkipReason.NONE),
        (600_001, NOW + 900, SkipReason.BEYOND_DURATION),
        (0, NOW + 1, SkipReason.NOT_MONOTONE),
    ],
)
def test_a_receipt_stays_in_its_bounds(
    market: MarketModel, milliseconds: int, at: int, reason: SkipReason
) -> None:
    lease = open_one(market)
    assert market.check_settlement(receipt_of(lease.terms, milliseconds), at) is reason


def test_a_terminated_lease_is_paid_to_its_end_alone(market: MarketModel) -> None:
    lease = open_one(market)
    market.terminate(BUYER, lease.terms, NOW + 100)
    late = market.check_settlement(receipt_of(lease.terms, 100_001), NOW + 200)
    assert late is SkipReason.BEYOND_TERMINATION
    assert market.check_settlement(receipt_of(lease.terms, 100_000), NOW + 200) is SkipReason.NONE


def test_a_receipt_by_another_is_skipped(market: MarketModel) -> None:
    lease = open_one(market)
    item = receipt_of(lease.terms, 10_000, authentic=False)
    assert market.check_settlement(item, NOW + 10) is SkipReason.RECEIPT_SIGNATURE


@given(
    spans=st.lists(st.integers(0, 3_600_000), min_size=1, max_size=8).map(sorted),
    fee_bps=st.integers(0, 200),
)
def test_fees_of_tiny_receipts_add_up_to_the_fee_on_all(spans: list[int], fee_bps: int) -> None:
    market = a_market()
    market.policy = replace(EMBEDDED, fee_bps=fee_bps)
    market.state.policy = market.policy
    lease = open_one(market, duration=3_600)
    events = market.settle_many([receipt_of(lease.terms, span) for span in spans], NOW + 3_600)
    fees = sum(event.amount for event in events if isinstance(event, FeePaid))
    paid = market.state.leases[lease.id].paid
    assert fees == market.policy.fee_on(paid) <= paid * 2 // 100
    assert market.state.balances[PROVIDER] == STAKE + paid - fees
    assert market.state.held() == TOTAL


def test_consecutive_receipts_of_one_matcher_pay_one_fee(market: MarketModel) -> None:
    open_late = {"open_after": NOW, "limit_rate": 10**12}
    matchers = [NODE, NODE, an_address("other node"), NODE]
    items = []
    for nonce, matcher in enumerate(matchers):
        offer = offer_of(nonce % 3)
        fill = fill_of(a_bid(nonce=nonce, **open_late), offer)
        (lease,) = opened_of(market.match_bid(matcher, fill, NOW))
        items.append(receipt_of(lease.terms, 600_000))
    skipped = receipt_of(items[0].terms, 600_000)
    events = market.settle_many([items[0], skipped, *items[1:]], NOW + 600)
    fees = [(event.matcher, event.amount) for event in events if isinstance(event, FeePaid)]
    assert fees == [(NODE, 2), (an_address("other node"), 1), (NODE, 1)]
    assert market.state.held() == TOTAL


def test_a_lease_closes_from_its_grace_on_and_not_before(market: MarketModel) -> None:
    lease = open_one(market)
    with pytest.raises(Rejected) as refused:
        market.close(lease.terms, RIPE - 1)
    assert refused.value.code == "not-yet"
    closed, _ = market.close(lease.terms, RIPE)
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.EXPIRED
    assert closed.refunded == lease.escrow


def test_a_no_show_burns_half_its_lock_and_one_receipt_spares_it(market: MarketModel) -> None:
    lease, other = open_one(market), open_one(market, nonce=2)
    market.settle(receipt_of(other.terms, 10_000), NOW + 10)
    events = market.close_many([lease.terms, other.terms], RIPE)
    burned = EMBEDDED.lock_for(lease.escrow) // 2
    assert kinds(events) == ["LeaseClosed", "StakeBurned", "LeaseClosed"]
    assert events[1] == StakeBurned(provider=PROVIDER, lease=lease.id, amount=burned)
    assert market.state.burned == burned
    assert market.state.stakes[PROVIDER] == STAKE - burned
    assert market.state.held() == TOTAL


@pytest.mark.parametrize(("after", "burns"), [(10, False), (11, True)])
def test_a_buyer_who_ends_it_at_once_costs_the_provider_nothing(
    market: MarketModel, after: int, burns: bool
) -> None:
    lease = open_one(market)
    market.terminate(BUYER, lease.terms, NOW + after)
    market.close(lease.terms, RIPE)
    assert (market.state.burned > 0) is burns


def test_provider_buyer_and_their_delegates_end_a_lease_early_and_nobody_else(market: MarketModel) -> None:
    lease, other = open_one(market), open_one(market, nonce=2)
    for caller in (BUYER, KEY):
        with pytest.raises(Rejected):
            market.release(caller, lease.terms, NOW)
    for caller in (PROVIDER, KEY):
        with pytest.raises(Rejected):
            market.terminate(caller, lease.terms, NOW)
    with pytest.raises(Rejected):
        market.release(PROVIDER, replace(lease.terms, member=1))
    market.terminate(BUYER, lease.terms, NOW)
    assert market.state.leases[lease.id].ended_after == 1
    with pytest.raises(Rejected):
        market.terminate(BUYER, lease.terms, NOW + 1)
    market.release(PROVIDER, lease.terms)
    market.set_delegate(BUYER, KEY, Role.SPEND, 0, LATER)
    market.terminate(KEY, other.terms, NOW + 5)
    market.set_delegate(PROVIDER, KEY, Role.OPERATE, 0, LATER)
    market.release(KEY, other.terms, NOW + 5)
    assert market.state.leases == {}
    assert market.state.balances[BUYER] == DEPOSIT
    assert market.state.stakes[PROVIDER] == STAKE


def test_a_replica_that_was_not_judged_neither_pays_nor_closes(market: MarketModel) -> None:
    opened = opened_of(market.match_gang(NODE, gang_of(a_gang(2, agree=2), [offer_of(), offer_of(1)]), NOW))
    terms = opened[0].terms
    assert market.check_settlement(receipt_of(terms, 1_000), NOW + 1) is SkipReason.UNDECIDED
    assert market.check_close(terms, RIPE) is SkipReason.UNDECIDED
    with pytest.raises(Rejected) as refused:
        market.release(PROVIDER, terms)
    assert refused.value.code == "undecided"
    market.terminate(BUYER, terms, NOW + 1)


def test_what_cannot_be_closed_is_skipped_in_a_batch(market: MarketModel) -> None:
    lease = open_one(market)
    unknown = replace(lease.terms, member=3)
    early, missing = market.close_many([lease.terms, unknown], NOW)
    assert isinstance(early, ReceiptSkipped)
    assert isinstance(missing, ReceiptSkipped)
    assert (early.reason, missing.reason) == (SkipReason.NOT_YET, SkipReason.LEASE_UNKNOWN)
