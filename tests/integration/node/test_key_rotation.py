"""A node that changed its key serves to the end what names the former one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

import pytest

from ledger.books.books import Books
from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.chain.outbox import OutboxPolicy
from ledger.chain.outboxes import Outboxes, outboxes_of
from ledger.chain.signatures import recover
from ledger.chain.typed_data import lease_id, receipt_digest
from ledger.market.events import FeePaid
from ledger.market.identity import Digest, LeaseId, text
from ledger.market.instructions import OpenLease, RegisterOffer
from ledger.market.outbox import IntentState
from ledger.market.policy import EMBEDDED
from node.trading.continuing import Continuing
from node.trading.settlement import Settlement
from tests.factories import a_job
from tests.fakes.chain_grid import NODE as OLD
from tests.fakes.chain_grid import PROVIDER, Grid, served_grid
from tests.fakes.node_twin import DOMAIN, NODE, NodeTwin

NEW = LocalKey(sha256(b"the node's next key").digest())
BEFORE, AFTER = keyring(OLD), keyring(NEW, [OLD])
POLICY = OutboxPolicy()


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        grid.client.faucet(NEW.address)
        grid.seal()
        yield grid


@pytest.fixture
def offer(grid: Grid) -> RegisterOffer:
    wish = grid.offer()
    grid.wish(PROVIDER, wish)
    return wish


def wished(books: Books, wishes: Sequence[OpenLease], at: int) -> None:
    with books.transaction() as unit:
        for wish in wishes:
            unit.wish(f"open:{text(wish.lease)}", wish, at)


def named(grid: Grid, offer: RegisterOffer, matcher: LocalKey) -> OpenLease:
    """The wish to open a bid that names this matcher."""
    wish = grid.open(offer, matcher=matcher.address)
    terms = replace(grid.terms(wish), matcher=matcher.address)
    return replace(wish, lease=lease_id(grid.client.domain(), terms))


def run(grid: Grid, outboxes: Outboxes, rounds: int = 4) -> None:
    for _ in range(rounds):
        grid.clock.now += 1
        outboxes.step(int(grid.clock.now))
        grid.seal()


def states(books: Books) -> list[IntentState]:
    return [one.state for one in books.outbox(OLD.address).intents([1, 2])]


def is_open(grid: Grid, wish: OpenLease) -> bool:
    """Under the very id that the matcher is part of."""
    return grid.client.lease_of(wish.lease) is not None


def test_what_the_former_key_has_in_flight_is_finished(
    grid: Grid, books: Books, offer: RegisterOffer
) -> None:
    first, second = named(grid, offer, OLD), named(grid, offer, OLD)
    wished(books, [first], int(grid.clock.now))
    outboxes_of(BEFORE, books.outbox, grid.client, POLICY).step(int(grid.clock.now))
    assert books.outbox(OLD.address).attempts_in_flight()
    wished(books, [second], int(grid.clock.now))
    run(grid, outboxes_of(AFTER, books.outbox, grid.client, POLICY))
    assert states(books) == [IntentState.DONE, IntentState.DONE]
    assert books.outbox(OLD.address).attempts_in_flight() == []
    assert is_open(grid, first)
    assert is_open(grid, second)


def test_without_the_former_key_its_transactions_would_never_be_looked_at_again(
    grid: Grid, books: Books, offer: RegisterOffer
) -> None:
    wished(books, [named(grid, offer, OLD)], int(grid.clock.now))
    outboxes_of(BEFORE, books.outbox, grid.client, POLICY).step(int(grid.clock.now))
    run(grid, outboxes_of(keyring(NEW), books.outbox, grid.client, POLICY))
    assert books.outbox(OLD.address).attempts_in_flight()


def test_each_bid_is_opened_by_the_matcher_that_it_names(
    grid: Grid, books: Books, offer: RegisterOffer
) -> None:
    old, new = named(grid, offer, OLD), named(grid, offer, NEW)
    wished(books, [old, new], int(grid.clock.now))
    run(grid, outboxes_of(AFTER, books.outbox, grid.client, POLICY))
    assert is_open(grid, old)
    assert is_open(grid, new)
    assert states(books) == [IntentState.DONE, IntentState.DONE]


def test_the_fee_of_a_former_keys_lease_stays_its_own(grid: Grid, books: Books, offer: RegisterOffer) -> None:
    wish, held = named(grid, offer, OLD), grid.client.balance_of(OLD.address)
    wished(books, [wish], int(grid.clock.now))
    run(grid, outboxes_of(AFTER, books.outbox, grid.client, POLICY))
    grid.clock.now += 600
    mined = grid.wish(NEW, grid.receipt(wish, 600_000, last=True))
    (fee,) = [one for one in mined.events if isinstance(one, FeePaid)]
    assert grid.client.balance_of(OLD.address) == held + fee.amount > held


@pytest.fixture
def lease(node: NodeTwin) -> LeaseId:
    """One that the node opened, and signs for."""
    node.beat(node.lend())
    node.seal()
    opened = node.opened()
    node.now += 20
    return opened


def test_a_lease_that_names_the_former_key_is_signed_for(node: NodeTwin, lease: LeaseId) -> None:
    settlement = Settlement(node.books, DOMAIN, keyring(NEW, [NODE]), EMBEDDED)
    signed = settlement.report(node.used(lease, 10_000))
    assert signed is not None
    assert recover(receipt_digest(DOMAIN, signed.receipt), signed.signature) == NODE.address


def test_without_it_nobody_here_signs(node: NodeTwin, lease: LeaseId) -> None:
    assert Settlement(node.books, DOMAIN, keyring(NEW), EMBEDDED).report(node.used(lease, 10_000)) is None


def test_a_lease_of_the_former_key_is_continued_under_the_new_one(node: NodeTwin, lease: LeaseId) -> None:
    bid = node.signed(a_job(), continues=Digest(lease), matcher=NEW.address, signer=NEW.address)[1][0]
    with node.books.transaction() as unit:
        wish = Continuing(DOMAIN, keyring(NEW, [NODE])).plan(unit, node.lease(lease), bid, node.now)
    assert recover(receipt_digest(DOMAIN, wish.receipt.receipt), wish.receipt.signature) == NODE.address
    assert wish.signed.bid.matcher == NEW.address
