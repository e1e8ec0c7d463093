"""Relays against the real contracts: what the model says in `test_relaying`, the chain does."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from ledger.books.books import Books
from ledger.chain.calls import transfer
from ledger.chain.keys import LocalKey
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.chain.wallet import sign_permit, sign_withdrawal
from ledger.market.errors import Rejected
from ledger.market.identity import Address, Digest
from ledger.market.outbox import IntentState
from ledger.market.withdrawal import SignedWithdrawal
from node.trading.relaying import Relayed, Relaying
from tests.factories import HOUR, NOW
from tests.fakes.chain_grid import BUYER, NODE, Grid, served_grid

AMOUNT = 1_000_000


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        yield grid


@pytest.fixture
def relaying(books: Books, grid: Grid) -> Relaying:
    return Relaying(books, grid.client, grid.client.domain(), NODE.address)


def coinless(grid: Grid, name: str) -> LocalKey:
    """An account with tokens, and nothing to pay gas with."""
    key = LocalKey(sha256(name.encode()).digest())
    grid.send(BUYER, transfer(grid.client.token(), key.address, AMOUNT))
    assert grid.client.coin_balance(key.address) == 0
    return key


def withdrawal(grid: Grid, key: LocalKey, to: Address, amount: int) -> SignedWithdrawal:
    (nonce,) = grid.client.next_nonces(key.address, 1)
    return sign_withdrawal(grid.client, key, to=to, amount=amount, nonce=nonce, deadline=NOW + HOUR)


def outbox(books: Books, grid: Grid, confirmations: int = 1) -> Outbox:
    policy = OutboxPolicy(confirmations=confirmations)
    return Outbox(books.outbox(NODE.address), grid.client, NODE, policy)


def carried_out(books: Books, grid: Grid) -> None:
    sender = outbox(books, grid)
    sender.step(NOW)
    grid.seal()
    sender.step(NOW)


def found(relaying: Relaying, name: Digest) -> Relayed:
    relayed = relaying.relay(name)
    assert relayed is not None
    return relayed


def test_an_account_without_coin_deposits_and_withdraws(relaying: Relaying, books: Books, grid: Grid) -> None:
    key = coinless(grid, "first")
    name = relaying.deposit(sign_permit(grid.client, key, AMOUNT, NOW + HOUR), NOW)
    carried_out(books, grid)
    assert found(relaying, name).state is IntentState.DONE
    assert grid.client.balance_of(key.address) == AMOUNT

    order = withdrawal(grid, key, BUYER.address, AMOUNT // 4)
    before = grid.client.token_balance(BUYER.address)
    name = relaying.withdrawal(order, NOW)
    carried_out(books, grid)
    relayed = found(relaying, name)
    assert relayed.state is IntentState.DONE
    assert relayed.transaction is not None
    assert grid.client.receipt(relayed.transaction) is not None
    assert grid.client.token_balance(BUYER.address) == before + AMOUNT // 4
    assert relaying.withdrawal(order, NOW) == name


def test_the_contracts_refusal_is_told_before_anything_is_kept(
    relaying: Relaying, books: Books, grid: Grid
) -> None:
    key = coinless(grid, "second")
    too_much = sign_permit(grid.client, key, AMOUNT + 1, NOW + HOUR)
    order = withdrawal(grid, key, key.address, 1)
    with pytest.raises(Rejected) as caught:
        relaying.deposit(too_much, NOW)
    assert caught.value.code == "relay-refused"
    with pytest.raises(Rejected) as caught:
        relaying.withdrawal(order, NOW)
    assert "balance too small" in str(caught.value.facts["reason"])
    assert books.outbox(NODE.address).pending(10) == []


def test_a_stranger_cannot_change_what_was_signed(relaying: Relaying, grid: Grid) -> None:
    key = coinless(grid, "third")
    permit = sign_permit(grid.client, key, AMOUNT, NOW + HOUR)
    with pytest.raises(Rejected) as caught:
        relaying.deposit(replace(permit, amount=AMOUNT - 1), NOW)
    assert caught.value.code == "bad-signature"


def test_a_relay_survives_the_node_and_a_reorganisation(books: Books, grid: Grid) -> None:
    key = coinless(grid, "fourth")
    first = Relaying(books, grid.client, grid.client.domain(), NODE.address)
    name = first.deposit(sign_permit(grid.client, key, AMOUNT, NOW + HOUR), NOW)
    outbox(books, grid, confirmations=2).step(NOW)
    grid.seal()
    grid.reorg(1)

    again = Relaying(books, grid.client, grid.client.domain(), NODE.address)
    assert found(again, name).state is IntentState.SENT
    sender = outbox(books, grid, confirmations=2)
    for _ in range(3):
        sender.step(NOW + 10)
        grid.seal()
    assert found(again, name).state is IntentState.DONE
    assert grid.client.balance_of(key.address) == AMOUNT
