"""Gangs open whole or not at all."""

from dataclasses import replace

import pytest

from ledger.market.bid import REPLICAS
from ledger.market.delegation import Role
from ledger.market.events import BidSkipped, DelegateSet, ReplicasOpened
from ledger.market.model import GangFill, MarketModel
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from tests.factories import NOW, a_bid, a_digest, a_gang
from tests.fakes.model_market import (
    BUYER,
    DEPOSIT,
    KEY,
    NODE,
    PROVIDER,
    TOTAL,
    a_market,
    bid_id,
    fill_of,
    gang_of,
    kinds,
    offer_id,
    offer_of,
    opened_of,
)

LATER = 2**40 - 1


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def test_all_members_open_on_one_nonce_numbered_in_order(market: MarketModel) -> None:
    opened = opened_of(market.match_gang(NODE, gang_of(a_gang(3), [offer_of()] * 3), NOW))
    assert [lease.terms.member for lease in opened] == [0, 1, 2]
    assert len({lease.id for lease in opened}) == 3
    assert market.state.nonces[BUYER] == {1}
    assert market.state.used[offer_id(offer_of())].cpu == 3_000
    assert market.state.locked(PROVIDER) == sum(EMBEDDED.lock_for(lease.escrow) for lease in opened)
    assert market.state.held() == TOTAL


def test_replicas_open_undecided_at_several_providers(market: MarketModel) -> None:
    bid = a_gang(3, agree=2)
    gang = replace(gang_of(bid, [offer_of(i) for i in range(3)]), seed=a_digest("seed"))
    events = market.match_gang(NODE, gang, NOW)
    assert events[-1] == ReplicasOpened(bid=bid_id(bid), members=3, agree=2, seed=a_digest("seed"))
    assert all(lease.undecided for lease in market.state.leases.values())


def refusal(market: MarketModel, gang: GangFill) -> SkipReason:
    before = dict(market.state.leases)
    (event,) = market.match_gang(NODE, gang, NOW)
    assert isinstance(event, BidSkipped)
    assert market.state.leases == before
    return event.reason


def test_one_member_that_cannot_open_keeps_all_closed(market: MarketModel) -> None:
    two = [offer_of(), offer_of()]
    assert refusal(market, gang_of(a_gang(3), two)) is SkipReason.MEMBERS
    assert refusal(market, gang_of(a_gang(1), two[:1])) is SkipReason.MEMBERS
    assert refusal(market, gang_of(a_bid(members=2, flags=4), two)) is SkipReason.FLAGS
    assert refusal(market, gang_of(a_bid(members=3, flags=REPLICAS), [*two, offer_of()])) is SkipReason.FLAGS
    assert refusal(market, gang_of(a_gang(2, continues=a_digest("x")), two)) is SkipReason.CONTINUES
    assert refusal(market, gang_of(a_gang(2), [offer_of(), None])) is SkipReason.OFFER_UNKNOWN
    assert refusal(market, gang_of(a_gang(2, distinct=True), two)) is SkipReason.DISTINCT
    assert refusal(market, gang_of(a_gang(2, agree=2), two)) is SkipReason.DISTINCT
    assert refusal(market, gang_of(a_gang(2, duration=0), two)) is SkipReason.BID_FIELD


def test_capacity_is_that_of_all_members_together(market: MarketModel) -> None:
    want = Quantities(cpu=2_001, memory=1)
    assert refusal(market, gang_of(a_gang(2, want=want), [offer_of()] * 2)) is SkipReason.CAPACITY
    opened_of(market.match_gang(NODE, gang_of(a_gang(2, want=want), [offer_of(), offer_of(1)]), NOW))


def test_funds_are_those_of_all_members_together(market: MarketModel) -> None:
    bid = a_gang(2)
    escrow = sum(
        lease.escrow for lease in opened_of(a_market().match_gang(NODE, gang_of(bid, [offer_of()] * 2), NOW))
    )
    market.withdraw(BUYER, DEPOSIT - escrow + 1)
    assert refusal(market, gang_of(bid, [offer_of()] * 2)) is SkipReason.FUNDS
    market.deposit(BUYER, 1)
    opened_of(market.match_gang(NODE, gang_of(bid, [offer_of()] * 2), NOW))


def test_stake_is_that_of_all_members_of_a_provider_together(market: MarketModel) -> None:
    bid = a_gang(2)
    lock = EMBEDDED.lock_for(fill_of(bid).rate // 6_000 + 1)
    market.request_unstake(PROVIDER, market.state.stakes[PROVIDER] - 2 * lock + 1, NOW)
    assert refusal(market, gang_of(bid, [offer_of()] * 2)) is SkipReason.STAKE
    opened_of(market.match_gang(NODE, gang_of(bid, [offer_of(), offer_of(1)]), NOW))


def test_a_spender_pays_the_whole_gang_from_its_allowance(market: MarketModel) -> None:
    gang = gang_of(a_gang(2), [offer_of()] * 2, delegate=KEY)
    market.set_delegate(BUYER, KEY, Role.SPEND, 300, LATER)
    assert refusal(market, gang) is SkipReason.DELEGATE
    market.set_delegate(BUYER, KEY, Role.SPEND, 400, LATER)
    events = market.match_gang(NODE, gang, NOW)
    assert kinds(events) == ["DelegateSet", "LeaseOpened", "LeaseOpened"]
    assert isinstance(events[0], DelegateSet)
    assert events[0].allowance == 400 - market.state.escrowed()
