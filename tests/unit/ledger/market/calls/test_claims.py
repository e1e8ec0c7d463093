"""A claim reaches two receipt intervals; silence upholds or splits it, the arbiter decides inside it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import ClaimDecided, ClaimOpened, LeaseOpened, MarketEvent
from ledger.market.lease import ClaimDecidedBy
from ledger.market.model import MarketModel
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.factories import NOW
from tests.fakes.model_market import (
    ARBITER,
    BUYER,
    DEPOSIT,
    KEY,
    NODE,
    PROVIDER,
    STAKE,
    TOTAL,
    a_market,
    kinds,
    open_one,
    receipt_of,
)

CHALLENGE, ARBITRATION = EMBEDDED.challenge_window, EMBEDDED.arbitration_window
AT = NOW + 20

Call = Callable[[], list[MarketEvent]]


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def claimed(market: MarketModel, milliseconds: int = 20_000) -> tuple[LeaseOpened, ClaimOpened]:
    lease = open_one(market)
    (event,) = market.claim(PROVIDER, lease.terms, milliseconds, AT)
    assert isinstance(event, ClaimOpened)
    return lease, event


def decided(events: list[object]) -> ClaimDecided:
    assert isinstance(events[0], ClaimDecided)
    return events[0]


def test_a_claim_up_to_one_interval_needs_no_bond_and_beyond_it_the_rest(market: MarketModel) -> None:
    lease, event = claimed(market)
    one_interval = -(-lease.terms.rate * 10_000 // 3_600_000_000)
    assert event.claimed == lease.terms.rate * 20_000 // 3_600_000_000
    assert event.bond == event.claimed - one_interval == 2
    assert market.state.balances[PROVIDER] == STAKE - event.bond
    (other,) = market.claim(PROVIDER, open_one(market, nonce=2).terms, 10_000, AT)
    assert isinstance(other, ClaimOpened)
    assert other.bond == 0
    assert market.state.held() == TOTAL


@pytest.mark.parametrize(
    ("milliseconds", "at", "code"),
    [
        (20_001, NOW + 5, "claim-bound"),
        (600_001, NOW + 900, "claim-bound"),
        (1_000, NOW + 60, "nothing-claimed"),
        (60_000, NOW + 60, "claim-too-large"),
    ],
)
def test_a_claim_out_of_reach_is_refused(market: MarketModel, milliseconds: int, at: int, code: str) -> None:
    lease = open_one(market)
    with pytest.raises(Rejected) as refused:
        market.claim(PROVIDER, lease.terms, milliseconds, at)
    assert refused.value.code == code


def test_only_the_provider_or_its_operator_claims_and_a_claimed_lease_waits(market: MarketModel) -> None:
    lease = open_one(market)
    for caller in (BUYER, KEY):
        with pytest.raises(Rejected):
            market.claim(caller, lease.terms, 10_000, AT)
    market.set_delegate(PROVIDER, KEY, Role.OPERATE, 0, AT)
    market.claim(KEY, lease.terms, 10_000, AT)
    assert market.check_settlement(receipt_of(lease.terms, 11_000), AT) is SkipReason.CLAIMED
    assert market.check_close(lease.terms, AT + 10**6) is SkipReason.CLAIMED
    calls: list[Call] = [
        lambda: market.claim(PROVIDER, lease.terms, 20_000, AT),
        lambda: market.release(PROVIDER, lease.terms, AT),
        lambda: market.terminate(BUYER, lease.terms, AT),
    ]
    for call in calls:
        with pytest.raises(Rejected) as refused:
            call()
        assert refused.value.code == "claimed"


def test_an_uncontested_claim_is_paid_in_full_after_its_window(market: MarketModel) -> None:
    lease, event = claimed(market)
    with pytest.raises(Rejected):
        market.finalize(lease.terms, AT + CHALLENGE - 1)
    events = market.finalize(lease.terms, AT + CHALLENGE)
    assert kinds(events) == ["ClaimDecided", "LeaseClosed"]
    assert decided([*events]).by is ClaimDecidedBy.NOBODY_CONTESTED
    assert market.state.balances[PROVIDER] == STAKE + event.claimed
    assert market.state.balances[BUYER] == DEPOSIT - event.claimed
    assert market.state.held() == TOTAL
    with pytest.raises(Rejected):
        market.finalize(lease.terms, AT + CHALLENGE)


def test_a_buyer_contests_in_time_with_as_much_as_is_claimed(market: MarketModel) -> None:
    lease, event = claimed(market)
    with pytest.raises(Rejected):
        market.contest(PROVIDER, lease.terms, AT)
    with pytest.raises(Rejected) as refused:
        market.contest(BUYER, lease.terms, AT + CHALLENGE)
    assert refused.value.code == "too-late"
    market.contest(BUYER, lease.terms, AT + CHALLENGE - 1)
    assert market.state.balances[BUYER] == DEPOSIT - lease.escrow - event.claimed
    with pytest.raises(Rejected):
        market.contest(BUYER, lease.terms, AT)
    assert market.state.held() == TOTAL


def test_the_arbiters_silence_splits_the_claim_and_costs_the_buyer_half_its_bond(market: MarketModel) -> None:
    lease, event = claimed(market)
    market.contest(BUYER, lease.terms, AT)
    until = AT + ARBITRATION
    with pytest.raises(Rejected):
        market.finalize(lease.terms, until - 1)
    outcome = decided([*market.finalize(lease.terms, until)])
    half = event.claimed // 2
    assert outcome.by is ClaimDecidedBy.SILENCE
    assert (outcome.amount, outcome.to_provider) == (half, event.bond + half)
    assert (outcome.to_buyer, outcome.burned) == (event.claimed - half, 0)
    assert market.state.balances[PROVIDER] == STAKE + 2 * half
    assert market.state.balances[BUYER] == DEPOSIT - 2 * half


@pytest.mark.parametrize(
    ("share", "to_provider", "to_buyer"), [(0, False, True), (3, True, True), (6, True, False)]
)
def test_who_is_wholly_wrong_loses_its_bond(
    market: MarketModel, share: int, to_provider: bool, to_buyer: bool
) -> None:
    lease, event = claimed(market)
    market.contest(BUYER, lease.terms, AT)
    outcome = decided([*market.decide(ARBITER, lease.terms, share, 0, AT)])
    assert event.claimed == 6
    assert outcome.to_provider == event.bond * to_provider
    assert outcome.to_buyer == 6 * to_buyer
    assert market.state.burned == outcome.burned == event.bond + 6 - outcome.to_provider - outcome.to_buyer
    assert market.state.held() == TOTAL


def test_the_arbiter_slashes_at_most_the_leases_lock(market: MarketModel) -> None:
    lease, _ = claimed(market)
    market.contest(BUYER, lease.terms, AT)
    lock = EMBEDDED.lock_for(lease.escrow)
    with pytest.raises(Rejected):
        market.decide(ARBITER, lease.terms, 0, lock + 1, AT)
    events = market.decide(ARBITER, lease.terms, 0, lock, AT)
    assert kinds(events) == ["ClaimDecided", "LeaseClosed", "StakeBurned"]
    assert market.state.stakes[PROVIDER] == STAKE - lock


def test_the_arbiter_alone_decides_in_time_and_inside_the_claim(market: MarketModel) -> None:
    lease, event = claimed(market)
    with pytest.raises(Rejected) as refused:
        market.decide(ARBITER, lease.terms, 0, 0, AT)
    assert refused.value.code == "not-contested"
    market.contest(BUYER, lease.terms, AT)
    for caller, paid, at in (
        (BUYER, 0, AT),
        (ARBITER, event.claimed + 1, AT),
        (ARBITER, 0, AT + ARBITRATION),
    ):
        with pytest.raises(Rejected):
            market.decide(caller, lease.terms, paid, 0, at)


def test_a_lease_without_a_claim_has_nothing_to_contest_or_finalise(market: MarketModel) -> None:
    lease = open_one(market)
    calls: list[Call] = [
        lambda: market.contest(BUYER, lease.terms, AT),
        lambda: market.finalize(lease.terms, AT),
        lambda: market.finalize(replace(lease.terms, member=4), AT),
    ]
    for call in calls:
        with pytest.raises(Rejected):
            call()


@given(
    signed=st.integers(0, 580_000),
    more=st.integers(1, 20_000),
    contested=st.booleans(),
    fee_bps=st.integers(0, 200),
)
def test_no_claim_gives_more_than_two_intervals_and_nothing_is_lost(
    signed: int, more: int, contested: bool, fee_bps: int
) -> None:
    market = a_market()
    market.policy = market.state.policy = replace(EMBEDDED, fee_bps=fee_bps)
    lease = open_one(market)
    at = NOW + 600
    market.settle(receipt_of(lease.terms, signed), at)
    paid = market.state.leases[lease.id].paid
    if lease.terms.rate * (signed + more) // 3_600_000_000 <= paid:
        return
    market.claim(PROVIDER, lease.terms, signed + more, at)
    if contested:
        market.contest(BUYER, lease.terms, at)
    market.finalize(lease.terms, at + CHALLENGE + ARBITRATION)
    reach = -(-lease.terms.rate * 20_000 // 3_600_000_000)
    gained = market.state.balances[PROVIDER] + market.state.balances.get(NODE, 0) - STAKE - paid
    assert 0 <= gained <= reach
    assert market.state.held() == TOTAL
    assert market.state.bonds() == 0
