"""Orders that found nothing are set aside, and come back a part at a time until each was looked at."""

from dataclasses import replace
from typing import Any

import pytest

from ledger.books.rows import JobRow
from ledger.market.identity import Address, BidId
from matcher.bundle.recording import RecordedBook
from matcher.orders import BidOrder
from node.trading.standing_book import NO_BLOCK
from node.trading.waiting import BEST_AT_ONCE, OTHERS_AT_ONCE, SETTLED_FROM, Waiting
from tests.factories import NOW, a_bid, an_address
from tests.fakes.resting_row import a_resting_row

MANY = 400
AT_ONCE = BEST_AT_ONCE + OTHERS_AT_ONCE


def a_row(number: int) -> JobRow:
    return a_resting_row(BidId(number.to_bytes(32)), a_bid(nonce=number), sequence=number)


def an_order(number: int, **changes: Any) -> BidOrder:
    """The later, the higher its limit."""
    name = BidId(number.to_bytes(32))
    bid = a_bid(nonce=number, limit_rate=10**6 + number, **changes)
    return BidOrder(id=name, job=name, bid=bid, sequence=number, arrived_at=NOW)


@pytest.fixture
def book() -> RecordedBook:
    return RecordedBook()


@pytest.fixture
def waiting(book: RecordedBook) -> Waiting:
    """Many orders, all set aside."""
    waiting = Waiting(book)
    for number in range(MANY):
        waiting.place(a_row(number), [an_order(number)])
    waiting.settle()
    return waiting


def numbers(book: RecordedBook) -> set[int]:
    return {int.from_bytes(order.id) for order in book.bids()}


def test_few_orders_stay_in_the_book(book: RecordedBook) -> None:
    waiting = Waiting(book)
    for number in range(SETTLED_FROM - 1):
        waiting.place(a_row(number), [an_order(number)])
    waiting.settle()
    waiting.fetch()
    assert len(book.bids()) == SETTLED_FROM - 1


def test_many_are_set_aside_and_still_wait(book: RecordedBook, waiting: Waiting) -> None:
    waiting.fetch()
    assert book.bids() == ()
    assert len(waiting.jobs()) == MANY
    assert all(waiting.stands(a_row(number), NO_BLOCK) for number in range(MANY))


def test_gangs_and_later_starts_stay(book: RecordedBook, waiting: Waiting) -> None:
    waiting.place(a_row(MANY), [an_order(MANY, members=2)])
    waiting.place(a_row(MANY + 1), [replace(an_order(MANY + 1), start_at=NOW + 9)])
    for number in range(MANY + 2, MANY + 2 + SETTLED_FROM):
        waiting.place(a_row(number), [an_order(number)])
    waiting.settle()
    assert numbers(book) == {MANY, MANY + 1}


def test_the_highest_limits_come_back_first(book: RecordedBook, waiting: Waiting) -> None:
    waiting.stir()
    waiting.fetch()
    assert len(book.bids()) == AT_ONCE
    assert numbers(book) >= set(range(MANY - BEST_AT_ONCE, MANY))


def test_no_more_come_before_these_settled(book: RecordedBook, waiting: Waiting) -> None:
    waiting.stir()
    waiting.fetch()
    before = numbers(book)
    waiting.stir()
    waiting.fetch()
    assert numbers(book) == before


def test_each_comes_back_though_something_changes_all_the_time(book: RecordedBook, waiting: Waiting) -> None:
    seen: set[int] = set()
    for _ in range(-(-MANY // OTHERS_AT_ONCE)):
        waiting.stir()
        waiting.fetch()
        seen |= numbers(book)
        waiting.settle()
    assert seen == set(range(MANY))


def test_after_one_change_each_comes_back_once(book: RecordedBook, waiting: Waiting) -> None:
    waiting.stir()
    back: list[int] = []
    while True:
        before = numbers(book)
        waiting.fetch()
        if numbers(book) == before:
            break
        back += numbers(book)
        waiting.settle()
    assert sorted(back) == list(range(MANY))


def test_what_was_taken_out_does_not_come_back(book: RecordedBook, waiting: Waiting) -> None:
    waiting.stir()
    waiting.take_out(BidId((MANY - 1).to_bytes(32)))
    waiting.fetch()
    assert MANY - 1 not in numbers(book)
    assert not waiting.stands(a_row(MANY - 1), NO_BLOCK)


def test_an_order_whose_providers_changed_does_not_stand(waiting: Waiting) -> None:
    row = replace(a_row(0), excluded=frozenset([Address(an_address("gone"))]))
    assert not waiting.stands(row, NO_BLOCK)
