"""Search: a change that is stated does what it says, whatever the bid and the market."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.identity import NOBODY
from ledger.market.resource import Quantities
from matcher.book import BidPlaced, Book, BookEvent, CapacityTaken, OfferListed, StakeChanged
from matcher.clearing import clear
from matcher.explanation import explain
from matcher.orders import BidOrder, OfferOrder, Preference
from matcher.remedy.mending import mended
from tests import strategies as some
from tests.factories import HOUR, NOW, an_address, bid_order, offer_order

GPU = Quantities(cpu=1_000, memory=1_024, disk=1_024, gpu=4_000)
names = st.sampled_from(["ada", "bob", "cai", "dan", "eve"])


def usually(usual: Any, *rare: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 2 * len(rare) + list(rare))


@st.composite
def machines(draw: st.DrawFn) -> OfferOrder:
    """An offer with accelerators, figures and distances, of one of five providers."""
    order = draw(some.offer_orders)
    gpu = draw(usually(0, 500, 1_000, 2_000, 4_000))
    capacity = order.offer.capacity.with_lanes(gpu=gpu, gpu_memory=gpu // 100)
    offer = replace(order.offer, capacity=capacity, provider=an_address(draw(names)))
    return OfferOrder(
        id=order.id,
        offer=offer,
        domain=order.domain,
        reputation=draw(usually(500, 0, 900)),
        profile=draw(usually("", "1g.10gb")) if gpu >= 1_000 else "",
        capability=draw(usually((("bf16", 500_000), ("fp32", 60_000)), (), (("bf16", 1_000),))),
        latency=draw(usually((("eu-west", 20),), (), (("eu-west", 200),))),
    )


@st.composite
def demands(draw: st.DrawFn) -> BidOrder:
    """A bid that asks for a few things at once, of one member or a gang; it is valid and wants something."""
    order = draw(some.bid_orders)
    count = draw(usually(0, 1, 2, 4))
    share = draw(usually(1_000, 500)) if count else 1_000
    memory = draw(usually(0, 5)) if count else 0
    want = order.bid.want.with_lanes(cpu=1, gpu=count * share, gpu_memory=count * memory)
    members = draw(usually(1, 2, 3))
    flags = draw(usually(0, DISTINCT, REPLICAS | 2 << AGREE_SHIFT)) if members > 1 else 0
    apart = flags != 0
    bid = replace(
        order.bid,
        want=want,
        members=members,
        flags=flags,
        duration=max(1, order.bid.duration),
        provider=draw(usually(NOBODY, an_address("bob"))),
        traits=replace(order.bid.traits, model=0),
    )
    weighed = draw(usually(False, True))
    near = draw(usually(False, True))
    return replace(
        order,
        bid=bid,
        devices=count,
        share=share,
        device_memory=memory,
        profile=draw(usually("", "1g.10gb")) if count and share == 1_000 else "",
        models=draw(usually(frozenset(), frozenset({1, 2}), frozenset({3}))),
        providers=draw(usually(frozenset(), frozenset({an_address("ada")}))),
        prefer=draw(usually((), (Preference(pattern="lab/*", bonus=500),))),
        floors=draw(usually((), (("bf16", 400_000), ("fp32", 50_000)))),
        weights=(("bf16", 1), ("fp32", 2)) if weighed else (),
        min_score=900 if weighed else 0,
        data_region="eu-west" if near else "",
        max_latency_ms=50 if near else 0,
        min_reputation=draw(usually(0, 600)),
        same_domain=draw(usually(False, True)) and not apart,
        same_provider=draw(usually(False, True)) and not apart,
        deadline=draw(usually(0, NOW + 300)),
        start_at=draw(usually(0, NOW + HOUR)),
    )


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[BookEvent], int]:
    """Offers, some partly let, their providers' stakes, and how much of an escrow a lease locks."""
    offers = draw(st.lists(machines(), max_size=6, unique_by=lambda order: order.id))
    events: list[BookEvent] = [OfferListed(order=order) for order in offers]
    for order in offers:
        if draw(st.booleans()):
            want = Quantities(cpu=1, gpu=min(order.offer.capacity.gpu, draw(usually(0, 500, 1_000))))
            events.append(CapacityTaken(offer=order.id, want=want))
    stakes = draw(st.lists(st.integers(0, 3), min_size=5, max_size=5))
    for name, stake in zip(("ada", "bob", "cai", "dan", "eve"), stakes, strict=True):
        events.append(StakeChanged(provider=an_address(name), free=stake))
    return events, draw(usually(0, 10_000))


@settings(max_examples=1_000, deadline=None)
@given(market=markets(), bid=demands())
def test_a_stated_change_makes_the_bid_match(market: tuple[list[BookEvent], int], bid: BidOrder) -> None:
    events, stake_bps = market
    told = explain(bid, Book(events, stake_bps=stake_bps))
    assert not (told.eligible and told.remedies)
    for remedy in told.remedies:
        book = Book([*events, BidPlaced(order=remedy.order)], stake_bps=stake_bps)
        matched = clear(book, remedy.at).matches
        assert [match.bid for match in matched] == [bid.id], remedy.changes
    assert [one.cost for one in told.remedies] == sorted(one.cost for one in told.remedies)


@settings(max_examples=200, deadline=None)
@given(market=markets(), bid=demands())
def test_without_the_change_it_does_not_match(market: tuple[list[BookEvent], int], bid: BidOrder) -> None:
    events, stake_bps = market
    told = explain(bid, Book(events, stake_bps=stake_bps))
    book = Book([*events, BidPlaced(order=bid)], stake_bps=stake_bps)
    assert bool(clear(book, NOW).matches) is bool(told.eligible)


@settings(max_examples=200, deadline=None)
@given(market=markets(), bid=demands())
def test_wherever_one_offer_could_be_had_a_change_is_stated(
    market: tuple[list[BookEvent], int], bid: BidOrder
) -> None:
    bid = replace(bid, bid=replace(bid.bid, members=1, flags=0), same_domain=False, same_provider=False)
    events, stake_bps = market
    book = Book(events, stake_bps=stake_bps)
    told, offers = explain(bid, book), book.offers()
    if not told.eligible:
        could = [mended(bid, offers.part([row]), NOW) for row in range(len(offers.orders))]
        assert bool(told.remedies) is any(order is not None for order in could)


def test_the_cheapest_of_several_changes_comes_first() -> None:
    far, dear = offer_order("far", domain="club/oslo"), offer_order("dear", ask=Quantities(cpu=5_100))
    book = Book([OfferListed(order=far), OfferListed(order=dear)])
    told = explain(bid_order(deny=("club/*",)), book)
    assert told.remedy is not None
    assert [(change.demand, change.after, change.cost) for change in told.remedy.changes] == [
        ("price", 5_100_000, 200)
    ]
    assert [change.demand for change in told.remedies[1].changes] == ["deny"]
    assert told.would_match_at == 5_100_000


def test_fewer_devices_are_offered_where_some_are_free() -> None:
    offer = offer_order(capacity=Quantities(cpu=4_000, memory=8_192, disk=20_480, gpu=3_000))
    told = explain(bid_order(want=GPU), Book([OfferListed(order=offer)]))
    assert told.remedy is not None
    assert [(one.demand, one.before, one.after) for one in told.remedy.changes] == [("devices", 4, 3)]
    assert told.remedy.order.bid.want.gpu == 3_000


def test_a_gang_may_start_with_the_members_that_have_a_place() -> None:
    told = explain(bid_order(members=5), Book([OfferListed(order=offer_order())]))
    assert told.remedy is not None
    assert [(one.demand, one.before, one.after) for one in told.remedy.changes] == [("members", 5, 4)]


def test_what_no_change_of_the_buyers_can_mend_is_not_promised() -> None:
    told = explain(bid_order(buyer=an_address("provider")), Book([OfferListed(order=offer_order())]))
    assert told.remedies == ()
    assert told.would_match_at is None
