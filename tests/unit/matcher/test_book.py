"""The book remembers what leases hold, whatever comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.identity import OfferId
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    BidRemoved,
    Book,
    BookEvent,
    CapacityFreed,
    CapacityTaken,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)
from matcher.orders import OfferOrder
from tests import strategies as some
from tests.factories import a_digest, bid_order, offer_order

WANT = Quantities(cpu=1_000, memory=512)


def free_of(book: Book, order: OfferOrder) -> Quantities:
    view = book.offers()
    return view.free_of([one.id for one in view.orders].index(order.id))


def test_taken_capacity_is_not_free_and_freed_capacity_is() -> None:
    order = offer_order()
    book = Book([OfferListed(order=order), CapacityTaken(offer=order.id, want=WANT)])
    assert free_of(book, order) == order.offer.capacity.less(WANT)
    book.apply(CapacityFreed(offer=order.id, want=WANT))
    assert free_of(book, order) == order.offer.capacity
    assert book.used(order.id) == Quantities()


def test_an_offer_that_comes_back_still_carries_its_leases() -> None:
    order = offer_order()
    book = Book([OfferListed(order=order), CapacityTaken(offer=order.id, want=WANT)])
    book.apply(OfferDelisted(offer=order.id))
    assert book.offer(order.id) is None
    book.apply(CapacityTaken(offer=order.id, want=WANT))
    book.apply(OfferListed(order=order))
    assert book.offer(order.id) == order
    assert free_of(book, order) == order.offer.capacity.less(WANT.plus(WANT))


def test_freeing_more_than_is_used_saturates() -> None:
    order = offer_order()
    book = Book([OfferListed(order=order), CapacityFreed(offer=order.id, want=WANT)])
    assert free_of(book, order) == order.offer.capacity


def test_an_event_twice_changes_nothing_more() -> None:
    order, bid = offer_order(), bid_order()
    events: list[BookEvent] = [OfferListed(order=order), BidPlaced(order=bid)]
    book = Book([*events, *events])
    assert book.offers().orders == (order,)
    assert book.bids() == (bid,)
    gone: list[BookEvent] = [OfferDelisted(offer=order.id), BidRemoved(bid=bid.id)]
    for event in (*gone, *gone):
        book.apply(event)
    assert book.offers().orders == ()
    assert book.bid(bid.id) is None


def test_what_was_never_there_can_leave() -> None:
    book = Book([OfferDelisted(offer=offer_order().id), BidRemoved(bid=bid_order().id)])
    assert book.bids() == ()


@given(
    orders=st.lists(some.offer_orders, max_size=8, unique_by=lambda order: order.id),
    leaving=st.sets(st.integers(0, 7)),
)
def test_rows_move_and_every_offer_keeps_its_columns(orders: list[OfferOrder], leaving: set[int]) -> None:
    book = Book(OfferListed(order=order) for order in orders)
    for place in leaving & set(range(len(orders))):
        book.apply(OfferDelisted(offer=orders[place].id))
    stay = [order for place, order in enumerate(orders) if place not in leaving]
    view, fresh = book.offers(), Book(OfferListed(order=order) for order in stay).offers()
    assert set(view.orders) == set(stay)
    names = ("vendors", "regions", "features", "max_seconds", "valid_until", "lot")
    for row, order in enumerate(view.orders):
        twin = fresh.orders.index(order)
        assert [view.column(n)[row] for n in names] == [fresh.column(n)[twin] for n in names]
        assert view.ask[:, row].tolist() == list(order.offer.ask)
        assert view.free_of(row) == order.offer.capacity
    assert book.offer(OfferId(a_digest("nobody's"))) is None


def test_the_last_word_on_a_stake_counts_and_nothing_said_is_none() -> None:
    order = offer_order()
    book = Book([OfferListed(order=order)], stake_bps=1_000)
    assert book.stake(order.offer.provider) == 0
    for free in (70, 50):
        book.apply(StakeChanged(provider=order.offer.provider, free=free))
    assert book.stake(order.offer.provider) == 50
    view = book.offers()
    assert view.stakes[view.provider_of(0)] == 50


def test_what_a_viewer_takes_is_its_own_affair() -> None:
    order = offer_order()
    book = Book(
        [OfferListed(order=order), StakeChanged(provider=order.offer.provider, free=70)], stake_bps=1_000
    )
    view = book.offers()
    view.take(0, WANT, 60)
    assert (view.stakes[view.provider_of(0)], view.free_of(0)) == (10, order.offer.capacity.less(WANT))
    assert (book.offers().stakes, free_of(book, order)) == ([70], order.offer.capacity)
