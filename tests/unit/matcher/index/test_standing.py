"""What the index finds is what the conditions say, whatever came and went before."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.domains import Preference
from ledger.market.errors import Rejected
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    Book,
    CapacityFreed,
    CapacityStated,
    CapacityTaken,
    DemandStated,
    OfferListed,
    StakeChanged,
)
from matcher.eligibility import bonus_in, eligible
from matcher.fragmentation.demand import Shape
from matcher.index.classes import TypicalDemand
from matcher.index.offer_index import MOST_BUCKETS
from matcher.index.place import Place
from matcher.orders import BidOrder, OfferOrder
from matcher.placement import drawn
from matcher.pricing import ask_rates
from tests import strategies as some
from tests.factories import NOW, PROCESSORS, a_bid, an_address, bid_order, offer_order
from tests.fakes.random_market import RandomMarket

seeds = st.integers(0, 1 << 32)


def by_conditions(book: Book, order: BidOrder, at: int = NOW) -> list[Place]:
    """Every offer that may serve one member, cheapest first, by the truth of `matcher.eligibility` alone."""
    view = book.offers()
    rates = ask_rates(view.ask, order.bid.want)
    found = []
    for row in np.flatnonzero(eligible(view, order, rates, at)).tolist():
        bonus = bonus_in(order, view.orders[row].domain)
        place = Place(offer=view.orders[row].id, rate=int(rates[row]), bonus=bonus)
        found.append((place.rate - bonus, drawn(order, view.orders[row]), place))
    return [place for *_, place in sorted(found, key=lambda one: one[:2])]


def shuffled(taken: list[CapacityTaken], seed: int) -> list[CapacityTaken]:
    return random.Random(seed).sample(taken, len(taken))


@settings(max_examples=150, deadline=None)
@given(seed=seeds, offers=st.integers(1, 300), moves=st.integers(0, 40))
def test_the_cheapest_are_those_of_the_conditions(seed: int, offers: int, moves: int) -> None:
    market = RandomMarket(seed)
    market.grow(offers)
    market.churn(moves)
    for _ in range(20):
        order = market.bid()
        truth = by_conditions(market.book, order)
        assert market.book.best(order, NOW) == (truth[0] if truth else None)
        assert market.book.cheapest(order, NOW, 5) == tuple(truth[:5])
        assert market.book.cheapest(order, NOW, 400) == tuple(truth)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, moves=st.integers(1, 60))
def test_an_answer_does_not_depend_on_how_the_book_came_about(seed: int, moves: int) -> None:
    market = RandomMarket(seed)
    market.grow(120)
    market.churn(moves)
    again = market.book.part(reversed(list(market.book.offer_ids())))
    for _ in range(10):
        order = market.bid()
        assert again.cheapest(order, NOW, 50) == market.book.cheapest(order, NOW, 50)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, count=st.integers(1, 12))
def test_what_was_taken_and_given_back_leaves_no_trace(seed: int, count: int) -> None:
    market = RandomMarket(seed)
    market.grow(40)
    book = market.book
    before = {name: (book.used(name), book.devices(name)) for name in book.offer_ids()}
    taken = []
    for _ in range(count):
        order = market.bid()
        place = book.best(order, NOW)
        if place is not None:
            devices = book.devices(place.offer)
            assert devices is not None
            numbers = devices.places(order.devices, order.share, order.device_memory)
            assert numbers is not None
            lease = CapacityTaken(offer=place.offer, want=order.bid.want, devices=numbers)
            book.apply(lease)
            taken.append(lease)
    for lease in shuffled(taken, seed):
        book.apply(CapacityFreed(offer=lease.offer, want=lease.want, devices=lease.devices))
    assert before == {name: (book.used(name), book.devices(name)) for name in book.offer_ids()}


@settings(max_examples=60, deadline=None)
@given(seed=seeds, bids=st.integers(1, 60))
def test_no_offer_lends_more_than_it_has(seed: int, bids: int) -> None:
    market = RandomMarket(seed)
    market.grow(10)
    book = market.book
    for _ in range(bids):
        order = market.bid()
        place = book.best(order, NOW)
        if place is not None:
            book.apply(CapacityTaken(offer=place.offer, want=order.bid.want, count=order.devices))
    for name in book.offer_ids():
        offer, devices = book.offer(name), book.devices(name)
        assert offer is not None
        assert devices is not None
        assert book.used(name).within(offer.offer.capacity)
        assert sum(devices.milli - free for free in devices.free_milli) == book.used(name).gpu


@settings(max_examples=60, deadline=None)
@given(seed=seeds, moves=st.integers(1, 40))
def test_a_stated_use_makes_the_same_book(seed: int, moves: int) -> None:
    market = RandomMarket(seed)
    market.grow(30)
    market.churn(moves)
    book, again = market.book, Book(stake_bps=market.book.stake_bps)
    for provider, free in book.stakes().items():
        again.apply(StakeChanged(provider=provider, free=free))
    for name in book.offer_ids():
        listed, devices = book.offer(name), book.devices(name)
        assert listed is not None
        assert devices is not None
        again.apply(OfferListed(order=listed))
        again.apply(
            CapacityStated(
                offer=name,
                used=book.used(name),
                free_milli=devices.free_milli,
                free_memory=devices.free_memory,
            )
        )
        assert (again.used(name), again.devices(name)) == (book.used(name), devices)
    for _ in range(10):
        order = market.bid()
        assert again.cheapest(order, NOW, 30) == book.cheapest(order, NOW, 30)


@given(seed=seeds)
def test_a_few_offers_are_seen_as_among_all(seed: int) -> None:
    market = RandomMarket(seed)
    market.grow(40)
    order = market.bid()
    some_offers = list(market.book.offer_ids())[5:25]
    view = market.book.some(some_offers)
    rates = ask_rates(view.ask, order.bid.want)
    fit = eligible(view, order, rates, NOW)
    among_all = {place.offer for place in by_conditions(market.book, order)}
    assert {view.orders[row].id for row in np.flatnonzero(fit).tolist()} == among_all & set(some_offers)


@settings(max_examples=40, deadline=None)
@given(orders=st.lists(some.offer_orders, max_size=12, unique_by=lambda order: order.id), bid=some.bid_orders)
def test_any_market_gives_the_answer_of_the_conditions(orders: list[OfferOrder], bid: BidOrder) -> None:
    book = Book([*(OfferListed(order=order) for order in orders), BidPlaced(order=bid)])
    assert book.cheapest(bid, NOW, 12) == tuple(by_conditions(book, bid))


def test_a_waiting_bid_hears_of_a_provider_that_comes_later() -> None:
    wished = bid_order(providers=frozenset({an_address("late")}))
    book = Book([BidPlaced(order=wished)])
    assert book.best(wished, NOW) is None
    late = offer_order(provider=an_address("late"))
    book.apply(OfferListed(order=late))
    assert book.best(wished, NOW) == Place(offer=late.id, rate=1_102_400)


def test_a_waiting_buyer_that_becomes_a_provider_does_not_serve_itself() -> None:
    bid = bid_order()
    book = Book([BidPlaced(order=bid), OfferListed(order=offer_order(provider=an_address("buyer")))])
    assert book.best(bid, NOW) is None


def test_more_models_than_have_buckets_of_their_own_are_found_all_the_same() -> None:
    models = range(1, MOST_BUCKETS + 40)
    traits = {number: replace(PROCESSORS, model=number) for number in models}
    book = Book(OfferListed(order=offer_order(name=f"{number}", traits=traits[number])) for number in models)
    for number in (1, MOST_BUCKETS + 3, MOST_BUCKETS + 39, MOST_BUCKETS + 40):
        bid = bid_order(traits=replace(a_bid().traits, model=number))
        assert book.cheapest(bid, NOW, 3) == tuple(by_conditions(book, bid))


def test_wants_beyond_the_kernels_integers_are_compared_all_the_same() -> None:
    most = (1 << 31) - 1
    full = Quantities(cpu=most, memory=most, disk=most)
    order = offer_order(capacity=full, ask=full)
    book = Book([OfferListed(order=order)])
    rate = 3 * most * most
    assert book.best(bid_order(want=full, limit_rate=rate), NOW) == Place(offer=order.id, rate=rate)
    assert book.best(bid_order(want=full, limit_rate=rate - 1), NOW) is None


def test_a_preferred_domain_is_taken_first_by_its_bonus_and_not_beyond_it() -> None:
    near = offer_order(name="near", domain="lab/berlin", ask=Quantities(cpu=1_100))
    far = offer_order(name="far", domain="club/rome", ask=Quantities(cpu=1_000))
    book = Book([OfferListed(order=near), OfferListed(order=far)])
    for bonus, chosen in ((201, near), (199, far)):
        bid = bid_order(prefer=(Preference(pattern="lab/*", bonus=bonus),))
        best = book.best(bid, NOW)
        assert best is not None
        assert best.offer == chosen.id


def test_of_equally_cheap_offers_the_one_that_strands_least_is_taken() -> None:
    gpu: dict[str, Any] = {"ask": Quantities(), "traits": replace(PROCESSORS, vendors=2, gpu_memory_mib=8)}
    whole = offer_order(name="whole", capacity=Quantities(cpu=8_000, memory=8_192, gpu=1_000), **gpu)
    begun = offer_order(name="begun", capacity=Quantities(cpu=8_000, memory=8_192, gpu=1_000), **gpu)
    half = Quantities(cpu=1_000, memory=1_024, gpu=500)
    book = Book([OfferListed(order=whole), OfferListed(order=begun)])
    book.apply(CapacityTaken(offer=begun.id, want=half))
    typical = TypicalDemand(
        shapes=(
            (Shape(cpu=1_000, memory=1_024, devices=1, share=500), 1),
            (Shape(cpu=1_000, memory=1_024, devices=1, share=1_000), 1),
        )
    )
    book.apply(DemandStated(demand=typical))
    assert book.demand == typical
    for number in range(20):
        best = book.best(bid_order(name=f"{number}", want=half), NOW)
        assert best is not None
        assert best.offer == begun.id


def test_the_use_of_an_offer_that_is_not_listed_is_not_stated() -> None:
    with pytest.raises(Rejected, match="not on the book"):
        Book([CapacityStated(offer=offer_order().id, used=Quantities())])


def test_devices_in_use_are_stated_one_by_one() -> None:
    order = offer_order(capacity=Quantities(cpu=1, gpu=2_000))
    book = Book([OfferListed(order=order)])
    with pytest.raises(Rejected, match="devices were stated"):
        book.apply(
            CapacityStated(
                offer=order.id,
                used=Quantities(gpu=500),
                free_milli=(500, 1_000, 1_000),
                free_memory=(0, 0, 0),
            )
        )
