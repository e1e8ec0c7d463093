"""Waiting: the first end of a lease after which a bid matches, each with its refused twin."""

from collections.abc import Sequence

import pytest

from ledger.market.resource import Quantities
from matcher.book import Book, CapacityTaken, OfferListed, StakeChanged
from matcher.orders import BidOrder
from matcher.question import ask
from matcher.remedy.change import Remedy
from matcher.remedy.waiting import Ending, waits
from tests.factories import NOW, a_bid, bid_order, offer_order

OFFER = offer_order()
PROVIDER = OFFER.offer.provider
ALL = OFFER.offer.capacity


def a_full_book(*taken: Quantities) -> Book:
    leases = [CapacityTaken(offer=OFFER.id, want=want) for want in taken or (ALL,)]
    return Book([OfferListed(order=OFFER), *leases])


def ending(seconds: int, want: Quantities = ALL, lock: int = 0) -> Ending:
    return Ending(offer=OFFER.id, provider=PROVIDER, at=NOW + seconds, want=want, lock=lock)


def waited(book: Book, ends: Sequence[Ending], order: BidOrder | None = None) -> tuple[Remedy, ...]:
    return waits(ask(order or bid_order(), book.offers(), NOW), book, ends, [])


def test_the_first_end_that_makes_room_is_said_however_the_ends_are_given() -> None:
    ends = [ending(90), ending(30, Quantities(cpu=1)), ending(60)]
    for given in (ends, ends[::-1]):
        (remedy,) = waited(a_full_book(), given)
        assert remedy.at == NOW + 60
        assert [(one.demand, one.before, one.after) for one in remedy.changes] == [("wait", NOW, NOW + 60)]


def test_where_no_end_makes_room_nothing_is_said() -> None:
    assert waited(a_full_book(), [ending(60, Quantities(cpu=1))]) == ()
    assert waited(a_full_book(), []) == ()


def test_two_leases_may_have_to_end() -> None:
    want = Quantities(cpu=ALL.cpu, memory=1, disk=1)
    order = bid_order(want=want, limit_rate=1 << 40)
    book = a_full_book(Quantities(cpu=1), Quantities(cpu=2))
    ends = [ending(30, Quantities(cpu=1)), ending(60, Quantities(cpu=2))]
    (remedy,) = waited(book, ends, order)
    assert remedy.at == NOW + 60
    assert waited(book, ends[:1], order) == ()


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_is_over_already_is_no_end_to_wait_for(seconds: int) -> None:
    assert waited(a_full_book(), [ending(seconds)]) == ()


def test_an_end_gives_back_what_it_locked_of_the_stake() -> None:
    book = Book([OfferListed(order=OFFER), StakeChanged(provider=PROVIDER, free=0)], stake_bps=1_000)
    assert waited(book, [ending(60, Quantities())]) == ()
    (remedy,) = waited(book, [ending(60, Quantities(), lock=10**9)])
    assert remedy.at == NOW + 60


def test_a_bid_that_would_lapse_before_is_dated_anew_and_that_is_said() -> None:
    (remedy,) = waited(a_full_book(), [ending(60)], bid_order(valid_until=NOW + 10, start_by=NOW + 10))
    assert [change.demand for change in remedy.changes] == ["wait", "dates"]
    assert (remedy.order.bid.valid_until, remedy.order.bid.start_by) == (NOW + 60, NOW + 60)


def test_what_a_lease_cannot_give_back_is_not_waited_for() -> None:
    assert waited(a_full_book(), [ending(60)], bid_order(limit_rate=1)) == ()


def test_the_wait_costs_as_a_longer_run_would() -> None:
    (remedy,) = waited(a_full_book(), [ending(a_bid().duration)])
    assert remedy.cost == 10_000
