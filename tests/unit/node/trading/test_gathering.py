import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address
from node.trading.gathering import MOST_AN_EPOCH, MOST_WAITING_OF_BUYER, Gathering, Ticket
from tests.factories import NOW, an_address

ROW = cast(Any, SimpleNamespace())


def a_ticket(buyer: Address | None = None) -> Ticket:
    order = SimpleNamespace(bid=SimpleNamespace(buyer=buyer or an_address("buyer")))
    return Ticket(order=cast(Any, order), wait=0, at=NOW)


def accept_all(tickets: Sequence[Ticket]) -> Sequence[Ticket]:
    for ticket in tickets:
        ticket.accept(ROW)
    return ()


class Stopped:
    """A service that waits in its first epoch until so many others are in the queue."""

    def __init__(self, serve: Callable[[Sequence[Ticket]], Sequence[Ticket]] = accept_all) -> None:
        self.epochs: list[list[Ticket]] = []
        self.entered, self.release = threading.Event(), threading.Event()
        self._serve = serve

    def __call__(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        self.epochs.append(list(tickets))
        if len(self.epochs) == 1:
            self.entered.set()
            assert self.release.wait(60)
        return self._serve(tickets)


def gathered(stopped: Stopped, tickets: Sequence[Ticket]) -> list[BaseException | None]:
    """Submit a first ticket, then these while it is served; what each submitter of these met."""
    gathering = Gathering(stopped, clock=lambda: 0.0)

    def submit(ticket: Ticket) -> BaseException | None:
        try:
            gathering.submit(ticket)
        except (Unavailable, ZeroDivisionError) as error:
            return error
        return None

    with ThreadPoolExecutor(len(tickets) + 1) as pool:
        first = pool.submit(submit, a_ticket())
        assert stopped.entered.wait(60)
        others = []
        for ticket in tickets:
            others.append(pool.submit(submit, ticket))
            wait_until_queued(gathering, len(others))
        stopped.release.set()
        first.result(60)
        return [other.result(60) for other in others]


def wait_until_queued(gathering: Gathering, count: int) -> None:
    """Polls without a clock: the order in which submitters queue is part of what is tested."""
    turn = threading.Event()
    while gathering.waiting < count:
        turn.wait(0.001)


def test_a_lone_order_is_served_at_once() -> None:
    ticket = a_ticket()
    Gathering(accept_all).submit(ticket)
    assert ticket.row is ROW


def test_those_that_came_meanwhile_are_served_together() -> None:
    stopped, tickets = Stopped(), [a_ticket() for _ in range(5)]
    gathered(stopped, tickets)
    assert [len(epoch) for epoch in stopped.epochs] == [1, 5]
    assert all(ticket.row is ROW for ticket in tickets)


def test_an_epoch_takes_so_many_at_most() -> None:
    stopped = Stopped()
    gathered(stopped, [a_ticket() for _ in range(MOST_AN_EPOCH + 3)])
    assert [len(epoch) for epoch in stopped.epochs] == [1, MOST_AN_EPOCH, 3]


def test_one_buyers_flood_delays_another_by_a_turn() -> None:
    stopped, late = Stopped(), a_ticket(an_address("other"))
    flood = [a_ticket() for _ in range(MOST_AN_EPOCH + 10)]
    gathered(stopped, [*flood, late])
    assert stopped.epochs[1][1] is late


def test_what_is_put_off_is_served_in_the_next_epoch() -> None:
    def one_at_a_time(tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        tickets[0].accept(ROW)
        return tickets[1:]

    stopped, tickets = Stopped(one_at_a_time), [a_ticket() for _ in range(3)]
    gathered(stopped, tickets)
    assert [epoch[0] for epoch in stopped.epochs[1:]] == tickets


def test_an_error_of_the_market_answers_all_whom_nothing_answered() -> None:
    def fail(tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        tickets[0].accept(ROW)
        raise Rejected("bad", "Bad.", "Better.")

    stopped, tickets = Stopped(fail), [a_ticket() for _ in range(3)]
    assert gathered(stopped, tickets) == [None, None, None]
    assert tickets[0].row is ROW
    assert [cast(Rejected, ticket.error).code for ticket in tickets[1:]] == ["bad", "bad"]


def test_a_bug_shows_to_the_one_who_served_and_leaves_nobody_waiting() -> None:
    def break_down(_tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        raise ZeroDivisionError

    stopped, tickets = Stopped(break_down), [a_ticket() for _ in range(3)]
    met = gathered(stopped, tickets)
    assert [type(error) for error in met].count(ZeroDivisionError) == 1
    assert all(isinstance(ticket.error, Unavailable) for ticket in tickets)


def test_a_door_that_broke_down_serves_the_next_one() -> None:
    calls: list[int] = []

    def once(tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return accept_all(tickets)

    gathering = Gathering(once)
    with pytest.raises(ZeroDivisionError):
        gathering.submit(a_ticket())
    ticket = a_ticket()
    gathering.submit(ticket)
    assert ticket.row is ROW


def test_an_order_whose_submitter_broke_down_before_its_turn_is_never_served() -> None:
    def break_down(_tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        raise ZeroDivisionError

    gathering, flood = Gathering(break_down), [a_ticket() for _ in range(MOST_AN_EPOCH + 1)]
    for ticket in flood[:-1]:
        gathering.queue(ticket)
    last = flood[-1]
    last.wake()
    with pytest.raises(ZeroDivisionError):
        gathering.submit(last)
    assert not last.answered
    assert gathering.waiting == 0


def test_too_many_of_one_buyer_are_turned_away_and_another_is_not() -> None:
    gathering = Gathering(accept_all)
    for _ in range(MOST_WAITING_OF_BUYER):
        gathering.queue(a_ticket())
    with pytest.raises(Unavailable) as caught:
        gathering.queue(a_ticket())
    assert caught.value.code == "too-many-waiting"
    gathering.queue(a_ticket(an_address("other")))
    assert gathering.waiting == MOST_WAITING_OF_BUYER + 1


@given(
    buyers=st.lists(st.integers(min_value=0, max_value=4), min_size=1, max_size=40), most=st.integers(1, 9)
)
def test_every_order_gets_one_answer_whatever_the_interleaving(buyers: list[int], most: int) -> None:
    served: list[Ticket] = []

    def some(tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        taken, later = tickets[:most], tickets[most:]
        served.extend(taken)
        return [*later] if not accept_all(taken) else ()

    gathering = Gathering(some)
    tickets = [a_ticket(an_address(f"buyer {number}")) for number in buyers]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(gathering.submit, tickets, timeout=60))
    assert len(served) == len(tickets)
    assert set(map(id, served)) == set(map(id, tickets))
