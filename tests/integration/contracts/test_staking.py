"""Free stake, its way out, the lock of each lease, and what a no-show burns."""

from dataclasses import replace

import pytest

from ledger.market.errors import Rejected
from ledger.market.events import (
    BidSkipped,
    LeaseClosed,
    LeaseOpened,
    StakeBurned,
    Staked,
    Unstaked,
    UnstakeQueued,
)
from ledger.market.money import escrow_for, rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.fakes.in_process_market import STAKE, Order, a_bid, account, an_offer, party
from tests.fakes.market_twin import Claim, MarketTwin

RATE = rate_of(an_offer().ask, a_bid().want)
LOCK = EMBEDDED.lock_for(escrow_for(RATE, a_bid().duration))


def free(twin: MarketTwin) -> int:
    return int(twin.chain.market.stakeOf(account("provider")))


@pytest.fixture
def lease(twin: MarketTwin) -> LeaseOpened:
    twin.register(an_offer())
    return twin.open(an_offer(), Order(bid=a_bid(), rate=RATE))


def test_stake_comes_from_the_balance(twin: MarketTwin) -> None:
    twin.deposit("stranger", 700)
    assert twin.stake("stranger", 500) == [Staked(account=party("stranger"), amount=500)]
    assert twin.balances()[party("stranger")] == 200
    twin.assert_same_state()


@pytest.mark.parametrize("amount", [0, 701, 2**88, 2**256 - 1])
def test_no_more_is_staked_than_the_balance(twin: MarketTwin, amount: int) -> None:
    twin.deposit("stranger", 700)
    with pytest.raises(Rejected):
        twin.stake("stranger", amount)
    twin.assert_same_state()


def test_stake_leaves_at_once_and_comes_out_after_the_delay(twin: MarketTwin) -> None:
    until = twin.at + EMBEDDED.unstake_delay
    queued = UnstakeQueued(account=party("provider"), amount=300, unlock_at=until)
    assert twin.request_unstake("provider", 300) == [queued]
    assert free(twin) == STAKE - 300
    twin.chain.advance(EMBEDDED.unstake_delay - 1)
    with pytest.raises(Rejected):
        twin.finish_unstake("provider", "stranger")
    twin.chain.advance(1)
    done = Unstaked(account=party("provider"), amount=300)
    assert twin.finish_unstake("provider", "stranger") == [done]
    with pytest.raises(Rejected):
        twin.finish_unstake("provider", "stranger")
    twin.assert_same_state()


def test_each_request_starts_the_clock_of_all_that_is_queued_anew(twin: MarketTwin) -> None:
    twin.request_unstake("provider", 300)
    twin.chain.advance(EMBEDDED.unstake_delay - 1)
    twin.request_unstake("provider", 200)
    twin.chain.advance(1)
    with pytest.raises(Rejected):
        twin.finish_unstake("provider", "provider")
    twin.chain.advance(EMBEDDED.unstake_delay - 1)
    (done,) = twin.finish_unstake("provider", "provider")
    assert done == Unstaked(account=party("provider"), amount=500)


@pytest.mark.parametrize("amount", [0, STAKE + 1, 2**88, 2**256 - 1])
def test_no_more_leaves_than_is_free(twin: MarketTwin, amount: int) -> None:
    with pytest.raises(Rejected):
        twin.request_unstake("provider", amount)


def test_a_lease_locks_a_share_of_its_escrow_until_it_closes(twin: MarketTwin, lease: LeaseOpened) -> None:
    assert free(twin) == STAKE - LOCK
    with pytest.raises(Rejected):
        twin.request_unstake("provider", STAKE)
    twin.settle(Claim(terms=lease.terms, milliseconds=1_000, last=True))
    assert free(twin) == STAKE
    twin.assert_same_state()


@pytest.mark.parametrize(("left", "opens"), [(LOCK, True), (LOCK - 1, False)])
def test_a_bid_needs_the_providers_stake(twin: MarketTwin, left: int, opens: bool) -> None:
    twin.register(an_offer())
    twin.request_unstake("provider", STAKE - left)
    (event,) = twin.match(an_offer(), Order(bid=a_bid(), rate=RATE))
    if opens:
        assert isinstance(event, LeaseOpened)
    else:
        assert isinstance(event, BidSkipped)
        assert event.reason == SkipReason.STAKE
    twin.assert_same_state()


def test_bids_of_one_batch_share_the_stake(twin: MarketTwin) -> None:
    twin.register(an_offer())
    twin.request_unstake("provider", STAKE - 2 * LOCK)
    orders = [Order(bid=a_bid(nonce=nonce), rate=RATE) for nonce in (1, 2, 3)]
    first, second, third, _ = twin.match_many([an_offer()], orders)
    assert isinstance(first, LeaseOpened)
    assert isinstance(second, LeaseOpened)
    assert isinstance(third, BidSkipped)
    assert third.reason == SkipReason.STAKE
    twin.assert_same_state()


def test_a_no_show_burns_its_part_of_the_lock(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(a_bid().duration + EMBEDDED.grace)
    closed, burned = twin.close(lease.terms)
    assert isinstance(closed, LeaseClosed)
    amount = EMBEDDED.no_show_of(LOCK)
    assert burned == StakeBurned(provider=party("provider"), lease=lease.id, amount=amount)
    assert twin.chain.market.burned() == amount
    assert free(twin) == STAKE - amount
    twin.assert_same_state()


@pytest.mark.parametrize(
    ("ended_after", "burns"), [(EMBEDDED.receipt_interval, False), (EMBEDDED.receipt_interval + 1, True)]
)
def test_a_lease_ended_within_an_interval_is_no_no_show(
    twin: MarketTwin, lease: LeaseOpened, ended_after: int, burns: bool
) -> None:
    twin.chain.advance(ended_after)
    twin.terminate(lease.terms)
    twin.chain.advance(EMBEDDED.grace)
    assert len(twin.close(lease.terms)) == 1 + burns
    twin.assert_same_state()


def test_one_receipt_is_enough(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.settle(Claim(terms=lease.terms, milliseconds=1_000))
    twin.chain.advance(a_bid().duration + EMBEDDED.grace)
    assert len(twin.close_many([lease.terms])) == 1
    assert free(twin) == STAKE


def test_a_released_lease_burns_nothing(twin: MarketTwin, lease: LeaseOpened) -> None:
    assert len(twin.release(lease.terms)) == 1
    with pytest.raises(Rejected):
        twin.release(replace(lease.terms, member=1))
    assert free(twin) == STAKE
