"""The test token is a plain ERC-20."""

import boa
import pytest

from tests.fakes.in_process_market import SUPPLY, InProcessMarket, account


@pytest.fixture
def grid() -> InProcessMarket:
    return InProcessMarket()


def test_the_deployer_holds_the_whole_supply(grid: InProcessMarket) -> None:
    token = grid.token
    assert (token.name(), token.symbol(), token.decimals()) == ("Test", "TST", 6)
    assert token.totalSupply() == token.balanceOf(grid.deployer) == SUPPLY


def test_a_transfer_moves_and_does_not_make(grid: InProcessMarket) -> None:
    assert grid.token.transfer(account("buyer"), 7, sender=grid.deployer)
    assert grid.token.balanceOf(account("buyer")) == 7
    assert grid.token.balanceOf(grid.deployer) == SUPPLY - 7


def test_more_than_the_balance_or_to_nobody_is_refused(grid: InProcessMarket) -> None:
    with boa.reverts("token: balance too small"):
        grid.token.transfer(account("buyer"), 1, sender=account("stranger"))
    with boa.reverts("token: no receiver"):
        grid.token.transfer("0x" + "00" * 20, 1, sender=grid.deployer)


def test_an_allowance_is_used_up(grid: InProcessMarket) -> None:
    token, spender, receiver = grid.token, account("matcher"), account("buyer")
    token.approve(spender, 10, sender=grid.deployer)
    token.transferFrom(grid.deployer, receiver, 6, sender=spender)
    assert token.allowance(grid.deployer, spender) == 4
    with boa.reverts("token: allowance too small"):
        token.transferFrom(grid.deployer, receiver, 5, sender=spender)


def test_the_greatest_allowance_stays(grid: InProcessMarket) -> None:
    top = 2**256 - 1
    grid.token.approve(account("matcher"), top, sender=grid.deployer)
    grid.token.transferFrom(grid.deployer, account("buyer"), 6, sender=account("matcher"))
    assert grid.token.allowance(grid.deployer, account("matcher")) == top
