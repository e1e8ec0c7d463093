import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from ledger.chain.client import MarketClient
from ledger.chain.keys import LocalKey
from ledger.chain.wallet import Patience
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Rejected
from ledger.market.identity import Address
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from provider_agent.lifecycle.lease_state import LeaseState, Stage
from provider_agent.offers.lending import Loan, hourly_lock
from provider_agent.offers.staking import Account, Stakes, Staking, base_units, stake_low, tokens
from tests.factories import NOW, PROCESSORS, an_address, some_terms

KEY = LocalKey(b"\x01" * 32)
OWNER = an_address("owner")
LOAN = Loan(capacity=Quantities(cpu=4_000), ask=Quantities(cpu=1_000_000), traits=PROCESSORS, devices=())
NEEDED = 400_000
"""four cores at a token an hour each, of which the market locks a tenth"""
LEASE = LeaseState(
    id=an_address("lease"),  # type: ignore[arg-type]  # only its escrow counts
    terms=some_terms(),
    start=NOW,
    escrow=1_000_000,
    stage=Stage.RUNNING,
    since=0,
    retry_at=0,
)


class Market:
    """What staking asks of a chain on which nothing needs to be sent."""

    def __init__(self, **state: Any) -> None:
        self.free = state.get("free", NEEDED)
        self.unstaking = state.get("unstaking", 0)
        self.delegation = Delegation(key=KEY.address, roles=Role(0), allowance=0, until=0)

    def stake_of(self, _account: Address) -> int:
        return int(self.free)

    def unstaking_of(self, _account: Address) -> tuple[int, int]:
        return int(self.unstaking), NOW + 9

    def balance_of(self, _account: Address) -> int:
        return 0

    def token_balance(self, _account: Address) -> int:
        return 0

    def coin_balance(self, _account: Address) -> int:
        return 1

    def faucet(self, _account: Address) -> list[bytes]:
        raise Rejected("rpc-refused", "There is no faucet.", "Send tokens.")

    def decimals(self) -> int:
        return 6

    def delegation_of(self, _account: Address, _key: Address) -> Delegation:
        return self.delegation


def staking(
    market: Market, *leases: LeaseState, provider: Address = KEY.address, wanted: str = ""
) -> Staking:
    account = Account(provider=provider, key=KEY, wanted=wanted, policy=EMBEDDED)
    return Staking(
        account, cast(MarketClient, market), leases, Patience(clock=lambda: NOW, sleep=lambda _: None)
    )


def see_to(one: Staking) -> Stakes:
    async def scene() -> None:
        await one.see_to_it(LOAN, asyncio.Lock())

    asyncio.run(scene())
    return one.stakes


def test_the_default_is_what_the_whole_capacity_locks_for_an_hour() -> None:
    assert hourly_lock(LOAN, EMBEDDED) == NEEDED


def test_stake_that_is_there_is_left_alone() -> None:
    assert see_to(staking(Market())) == Stakes(free=NEEDED, unlock_at=NOW + 9)


def test_what_open_leases_lock_counts_as_there() -> None:
    stakes = see_to(staking(Market(free=300_000), LEASE))
    assert (stakes.free, stakes.locked) == (300_000, 100_000)
    closed = replace(LEASE, closed_at=1)
    with pytest.raises(Rejected, match=r"is 0\.3;"):
        see_to(staking(Market(free=300_000), closed))


def test_too_little_stake_is_said_with_the_amount_that_is_missing() -> None:
    with pytest.raises(Rejected) as low:
        see_to(staking(Market(free=150_000)))
    assert low.value.code == "stake-low"
    assert "bingwang provider stake 0.25" in low.value.remedy


def test_what_was_asked_back_is_not_staked_again_and_is_no_stake() -> None:
    with pytest.raises(Rejected, match=r"is 0;"):
        see_to(staking(Market(free=0, unstaking=NEEDED)))


def test_an_operator_touches_no_money_and_must_be_let_in() -> None:
    market = Market()
    one = staking(market, provider=OWNER)
    assert see_to(one).free == NEEDED
    with pytest.raises(Rejected, match="has not let"):
        asyncio.run(one.check_authorised())
    market.delegation = Delegation(key=KEY.address, roles=Role.OPERATE, allowance=0, until=NOW)
    asyncio.run(one.check_authorised())
    market.delegation = replace(market.delegation, until=NOW - 1)
    with pytest.raises(Rejected):
        asyncio.run(one.check_authorised())


def test_who_operates_for_nobody_else_needs_no_leave() -> None:
    asyncio.run(staking(Market()).check_authorised())


def test_amounts_are_read_and_shown_in_tokens() -> None:
    assert (base_units("2.5", 6), tokens(2_500_000, 6), tokens(0, 6)) == (2_500_000, "2.5", "0")
    assert "0.1" in stake_low(Stakes(free=100_000), NEEDED, 6).cause
