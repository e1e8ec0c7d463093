"""Clearing: examples of who wins, and the laws that every book must obey."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.identity import OfferId
from ledger.market.resource import Quantities
from matcher.book import BidPlaced, BidRemoved, Book, CapacityFreed, CapacityTaken, OfferListed
from matcher.clearing import Clearing, Match, clear
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import executed_rate
from tests import strategies as some
from tests.factories import NOW, a_bid, an_address, bid_order, offer_order

offer_lists = st.lists(some.offer_orders, max_size=5, unique_by=lambda order: order.id)
bid_lists = st.lists(some.bid_orders, max_size=6, unique_by=lambda order: order.id)
WANT = a_bid().want


def book_of(offers: list[OfferOrder], bids: list[BidOrder]) -> Book:
    listed = [OfferListed(order=order) for order in offers]
    return Book([*listed, *(BidPlaced(order=order) for order in bids)])


def commit(book: Book, clearing: Clearing) -> None:
    """What the exchange does with a clearing."""
    for match in clearing.matches:
        order = book.bid(match.bid)
        assert order is not None
        book.apply(CapacityTaken(offer=match.offer, want=order.bid.want))
        book.apply(BidRemoved(bid=match.bid))


def test_the_cheapest_eligible_offer_wins_at_its_ask() -> None:
    cheap = offer_order("cheap", ask=Quantities(cpu=900, memory=100))
    bid = bid_order()
    clearing = clear(book_of([offer_order("dear"), cheap], [bid]), NOW)
    assert clearing.matches == (Match(bid=bid.id, offer=cheap.id, rate=1_002_400),)
    assert clearing.unmatched == ()


def test_a_cheaper_offer_that_lacks_something_does_not_win() -> None:
    cheap = offer_order("cheap", ask=Quantities(), capacity=Quantities(cpu=999, memory=8_192, disk=8_192))
    dear = offer_order("dear")
    assert clear(book_of([dear, cheap], [bid_order()]), NOW).matches[0].offer == dear.id


def test_nothing_matches_in_an_empty_market() -> None:
    assert clear(Book(), NOW) == Clearing(matches=(), unmatched=())
    bid = bid_order()
    assert clear(book_of([], [bid]), NOW) == Clearing(matches=(), unmatched=(bid.id,))


def test_the_earlier_bid_gets_the_last_room() -> None:
    offer = offer_order(capacity=WANT)
    early, late = bid_order("early", 1, nonce=1), bid_order("late", 2, nonce=2)
    clearing = clear(book_of([offer], [late, early]), NOW)
    assert [match.bid for match in clearing.matches] == [early.id]
    assert clearing.unmatched == (late.id,)


def test_the_second_bid_pays_the_next_price_when_the_cheap_room_is_taken() -> None:
    cheap = offer_order("cheap", capacity=WANT, ask=Quantities(cpu=1))
    dear = offer_order("dear", ask=Quantities(cpu=2))
    bids = [bid_order("first", 1, nonce=1), bid_order("second", 2, nonce=2)]
    assert [match.rate for match in clear(book_of([cheap, dear], bids), NOW).matches] == [1_000, 2_000]


def test_one_nonce_is_matched_once() -> None:
    bids = [bid_order("this", 1, nonce=5), bid_order("or that", 2, nonce=5)]
    clearing = clear(book_of([offer_order()], bids), NOW)
    assert [match.bid for match in clearing.matches] == [bids[0].id]
    another = replace(bids[1], bid=replace(bids[1].bid, nonce=6))
    assert len(clear(book_of([offer_order()], [bids[0], another]), NOW).matches) == 2


def test_a_nonce_is_its_buyers_own() -> None:
    bids = [bid_order("one", 1, nonce=5), bid_order("two", 2, nonce=5, buyer=an_address("bob"))]
    assert len(clear(book_of([offer_order()], bids), NOW).matches) == 2


def test_equal_prices_are_spread_over_the_offers() -> None:
    offers = [offer_order(f"offer {n}") for n in range(8)]
    winners = {clear(book_of(offers, [bid_order(f"bid {n}")]), NOW).matches[0].offer for n in range(60)}
    assert len(winners) >= 6


def test_a_book_past_its_first_room_forgets_no_offer() -> None:
    offers = [offer_order(f"offer {n}", ask=Quantities(cpu=2_000 - n)) for n in range(200)]
    assert clear(book_of(offers, [bid_order()]), NOW).matches[0].offer == offers[-1].id


@given(offers=offer_lists, bids=bid_lists, draw=st.randoms(use_true_random=False))
def test_the_order_of_arrival_in_the_book_changes_nothing(
    offers: list[OfferOrder], bids: list[BidOrder], draw: Random
) -> None:
    other_offers, other_bids = list(offers), list(bids)
    draw.shuffle(other_offers)
    draw.shuffle(other_bids)
    assert clear(book_of(offers, bids), NOW) == clear(book_of(other_offers, other_bids), NOW)


@given(offers=offer_lists, bids=bid_lists)
def test_no_lane_is_sold_twice_and_no_limit_is_exceeded(
    offers: list[OfferOrder], bids: list[BidOrder]
) -> None:
    clearing = clear(book_of(offers, bids), NOW)
    by_bid, by_offer = {order.id: order for order in bids}, {order.id: order for order in offers}
    sold: dict[OfferId, Quantities] = {}
    for match in clearing.matches:
        bid, offer = by_bid.pop(match.bid), by_offer[match.offer]
        sold[match.offer] = sold.get(match.offer, Quantities()).plus(bid.bid.want)
        assert executed_rate(offer, bid) == match.rate <= bid.bid.limit_rate
    assert all(used.within(by_offer[offer].offer.capacity) for offer, used in sold.items())
    assert set(by_bid) == set(clearing.unmatched)


@given(offers=offer_lists, bids=bid_lists)
def test_clearing_leaves_the_book_as_it_was(offers: list[OfferOrder], bids: list[BidOrder]) -> None:
    book = book_of(offers, bids)
    table, free, waiting = book.offers().table.copy(), book.offers().free, book.bids()
    first = clear(book, NOW)
    assert clear(book, NOW) == first
    assert (book.offers().table == table).all()
    assert (book.offers().free == free).all()
    assert book.bids() == waiting


@given(offers=offer_lists, bids=bid_lists)
def test_after_a_clearing_nobody_left_could_still_be_served(
    offers: list[OfferOrder], bids: list[BidOrder]
) -> None:
    book = book_of(offers, bids)
    clearing = clear(book, NOW)
    commit(book, clearing)
    spent = {(o.bid.buyer, o.bid.nonce) for o in bids if o.id not in clearing.unmatched}
    for order in book.bids():
        if (order.bid.buyer, order.bid.nonce) in spent:
            book.apply(BidRemoved(bid=order.id))
    assert clear(book, NOW).matches == ()


@given(offers=offer_lists, bids=bid_lists)
def test_freed_capacity_serves_the_same_bids_again(offers: list[OfferOrder], bids: list[BidOrder]) -> None:
    book = book_of(offers, bids)
    clearing = clear(book, NOW)
    commit(book, clearing)
    by_bid = {order.id: order for order in bids}
    for match in clearing.matches:
        book.apply(CapacityFreed(offer=match.offer, want=by_bid[match.bid].bid.want))
        book.apply(BidPlaced(order=by_bid[match.bid]))
    assert clear(book, NOW) == clearing


@given(offers=offer_lists, bid=some.bid_orders, newcomer=some.offer_orders)
def test_one_more_offer_never_makes_a_lone_bids_price_worse(
    offers: list[OfferOrder], bid: BidOrder, newcomer: OfferOrder
) -> None:
    before = clear(book_of(offers, [bid]), NOW).matches
    after = clear(book_of([*offers, newcomer], [bid]), NOW).matches
    assert not before or after[0].rate <= before[0].rate
