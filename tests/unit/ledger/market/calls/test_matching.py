"""Which bids open, on which stake and by whose signature."""

from typing import Any

import pytest

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.calls.matching import check_bid, check_single
from ledger.market.delegation import Role
from ledger.market.events import BatchMatched, BidSkipped, DelegateSet
from ledger.market.model import MarketModel
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from tests.factories import NOW, a_bid, a_digest, a_gang, an_address
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
    kinds,
    offer_id,
    offer_of,
    open_one,
)

LATER = 2**40 - 1


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def reason(market: MarketModel, **changes: Any) -> SkipReason:
    return market.check_fill(NODE, fill_of(a_bid(), **changes), NOW)


def test_a_good_bid_opens_its_escrow_leaves_the_balance_and_its_lock_the_stake(market: MarketModel) -> None:
    lease = open_one(market)
    assert market.state.balances[BUYER] == DEPOSIT - lease.escrow
    assert market.state.stakes[PROVIDER] == STAKE - EMBEDDED.lock_for(lease.escrow)
    assert market.state.used[offer_id(offer_of())] == a_bid().want
    assert market.state.held() == TOTAL


def test_a_forged_bid_is_skipped_and_changes_nothing(market: MarketModel) -> None:
    (event,) = market.match_bid(NODE, fill_of(a_bid(), authentic=False), NOW)
    assert isinstance(event, BidSkipped)
    assert event.reason is SkipReason.SIGNATURE
    assert market.state.leases == {}


def test_a_bid_opens_once(market: MarketModel) -> None:
    open_one(market)
    (event,) = market.match_bid(NODE, fill_of(a_bid()), NOW)
    assert isinstance(event, BidSkipped)
    assert event.reason is SkipReason.NONCE_USED


def test_a_provider_without_the_stake_gets_no_lease(market: MarketModel) -> None:
    escrow = open_one(market).escrow
    lock = EMBEDDED.lock_for(escrow)
    left = market.state.stakes[PROVIDER]
    market.request_unstake(PROVIDER, left - lock + 1, NOW)
    bid = fill_of(a_bid(nonce=2))
    assert market.check_fill(NODE, bid, NOW) is SkipReason.STAKE
    market.stake(PROVIDER, 1)
    assert market.check_fill(NODE, bid, NOW) is SkipReason.NONE


def test_a_spender_signs_within_its_allowance_and_the_escrow_is_taken_from_it(market: MarketModel) -> None:
    market.set_delegate(BUYER, KEY, Role.SPEND, 250, LATER)
    drawn, opened = market.match_bid(NODE, fill_of(a_bid(), delegate=KEY), NOW)
    assert kinds([opened]) == ["LeaseOpened"]
    escrow = market.state.escrowed()
    assert drawn == DelegateSet(account=BUYER, key=KEY, roles=1, allowance=250 - escrow, until=LATER)
    again = fill_of(a_bid(nonce=2), delegate=KEY)
    assert market.check_fill(NODE, again, NOW) is SkipReason.DELEGATE


def test_a_spender_after_its_date_is_refused_and_an_unknown_key_is_a_wrong_signature(
    market: MarketModel,
) -> None:
    market.set_delegate(BUYER, KEY, Role.SPEND, DEPOSIT, NOW - 1)
    assert reason(market, delegate=KEY) is SkipReason.DELEGATE
    assert reason(market, delegate=an_address("unknown")) is SkipReason.SIGNATURE
    market.set_delegate(BUYER, KEY, Role.OPERATE, DEPOSIT, LATER)
    assert reason(market, delegate=KEY) is SkipReason.SIGNATURE
    assert reason(market, delegate=BUYER) is SkipReason.NONE


def test_a_batch_tells_how_many_opened(market: MarketModel) -> None:
    fills = [fill_of(a_bid(nonce=nonce)) for nonce in (1, 1, 2)]
    events = market.match_bids(NODE, fills, a_digest("root"), NOW)
    assert kinds(events) == ["LeaseOpened", "BidSkipped", "LeaseOpened", "BatchMatched"]
    assert events[-1] == BatchMatched(matcher=NODE, root=a_digest("root"), opened=2, skipped=1)


@pytest.mark.parametrize(
    ("changes", "gate", "single"),
    [
        ({}, SkipReason.NONE, SkipReason.NONE),
        ({"want": Quantities()}, SkipReason.BID_FIELD, SkipReason.BID_FIELD),
        ({"flags": 4}, SkipReason.FLAGS, SkipReason.FLAGS),
        ({"flags": DISTINCT}, SkipReason.FLAGS, SkipReason.FLAGS),
        ({"members": 0}, SkipReason.MEMBERS, SkipReason.MEMBERS),
        ({"members": 3}, SkipReason.NONE, SkipReason.MEMBERS),
        ({"members": 33}, SkipReason.MEMBERS, SkipReason.MEMBERS),
        ({"continues": a_digest("lease")}, SkipReason.NONE, SkipReason.CONTINUES),
        ({"continues": a_digest("lease"), "members": 2}, SkipReason.CONTINUES, SkipReason.MEMBERS),
    ],
)
def test_a_bid_is_judged_by_itself(changes: dict[str, object], gate: SkipReason, single: SkipReason) -> None:
    assert check_bid(a_bid(**changes)) is gate
    assert check_single(a_bid(**changes)) is single


@pytest.mark.parametrize(
    ("members", "flags", "sound"),
    [
        (2, DISTINCT, True),
        (2, DISTINCT | 1 << AGREE_SHIFT, False),
        (3, REPLICAS, False),
        (3, REPLICAS | 1 << AGREE_SHIFT, False),
        (3, REPLICAS | 2 << AGREE_SHIFT, True),
        (3, DISTINCT | REPLICAS | 3 << AGREE_SHIFT, True),
        (3, REPLICAS | 4 << AGREE_SHIFT, False),
        (4, REPLICAS | 2 << AGREE_SHIFT, False),
        (15, REPLICAS | 8 << AGREE_SHIFT, True),
        (16, REPLICAS | 9 << AGREE_SHIFT, False),
        (3, REPLICAS | 8 | 2 << AGREE_SHIFT, False),
    ],
)
def test_a_quorum_is_more_than_half_of_at_most_fifteen(members: int, flags: int, sound: bool) -> None:
    bid = a_bid(members=members, flags=flags)
    assert check_bid(bid) is (SkipReason.NONE if sound else SkipReason.FLAGS)


def test_a_gang_of_the_factory_is_what_it_says() -> None:
    bid = a_gang(3, agree=2)
    assert (bid.members, bid.replicated, bid.distinct, bid.agree) == (3, True, True, 2)
    assert a_gang(2, distinct=True).flags == DISTINCT
