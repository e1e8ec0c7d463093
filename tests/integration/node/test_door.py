"""The exchange's door: many orders in one epoch, one commit, one answer each, and the chain left alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from ledger.books.books import Books
from ledger.books.opening import Opening
from ledger.books.rows import JobRow
from ledger.books.unit_of_work import Unit
from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.market.errors import Broken, LostRace, MarketError, Rejected, Unavailable
from ledger.market.identity import Address, BidId
from ledger.market.lifecycle import JobState
from ledger.market.resource import Quantities
from node.exchange import Exchange
from node.trading.admission import Order
from node.trading.continuing import Continuing
from node.trading.gathering import Ticket
from node.trading.intake import MOST_RESTING
from node.trading.refusal import NoMatch
from tests.factories import a_job
from tests.fakes.node_twin import BUYER, DOMAIN, NODE, OTHER, NodeTwin

ESCROW = 834
"""what an order of the factories reserves"""


def lend(node: NodeTwin, cores: int) -> None:
    node.beat(node.lend(capacity=Quantities(cpu=1_000 * cores, memory=65_536, disk=65_536)))
    node.seal()


def tickets_of(orders: Sequence[Order], wait: int, at: int) -> list[Ticket]:
    return [Ticket(order=order, wait=wait, at=at) for order in orders]


def served(exchange: Exchange, tickets: Sequence[Ticket]) -> int:
    """Epochs until each ticket is answered."""
    epochs, left = 0, tickets
    while left:
        left, epochs = exchange.serve(left), epochs + 1
    assert all(ticket.answered for ticket in tickets)
    return epochs


def code_of(ticket: Ticket) -> str:
    assert isinstance(ticket.error, MarketError)
    return ticket.error.code


def test_orders_of_one_epoch_are_matched_in_turn_and_the_rest_rests(node: NodeTwin) -> None:
    lend(node, 2)
    tickets = tickets_of([node.order() for _ in range(4)], 600, node.now)
    assert served(node.exchange, tickets) == 1
    states = [ticket.row.state for ticket in tickets if ticket.row is not None]
    assert states == [JobState.OPENING, JobState.OPENING, JobState.RESTING, JobState.RESTING]
    assert [node.job(ticket.order.id) for ticket in tickets] == [ticket.row for ticket in tickets]


def test_who_may_not_wait_and_finds_nothing_is_refused_alone(node: NodeTwin) -> None:
    lend(node, 1)
    tickets = tickets_of([node.order(), node.order(a_job(cpu=64_000)), node.order()], 0, node.now)
    served(node.exchange, tickets)
    assert [ticket.row is not None for ticket in tickets] == [True, False, False]
    assert all(ticket.unmatched for ticket in tickets[1:])
    assert len(node.books.queries.jobs()) == 1


def test_the_refused_one_is_told_why(node: NodeTwin) -> None:
    lend(node, 1)
    with pytest.raises(NoMatch) as caught:
        node.submit(a_job(cpu=64_000))
    assert "cpu excludes 1" in caught.value.cause


def test_the_same_order_twice_in_one_epoch_is_one_job(node: NodeTwin) -> None:
    lend(node, 2)
    order = node.order()
    tickets = tickets_of([order, order], 600, node.now)
    assert served(node.exchange, tickets) == 2
    assert tickets[0].row is not None
    assert code_of(tickets[1]) == "replayed-bid"


def test_what_an_epoch_promised_cannot_be_promised_again_in_it(node: NodeTwin) -> None:
    lend(node, 8)
    node.deposit(2 * ESCROW, OTHER.address)
    node.seal()
    tickets = tickets_of([node.order(None, OTHER) for _ in range(3)], 600, node.now)
    served(node.exchange, tickets)
    assert [ticket.row is not None for ticket in tickets] == [True, True, False]
    assert code_of(tickets[2]) == "insufficient-balance"


def test_what_found_nothing_promised_nothing(node: NodeTwin) -> None:
    lend(node, 8)
    node.deposit(ESCROW, OTHER.address)
    node.seal()
    hopeless, good = node.order(a_job(allow=("nowhere/*",)), OTHER), node.order(None, OTHER)
    tickets = tickets_of([hopeless, good], 0, node.now)
    served(node.exchange, tickets)
    assert tickets[0].unmatched
    assert tickets[1].row is not None


class Silent:
    """A chain that must not be asked."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the chain was asked for {name}")


class Asked:
    """A chain that counts the questions for balances."""

    def __init__(self, node: NodeTwin) -> None:
        self._node, self.balances = node, 0

    def balance_of(self, account: Address) -> int:
        self.balances += 1
        return self._node.balance_of(account)

    def __getattr__(self, name: str) -> object:
        return getattr(self._node, name)


def on_chain(node: NodeTwin, chain: Any, books: Any = None) -> Exchange:
    """Another exchange on the node's books, or those given, which asks that chain."""
    continuing = Continuing(DOMAIN, keyring(NODE))
    exchange = Exchange(books or node.books, chain, node.exchange.venue, node.presence, continuing)
    exchange.start(node.now)
    return exchange


def test_a_bid_that_the_followed_chain_allows_asks_the_chain_nothing(node: NodeTwin) -> None:
    lend(node, 1)
    row = on_chain(node, Silent()).submit(node.order(), 0, node.now)
    assert row.state is JobState.OPENING


def test_a_deposit_that_is_not_followed_yet_counts(node: NodeTwin) -> None:
    lend(node, 1)
    node.deposit(ESCROW, OTHER.address)
    chain = Asked(node)
    assert on_chain(node, chain).submit(node.order(None, OTHER), 0, node.now).state is JobState.OPENING
    assert chain.balances == 1


def test_too_many_resting_orders_of_one_buyer_are_refused(node: NodeTwin) -> None:
    exchange = node.exchange
    node.deposit(MOST_RESTING * ESCROW)
    node.deposit(ESCROW, OTHER.address)
    node.seal()
    served(exchange, tickets_of([node.order() for _ in range(MOST_RESTING)], 600, node.now))
    with pytest.raises(Rejected) as caught:
        node.submit(wait=600)
    assert caught.value.code == "too-many-resting"
    assert node.job(node.submit(wait=600, buyer=OTHER)).state is JobState.RESTING


def test_after_a_restart_the_books_show_what_was_answered_and_no_more(node: NodeTwin) -> None:
    lend(node, 3)
    tickets = tickets_of([node.order() for _ in range(6)], 600, node.now)
    refused = tickets_of([node.order(a_job(cpu=64_000))], 0, node.now)
    served(node.exchange, [*tickets, *refused])
    told = [ticket.row for ticket in tickets]
    node.restart()
    assert [node.job(ticket.order.id) for ticket in tickets] == told
    assert len(node.books.queries.jobs()) == len(tickets)
    assert len(node.wishes()) == 3


class Trouble:
    """Books that fail to commit while `full`, and that a certain order breaks."""

    def __init__(self, books: Books, poison: BidId | None = None) -> None:
        self._books, self._poison = books, poison
        self.queries, self.full = books.queries, False

    @contextmanager
    def transaction(self) -> Iterator[object]:
        with self._books.transaction() as unit:
            yield _Spoiled(unit, self._poison)
            if self.full:
                raise Unavailable("disk-full", "The disk is full.", "Make room.")


class _Spoiled:
    def __init__(self, unit: Unit, poison: BidId | None) -> None:
        self._unit, self._poison = unit, poison

    def open_all(self, openings: Sequence[Opening]) -> list[JobRow]:
        if any(one.accepted.job == self._poison for one in openings):
            raise Broken("books-invariant", "The books refused a write.", "Stop the node.")
        return self._unit.open_all(openings)

    def __getattr__(self, name: str) -> object:
        return getattr(self._unit, name)


def test_an_epoch_that_was_not_committed_is_no_order_and_holds_nothing(node: NodeTwin) -> None:
    lend(node, 1)
    books, order = Trouble(node.books), node.order()
    exchange = on_chain(node, node, books)
    books.full = True
    with pytest.raises(Unavailable) as caught:
        exchange.submit(order, 600, node.now)
    assert caught.value.code == "disk-full"
    assert node.books.queries.jobs() == []

    books.full = False
    assert exchange.submit(order, 600, node.now).state is JobState.OPENING


def test_an_order_that_the_books_refuse_fails_nobody_else(node: NodeTwin) -> None:
    lend(node, 3)
    orders = [node.order() for _ in range(3)]
    exchange = on_chain(node, node, Trouble(node.books, orders[1].id))
    tickets = tickets_of(orders, 600, node.now)
    served(exchange, tickets)
    assert [ticket.row is not None for ticket in tickets] == [True, False, True]
    assert code_of(tickets[1]) == "books-invariant"
    assert len(node.wishes()) == 2


def test_many_threads_lose_and_double_nothing(node: NodeTwin) -> None:
    lend(node, 8)
    node.deposit(10_000_000, OTHER.address)
    node.seal()
    buyers: tuple[LocalKey, ...] = (BUYER, OTHER)
    orders = [node.order(None, buyers[number % 2]) for number in range(24)]

    def submit(order: Order) -> JobRow | str:
        try:
            return node.exchange.submit(order, 600, node.now)
        except LostRace as error:
            return error.code

    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(submit, [*orders, *orders[::-1]], timeout=120))
    rows = [one for one in told if isinstance(one, JobRow)]
    assert told.count("replayed-bid") == len(orders)
    assert {row.job for row in rows} == {order.id for order in orders}
    assert [node.job(row.job) for row in rows] == rows
    assert sum(row.state is JobState.OPENING for row in rows) == 8
    assert len(node.wishes()) == 8
