"""Deposits, withdrawals, stake and the pause in the model."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.market.errors import Rejected
from ledger.market.events import MarketEvent, NoncesCancelled, Unstaked, Withdrawn
from ledger.market.identity import NOBODY
from ledger.market.model import MAX_AMOUNT, PAUSE_SECONDS, MarketModel
from ledger.market.policy import EMBEDDED
from tests.factories import NOW, a_bid, a_withdrawal, an_address
from tests.fakes.model_market import (
    BUYER,
    DEPOSIT,
    GUARDIAN,
    PROVIDER,
    STAKE,
    TOTAL,
    a_market,
    fill_of,
    gang_of,
    kinds,
    offer_id,
    offer_of,
    open_one,
    receipt_of,
)

Call = Callable[[], list[MarketEvent]]


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def test_nobody_deposits_more_than_the_market_can_count(market: MarketModel) -> None:
    market.deposit(BUYER, MAX_AMOUNT - TOTAL)
    with pytest.raises(Rejected):
        market.deposit(BUYER, 1)


def test_a_deposit_by_permit_credits_its_owner_and_needs_the_permit(market: MarketModel) -> None:
    with pytest.raises(Rejected) as refused:
        market.deposit_with_permit(BUYER, 10, False, NOW)
    assert refused.value.code == "no-permit"
    market.deposit_with_permit(BUYER, 10, True, NOW)
    assert market.state.balances[BUYER] == DEPOSIT + 10


def test_a_signed_withdrawal_pays_the_named_receiver_once(market: MarketModel) -> None:
    item = a_withdrawal(nonce=258)
    events = market.withdraw_signed(item, True, NOW)
    assert events == [
        NoncesCancelled(account=BUYER, word=1, mask=4),
        Withdrawn(account=BUYER, to=item.to, amount=1_000),
    ]
    with pytest.raises(Rejected) as refused:
        market.withdraw_signed(item, True, NOW)
    assert refused.value.code == "nonce-used"


@pytest.mark.parametrize(
    ("changes", "authentic", "at", "code"),
    [
        ({"to": NOBODY}, True, NOW, "no-receiver"),
        ({}, False, NOW, "withdrawal-signature"),
        ({}, True, NOW + 3_601, "withdrawal-expired"),
        ({"amount": 0}, True, NOW, "nothing-to-withdraw"),
        ({"amount": DEPOSIT + 1}, True, NOW, "balance-too-small"),
    ],
)
def test_a_signed_withdrawal_that_is_wrong_changes_nothing(
    market: MarketModel, changes: dict[str, object], authentic: bool, at: int, code: str
) -> None:
    with pytest.raises(Rejected) as refused:
        market.withdraw_signed(a_withdrawal(**changes), authentic, at)
    assert refused.value.code == code
    assert market.state.balances[BUYER] == DEPOSIT
    assert BUYER not in market.state.nonces


def test_stake_asked_back_waits_and_each_request_starts_the_clock_again(market: MarketModel) -> None:
    market.request_unstake(PROVIDER, 400, NOW)
    assert market.state.stakes[PROVIDER] == STAKE - 400
    market.request_unstake(PROVIDER, 100, NOW + 300)
    unlock_at = NOW + 300 + EMBEDDED.unstake_delay
    with pytest.raises(Rejected):
        market.finish_unstake(PROVIDER, unlock_at - 1)
    assert market.finish_unstake(PROVIDER, unlock_at) == [Unstaked(account=PROVIDER, amount=500)]
    assert market.state.balances[PROVIDER] == STAKE + 500
    with pytest.raises(Rejected):
        market.finish_unstake(PROVIDER, unlock_at)


def test_locked_stake_cannot_be_asked_back(market: MarketModel) -> None:
    open_one(market)
    lock = market.state.locked(PROVIDER)
    assert lock == EMBEDDED.lock_for(market.state.escrowed()) > 0
    with pytest.raises(Rejected):
        market.request_unstake(PROVIDER, STAKE - lock + 1, NOW)
    market.request_unstake(PROVIDER, STAKE - lock, NOW)
    assert market.state.held() == TOTAL


@pytest.mark.parametrize("amount", [0, STAKE + 1])
def test_nobody_stakes_what_it_has_not(market: MarketModel, amount: int) -> None:
    with pytest.raises(Rejected):
        market.stake(PROVIDER, amount)


def test_a_pause_closes_the_entries_and_no_exit(market: MarketModel) -> None:
    lease = open_one(market)
    market.pause(GUARDIAN, NOW)
    bid, offer = a_bid(nonce=2), replace(offer_of(), salt=9)
    calls: list[Call] = [
        lambda: market.deposit(BUYER, 1, NOW),
        lambda: market.deposit_with_permit(BUYER, 1, True, NOW),
        lambda: market.register_offer(PROVIDER, offer_id(offer), offer, NOW),
        lambda: market.match_bid(BUYER, fill_of(bid), NOW),
        lambda: market.match_bids(BUYER, [], bid.job, NOW),
        lambda: market.match_gang(BUYER, gang_of(bid, []), NOW),
        lambda: market.continue_lease(BUYER, receipt_of(lease.terms, 1, last=True), fill_of(bid), NOW),
    ]
    for call in calls:
        with pytest.raises(Rejected) as refused:
            call()
        assert refused.value.code == "paused"
    market.settle(receipt_of(lease.terms, 1_000, last=True), NOW + 1)
    market.request_unstake(PROVIDER, STAKE, NOW)
    market.finish_unstake(PROVIDER, NOW + EMBEDDED.unstake_delay)
    for account in (BUYER, PROVIDER):
        market.withdraw(account, market.state.balances[account])


def test_only_the_guardian_pauses_for_seven_days_and_then_rests_as_long(market: MarketModel) -> None:
    with pytest.raises(Rejected):
        market.pause(BUYER, NOW)
    market.pause(GUARDIAN, NOW)
    market.deposit(BUYER, 1, NOW + PAUSE_SECONDS)
    with pytest.raises(Rejected) as refused:
        market.pause(GUARDIAN, NOW + 2 * PAUSE_SECONDS - 1)
    assert refused.value.code == "paused-lately"
    market.pause(GUARDIAN, NOW + 2 * PAUSE_SECONDS)


def test_an_ended_pause_counts_from_its_end(market: MarketModel) -> None:
    market.pause(GUARDIAN, NOW)
    market.unpause(GUARDIAN, NOW + 5)
    market.deposit(BUYER, 1, NOW + 5)
    for early in (NOW + 5, NOW + 4 + PAUSE_SECONDS):
        with pytest.raises(Rejected):
            market.pause(GUARDIAN, early)
    with pytest.raises(Rejected):
        market.unpause(GUARDIAN, NOW + 5)
    market.pause(GUARDIAN, NOW + 5 + PAUSE_SECONDS)


def test_a_guardian_who_renounced_is_none(market: MarketModel) -> None:
    assert kinds(market.renounce_guardian(GUARDIAN)) == ["GuardianRenounced"]
    for caller in (GUARDIAN, NOBODY, an_address("anybody")):
        with pytest.raises(Rejected):
            market.pause(caller, NOW)
