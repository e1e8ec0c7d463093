"""Stake on the real contract: brought once, from what the market holds first, and no more than there is."""

import asyncio
from collections.abc import Iterator
from hashlib import sha256

import pytest

from ledger.chain.calls import request_unstake, withdraw
from ledger.chain.keys import LocalKey
from ledger.market.errors import Rejected
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from provider_agent.offers.lending import Loan, hourly_lock
from provider_agent.offers.staking import Account, Stakes, Staking, raise_stake
from tests.factories import PROCESSORS
from tests.fakes.chain_grid import MONEY, Grid, served_grid

LOAN = Loan(capacity=Quantities(cpu=4_000), ask=Quantities(cpu=1_000_000), traits=PROCESSORS, devices=())
NEEDED = hourly_lock(LOAN, EMBEDDED)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as founded:
        yield founded


@pytest.fixture
def key(grid: Grid, request: pytest.FixtureRequest) -> LocalKey:
    """A provider with coin, and with tokens in its account and its balance."""
    key = LocalKey(sha256(request.node.name.encode()).digest())
    grid.fund(key)
    return key


def see_to(grid: Grid, key: LocalKey, wanted: str = "") -> Stakes:
    account = Account(provider=key.address, key=key, wanted=wanted, policy=EMBEDDED)
    staking = Staking(account, grid.client, (), grid.patience())

    async def scene() -> None:
        await staking.see_to_it(LOAN, asyncio.Lock())

    asyncio.run(scene())
    return staking.stakes


def test_an_agent_stakes_for_its_whole_capacity_once(grid: Grid, key: LocalKey) -> None:
    assert see_to(grid, key).free == NEEDED
    assert grid.client.balance_of(key.address) == MONEY - NEEDED
    assert see_to(grid, key).free == NEEDED


def test_tokens_are_brought_where_the_balance_is_not_enough(grid: Grid, key: LocalKey) -> None:
    grid.send(key, withdraw(grid.client.market, MONEY - 1_000))
    held = grid.client.token_balance(key.address)
    assert see_to(grid, key, "0.5").free == 500_000
    assert grid.client.token_balance(key.address) == held - 499_000


def test_stake_that_was_asked_back_is_not_staked_again(grid: Grid, key: LocalKey) -> None:
    see_to(grid, key)
    grid.send(key, request_unstake(grid.client.market, NEEDED))
    with pytest.raises(Rejected, match="provider stake"):
        see_to(grid, key)
    assert grid.client.stake_of(key.address) == 0


def test_more_than_there_is_is_refused_before_anything_is_sent(grid: Grid, key: LocalKey) -> None:
    there = grid.client.balance_of(key.address) + grid.client.token_balance(key.address)
    with pytest.raises(Rejected) as refused:
        raise_stake(grid.client, key, there + 1, grid.patience())
    assert refused.value.code == "insufficient-tokens"
    assert grid.client.balance_of(key.address) == MONEY
