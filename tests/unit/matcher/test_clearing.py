"""Clearing: examples of who wins, and what a lone order is owed; the laws are in `test_clearing_laws.py`."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.draw import ranked
from ledger.market.identity import BidId
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    Book,
    OfferListed,
    StakeChanged,
)
from matcher.clearing import Clearing, Match, MatchMember, clear
from matcher.eligibility import eligible
from matcher.explanation import explain
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import ask_rates
from tests import strategies as some
from tests.factories import NOW, a_bid, a_digest, an_address, bid_order, offer_order

offer_lists = st.lists(some.offer_orders, max_size=5, unique_by=lambda order: order.id)
gang_orders = st.builds(
    lambda order, members, flags, seed, group: replace(
        order,
        bid=replace(order.bid, members=members, flags=flags if members > 1 else 0),
        seed=seed,
        group=group,
    ),
    some.bid_orders,
    st.integers(1, 3),
    st.sampled_from([0, 0, DISTINCT, REPLICAS | 2 << AGREE_SHIFT]),
    some.digests,
    st.sampled_from([None, None, BidId(b"a" * 32), BidId(b"b" * 32)]),
)
bid_lists = st.lists(gang_orders, max_size=6, unique_by=lambda order: order.id)
stake_lists = st.lists(st.integers(0, 12), min_size=3, max_size=3)
PROVIDERS = [an_address(name) for name in ("ada", "bob", "cai")]
WANT = a_bid().want
WITHOUT_TIMES: dict[str, Any] = {"min_seconds": 0, "max_seconds": 1 << 31, "valid_until": 1 << 39}


def book_of(offers: list[OfferOrder], bids: list[BidOrder], stakes: list[int] | None = None) -> Book:
    """`stakes` are those of the strategies' three providers; without them a lease locks nothing."""
    listed = [OfferListed(order=order) for order in offers]
    waiting = [BidPlaced(order=order) for order in bids]
    staked = [
        StakeChanged(provider=provider, free=free)
        for provider, free in zip(PROVIDERS, stakes or [], strict=False)
    ]
    return Book([*listed, *waiting, *staked], stake_bps=10_000 if stakes else 0)


def test_the_cheapest_eligible_offer_wins_at_its_ask() -> None:
    cheap = offer_order("cheap", ask=Quantities(cpu=900, memory=100))
    bid = bid_order()
    clearing = clear(book_of([offer_order("dear"), cheap], [bid]), NOW)
    won = MatchMember(offer=cheap.id, rate=1_002_400)
    assert clearing.matches == (Match(bid=bid.id, members=(won,)),)
    assert (clearing.matches[0].offer, clearing.matches[0].rate) == (cheap.id, 1_002_400)
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


def test_a_gang_takes_the_cheapest_places_on_as_many_offers_as_it_needs() -> None:
    cheap = offer_order("cheap", capacity=WANT.plus(WANT), ask=Quantities(cpu=1))
    dear = offer_order("dear", ask=Quantities(cpu=2))
    match = clear(book_of([dear, cheap], [bid_order(members=3)]), NOW).matches[0]
    assert [(member.offer, member.rate) for member in match.members] == [
        (cheap.id, 1_000),
        (cheap.id, 1_000),
        (dear.id, 2_000),
    ]


def test_a_gang_without_a_place_for_all_takes_none() -> None:
    gang, single = bid_order("gang", 1, members=5, nonce=1), bid_order("single", 2, nonce=2)
    clearing = clear(book_of([offer_order()], [gang, single]), NOW)
    assert [match.bid for match in clearing.matches] == [single.id]
    assert clearing.unmatched == (gang.id,)


def test_a_distinct_gang_takes_one_place_at_each_provider() -> None:
    at_ada = [offer_order(f"ada {n}", provider=an_address("ada"), ask=Quantities(cpu=n)) for n in (1, 2)]
    at_bob = offer_order("bob", provider=an_address("bob"), ask=Quantities(cpu=3))
    order = bid_order(members=2, flags=DISTINCT)
    match = clear(book_of([*at_ada, at_bob], [order]), NOW).matches[0]
    assert [member.offer for member in match.members] == [at_ada[0].id, at_bob.id]
    assert clear(book_of(at_ada, [order]), NOW).matches == ()


def test_replicas_take_one_place_in_each_domain_whatever_it_costs() -> None:
    berlin = [offer_order(name, provider=an_address(name), ask=Quantities(cpu=1)) for name in ("ada", "bob")]
    paris = offer_order("cai", "lab/paris", provider=an_address("cai"), ask=Quantities(cpu=4_000))
    order = bid_order(members=2, flags=REPLICAS | 2 << AGREE_SHIFT)
    match = clear(book_of([*berlin, paris], [order]), NOW).matches[0]
    assert paris.id in {member.offer for member in match.members}
    assert clear(book_of(berlin, [order]), NOW).matches == ()


def test_another_seed_draws_other_replicas() -> None:
    offers = [offer_order(f"{n}", f"lab/{n}", provider=an_address(f"{n}")) for n in range(8)]
    order = bid_order(members=2, flags=REPLICAS | 2 << AGREE_SHIFT)
    drawn = {
        tuple(member.offer for member in clear(book_of(offers, [seeded]), NOW).matches[0].members)
        for seeded in (replace(order, seed=bytes([n]) * 32) for n in range(20))
    }
    assert len(drawn) > 10


def test_a_providers_stake_is_spent_over_its_offers_and_the_bids_of_one_clearing() -> None:
    offers = [offer_order(f"{n}", capacity=WANT) for n in range(3)]
    bids = [bid_order(f"{n}", n, nonce=n) for n in range(3)]
    listed = [OfferListed(order=order) for order in offers]
    placed = [BidPlaced(order=order) for order in bids]
    staked = StakeChanged(provider=offers[0].offer.provider, free=37)
    clearing = clear(Book([*listed, *placed, staked], stake_bps=1_000), NOW)
    assert [match.bid for match in clearing.matches] == [bids[0].id, bids[1].id]
    gang = BidPlaced(order=bid_order(members=3))
    assert clear(Book([*listed, gang, staked], stake_bps=1_000), NOW).matches == ()


def test_of_alternatives_the_cheapest_is_served_and_the_earlier_of_equals() -> None:
    group = BidId(a_digest("group"))
    big = replace(bid_order("big", 1, want=WANT.plus(WANT), nonce=1), group=group)
    small, same = (
        replace(bid_order(name, n, nonce=1), group=group) for n, name in ((2, "small"), (3, "same"))
    )
    clearing = clear(book_of([offer_order()], [same, big, small]), NOW)
    assert [match.bid for match in clearing.matches] == [small.id]
    assert clearing.unmatched == (big.id, same.id)


def test_an_alternative_that_finds_no_offer_leaves_the_place_to_the_next() -> None:
    group = BidId(a_digest("group"))
    cheap_but_too_large = replace(bid_order("first", 1, members=9), group=group)
    fits = replace(bid_order("second", 2), group=group)
    clearing = clear(book_of([offer_order()], [cheap_but_too_large, fits]), NOW)
    assert [match.bid for match in clearing.matches] == [fits.id]


def test_a_group_is_served_at_the_place_of_its_first() -> None:
    offer, group = offer_order(capacity=WANT), BidId(a_digest("group"))
    impossible = replace(bid_order("first", 1, duration=30_000), group=group)
    alternative = replace(bid_order("last", 3), group=group)
    between = bid_order("between", 2, nonce=2)
    clearing = clear(book_of([offer], [impossible, alternative, between]), NOW)
    assert [match.bid for match in clearing.matches] == [alternative.id]


def test_replicas_go_before_their_alternatives_which_are_served_where_there_are_none() -> None:
    group = BidId(a_digest("group"))
    replicas = bid_order("replicas", 2, members=2, flags=REPLICAS | 2 << AGREE_SHIFT, nonce=2, group=group)
    gang = bid_order("gang", 1, members=2, nonce=1, group=group, same_provider=True)
    ada, bob = (
        offer_order(name, f"lab/{name}", provider=an_address(name), ask=Quantities(cpu=n), capacity=WANT)
        for n, name in enumerate(("ada", "bob"), start=1)
    )
    assert [match.bid for match in clear(book_of([ada, bob], [gang, replicas]), NOW).matches] == [replicas.id]
    more = offer_order("more", "lab/ada", provider=an_address("ada"), ask=Quantities(cpu=9), capacity=WANT)
    served = clear(book_of([ada, more], [gang, replicas]), NOW).matches
    assert [(match.bid, {member.offer for member in match.members}) for match in served] == [
        (gang.id, {ada.id, more.id})
    ]


def test_a_gang_that_must_be_together_passes_over_any_number_of_cheaper_places() -> None:
    apart = [
        offer_order(f"{n}", f"lab/{n}", provider=an_address(f"{n}"), ask=Quantities(cpu=1), capacity=WANT)
        for n in range(300)
    ]
    roomy = offer_order("roomy", "club/rome", provider=an_address("roomy"))
    gang = bid_order(members=2, same_domain=True)
    match = clear(book_of([*apart, roomy], [gang]), NOW).matches[0]
    assert [member.offer for member in match.members] == [roomy.id, roomy.id]
    assert clear(book_of(apart, [gang]), NOW).matches == ()


def test_equal_prices_are_spread_over_the_offers() -> None:
    offers = [offer_order(f"offer {n}") for n in range(8)]
    winners = {clear(book_of(offers, [bid_order(f"bid {n}")]), NOW).matches[0].offer for n in range(60)}
    assert len(winners) >= 6


def test_a_book_past_its_first_room_forgets_no_offer() -> None:
    offers = [offer_order(f"offer {n}", ask=Quantities(cpu=2_000 - n)) for n in range(200)]
    assert clear(book_of(offers, [bid_order()]), NOW).matches[0].offer == offers[-1].id


@given(offers=offer_lists, bid=gang_orders)
def test_a_lone_gang_is_left_out_only_where_no_choice_of_offers_would_do(
    offers: list[OfferOrder], bid: BidOrder
) -> None:
    if bid.replicated:
        return
    book = book_of(offers, [bid])
    view = book.offers()
    rates = ask_rates(view.ask, bid.bid.want)
    fits = [view.orders[row] for row in np.flatnonzero(eligible(view, bid, rates, NOW)).tolist()]
    most = len({one.offer.provider for one in fits}) if bid.distinct else sum(room(one, bid) for one in fits)
    assert bool(clear(book, NOW).matches) is (most >= bid.members)


def room(offer: OfferOrder, bid: BidOrder) -> int:
    """How many members fit the offer, counted one by one."""
    free, count = offer.offer.capacity, 0
    while bid.bid.want.within(free) and count < bid.members:
        free, count = free.less(bid.bid.want), count + 1
    return count


@given(offers=offer_lists, bid=gang_orders)
def test_replicas_are_the_first_of_the_published_draw_that_are_apart(
    offers: list[OfferOrder], bid: BidOrder
) -> None:
    bid = replace(bid, bid=replace(bid.bid, members=2, flags=REPLICAS | 2 << AGREE_SHIFT))
    told = explain(bid, book_of(offers, []))
    by_offer = {order.id: order for order in offers}
    matches = clear(book_of(offers, [bid]), NOW).matches
    assert bool(matches) is bool(told.eligible)
    if not matches:
        return
    first, *rest = ranked(bid.seed, (quote.offer for quote in told.eligible))
    second = next(
        offer
        for offer in rest
        if by_offer[offer].offer.provider != by_offer[first].offer.provider
        and by_offer[offer].domain != by_offer[first].domain
    )
    assert [member.offer for member in matches[0].members] == [first, second]


@given(offers=offer_lists, bid=gang_orders, newcomer=some.offer_orders)
def test_one_more_offer_never_makes_a_lone_bids_price_worse(
    offers: list[OfferOrder], bid: BidOrder, newcomer: OfferOrder
) -> None:
    before = clear(book_of(offers, [bid]), NOW).matches
    after = clear(book_of([*offers, newcomer], [bid]), NOW).matches
    if before and not bid.replicated:
        assert price(after[0]) <= price(before[0])


def price(match: Match) -> int:
    return sum(member.rate for member in match.members)
