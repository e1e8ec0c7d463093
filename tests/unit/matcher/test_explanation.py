"""Explanation: what is told is what a clearing does."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.moments import moment
from ledger.market.money import escrow_for
from ledger.market.resource import Quantities
from ledger.market.traits import FEATURES, REGIONS
from matcher.book import BidPlaced, Book, CapacityFreed, CapacityTaken, OfferListed, StakeChanged
from matcher.clearing import clear
from matcher.explanation import (
    NAMED,
    SHOWN,
    Exclusion,
    Explanation,
    Quote,
    eligible_offers,
    explain,
)
from matcher.orders import BidOrder, OfferOrder
from matcher.remedy.waiting import Ending
from tests import strategies as some
from tests.factories import NOW, a_bid, an_address, bid_order, offer_order
from tests.fakes.waiting_market import ask_rate

offer_lists = st.lists(some.offer_orders, max_size=5, unique_by=lambda order: order.id)
gang_orders = st.builds(
    lambda order, members, flags: replace(order, bid=replace(order.bid, members=members, flags=flags)),
    some.bid_orders,
    st.integers(1, 4),
    st.sampled_from([0, DISTINCT, REPLICAS | 2 << AGREE_SHIFT, REPLICAS | 3 << AGREE_SHIFT]),
)
DEMAND = a_bid().traits
WANT = a_bid().want


def listed(*orders: OfferOrder) -> Book:
    return Book(OfferListed(order=order) for order in orders)


def test_quotes_come_cheapest_first_with_what_would_be_locked() -> None:
    cheap, dear = offer_order("cheap", ask=Quantities(cpu=900)), offer_order("dear")
    told = explain(bid_order(), listed(dear, cheap))
    assert told.eligible == (
        Quote(offer=cheap.id, rate=900_000, escrow=escrow_for(900_000, 600)),
        Quote(offer=dear.id, rate=1_102_400, escrow=escrow_for(1_102_400, 600)),
    )
    assert told.excluded == ()
    assert told.would_match_at is None


def test_an_empty_market_has_nothing_to_tell() -> None:
    told = explain(bid_order(), Book())
    assert told == Explanation(eligible=(), excluded=(), would_match_at=None)


def test_the_price_at_which_it_would_match_is_that_of_an_offer_failing_on_price_alone() -> None:
    near, far = offer_order("near"), offer_order("far", ask=Quantities(cpu=9_000))
    cheaper_but_elsewhere = offer_order("elsewhere", ask=Quantities(cpu=500), domain="club/oslo")
    told = explain(bid_order(limit_rate=10, deny=("club/*",)), listed(far, near, cheaper_but_elsewhere))
    assert told.eligible == ()
    assert told.would_match_at == 1_102_400
    assert [one.offer for one in told.excluded] == [near.id, far.id, cheaper_but_elsewhere.id]
    assert told.excluded[2].dimensions == ("domain", "price")


def test_without_an_offer_failing_on_price_alone_no_price_would_do() -> None:
    told = explain(bid_order(limit_rate=10, deny=("lab/*",)), listed(offer_order()))
    assert told.would_match_at is None


LINES = [
    ({"want": Quantities(memory=9_000)}, "memory: wants 9000 MiB, 7680 free"),
    ({"want": Quantities(cpu=5_000)}, "cpu: wants 5000 milli-cores, 4000 free"),
    ({"want": Quantities(gpu_memory=1)}, "gpu_memory_total: wants 1 MiB, 0 free"),
    ({"traits": replace(DEMAND, vendors=0b110)}, "vendor: wants one of nvidia, amd, is cpu"),
    ({"traits": replace(DEMAND, regions=1 << REGIONS["us-east"])},
     "region: wants one of us-east, is in eu-west"),
    ({"traits": replace(DEMAND, regions=1 << 40)}, "region: wants one of bit 40, is in eu-west"),
    ({"traits": replace(DEMAND, regions=0)}, "region: wants one of none, is in eu-west"),
    ({"traits": replace(DEMAND, features=0b11 | 1 << FEATURES["grade-a"])},
     "features: lacks gvisor, grade-a"),
    ({"traits": replace(DEMAND, gpu_memory_mib=16)},
     "gpu_memory: wants at least 16 MiB on one GPU, has 0 MiB on one GPU"),
    ({"traits": replace(DEMAND, capability=3)}, "capability: wants at least 3, has 0"),
    ({"traits": replace(DEMAND, model=0xAB)}, "model: wants model tag 0x000000ab, has 0x00000000"),
    ({"duration": 30_000}, "duration: wants 30000 s, lends 1 to 28800 s"),
    ({"valid_until": NOW - 1}, f"validity: the bid was valid until {moment(NOW - 1)}, it is {moment(NOW)}"),
    ({"start_by": NOW - 1}, f"validity: the bid had to start by {moment(NOW - 1)}, it is {moment(NOW)}"),
    ({"deny": ("lab/*",)}, "domain: lab/berlin is denied"),
    ({"allow": ("club/*",)}, "domain: lab/berlin is not among the allowed"),
    ({"provider": an_address("x")}, f"provider: the bid names 0x{an_address('x').hex()} alone"),
    ({"exclude": frozenset({an_address("provider")})},
     f"excluded: 0x{an_address('provider').hex()} is excluded for this job"),
    ({"buyer": an_address("provider")}, "self_trade: buyer and provider are one account"),
    ({"limit_rate": 1}, "price: asks 1102400, the limit is 1 (milli-base-units per hour)"),
    ({"members": 0}, "members: wants 0 members, an order has 1 to 32"),
    ({"members": 5}, "members: wants 5 members together, 4 would find a place"),
    ({"members": 2, "flags": DISTINCT},
     "distinct: wants 2 members at distinct providers, 1 would find a place"),
    ({"members": 2, "flags": REPLICAS | 2 << AGREE_SHIFT},
     "distinct: wants 2 members at distinct providers and domains, 1 would find a place"),
    ({"flags": 2}, "terms: its flags 2 are unknown, or not for 1 members"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "line"), LINES, ids=[line.split(":")[0] for _, line in LINES])
def test_each_dimension_says_what_fails_in_figures(changes: dict[str, Any], line: str) -> None:
    order = offer_order()
    book = listed(order)
    book.apply(CapacityTaken(offer=order.id, want=Quantities(memory=512)))
    told = explain(bid_order(**changes), book)
    name = line.split(":")[0]
    (excluded,) = told.excluded
    assert excluded == Exclusion(offer=order.id, rate=excluded.rate, dimensions=(name,), detail=(line,))


def test_a_reputation_below_the_floor_is_told_in_figures() -> None:
    told = explain(replace(bid_order(), min_reputation=700), listed(replace(offer_order(), reputation=650)))
    assert told.excluded[0].detail == ("reputation: wants at least 700 per mille, has 650 per mille",)


def staked(free: int, stake_bps: int = 1_000) -> Book:
    offer = offer_order()
    stake = StakeChanged(provider=offer.offer.provider, free=free)
    return Book([OfferListed(order=offer), stake], stake_bps=stake_bps)


def test_a_stake_that_does_not_cover_the_lock_is_told_with_the_time_that_it_covers() -> None:
    assert explain(bid_order(), staked(17)).excluded[0].detail == (
        "stake: a lease locks 18 base units, its provider has 17 free: 584 s would be covered",
    )
    assert explain(bid_order(duration=584), staked(17)).excluded == ()
    assert explain(bid_order(duration=585), staked(17)).eligible == ()


def test_without_stake_hardly_any_time_is_covered() -> None:
    dear = explain(bid_order(limit_rate=1 << 60, want=WANT.with_lanes(cpu=4_000)), staked(0))
    assert dear.excluded[0].detail[0].endswith(": 7 s would be covered")
    whole = explain(bid_order(), staked(0, stake_bps=10_000))
    assert whole.excluded[0].detail[0].endswith(": no second would be covered")


def test_a_gang_with_a_place_for_all_is_quoted_what_one_member_costs() -> None:
    told = explain(bid_order(members=4), listed(offer_order()))
    assert told.eligible == (
        Quote(offer=offer_order().id, rate=1_102_400, escrow=escrow_for(1_102_400, 600)),
    )
    assert told.excluded == ()


def test_a_gang_would_match_at_the_price_of_its_dearest_member() -> None:
    near = offer_order("near", capacity=WANT)
    far = offer_order("far", ask=Quantities(cpu=5_500))
    told = explain(bid_order(members=2, limit_rate=2_000_000), listed(near, far))
    assert told.eligible == ()
    assert [one.dimensions for one in told.excluded] == [("members",), ("price",)]
    assert told.would_match_at == 5_500_000
    assert explain(bid_order(members=6, limit_rate=2_000_000), listed(near, far)).would_match_at is None


def test_a_gang_in_one_domain_would_match_at_the_price_of_the_cheapest_domain() -> None:
    asks = (
        ("ada", 2_000, "lab/a"),
        ("bob", 9_000, "lab/a"),
        ("cai", 5_500, "lab/b"),
        ("dan", 5_500, "lab/b"),
    )
    offers = [
        offer_order(name, capacity=WANT, ask=Quantities(cpu=ask), domain=domain) for name, ask, domain in asks
    ]
    gang = replace(bid_order(members=2, limit_rate=1_000_000), same_domain=True)
    assert explain(gang, listed(*offers)).would_match_at == 5_500_000
    assert explain(gang, listed(*offers[:2])).would_match_at == 9_000_000
    assert explain(gang, listed(*offers[::2])).would_match_at is None


def test_an_offer_that_ends_too_early_says_when() -> None:
    told = explain(bid_order(), listed(offer_order(valid_until=NOW + 60)))
    ends, until = moment(NOW + 600), moment(NOW + 60)
    line = f"validity: the lease could last until {ends}, the offer ends at {until}"
    assert told.excluded[0].detail == (line,)


@settings(deadline=None)
@given(offers=offer_lists, bid=gang_orders)
def test_a_bid_alone_gets_what_was_quoted_or_nothing(offers: list[OfferOrder], bid: BidOrder) -> None:
    book = listed(*offers)
    told = explain(bid, book)
    book.apply(BidPlaced(order=bid))
    members = [member for match in clear(book, NOW).matches for member in match.members]
    quoted = {(quote.offer, quote.rate) for quote in told.eligible}
    assert bool(members) is bool(quoted)
    assert {(member.offer, member.rate) for member in members} <= quoted
    if members and not bid.replicated:
        assert (members[0].offer, members[0].rate) == (told.eligible[0].offer, told.eligible[0].rate)
    told_of = {one.offer for one in told.eligible} | {one.offer for one in told.excluded}
    assert told_of == {order.id for order in offers}


@settings(deadline=None)
@given(offers=offer_lists, bid=gang_orders)
def test_the_stated_price_is_enough_and_a_unit_less_is_not(offers: list[OfferOrder], bid: BidOrder) -> None:
    book = listed(*offers)
    told = explain(bid, book)
    if told.eligible or told.would_match_at is None:
        assert not told.eligible or told.would_match_at is None
        return
    for limit, enough in ((told.would_match_at, True), (told.would_match_at - 1, False)):
        raised = replace(bid, bid=replace(bid.bid, limit_rate=limit))
        assert bool(explain(raised, book).eligible) is enough
    assert explain(bid, book) == told


@settings(deadline=None)
@given(offers=offer_lists, bid=gang_orders)
def test_without_a_stated_price_no_price_would_do(offers: list[OfferOrder], bid: BidOrder) -> None:
    book = listed(*offers)
    told = explain(bid, book)
    if told.eligible or told.would_match_at is not None:
        return
    for rate in {ask_rate(offer, bid) for offer in offers}:
        raised = replace(bid, bid=replace(bid.bid, limit_rate=max(rate, bid.bid.limit_rate)))
        assert explain(raised, book).eligible == ()


def test_of_many_offers_the_nearest_are_listed_and_all_are_counted() -> None:
    book = listed(
        *(offer_order(str(number), ask=Quantities(cpu=6_000 + number)) for number in range(SHOWN + 9))
    )
    told = explain(bid_order(), book)
    assert (len(told.excluded), told.excluded_count) == (SHOWN, SHOWN + 9)
    (obstacle,) = told.obstacles
    assert (obstacle.dimension, obstacle.excluded, obstacle.alone) == ("price", SHOWN + 9, SHOWN + 9)
    assert obstacle.named == tuple(offer_order(str(number)).id for number in range(NAMED))
    served = explain(bid_order(limit_rate=1 << 40), book)
    assert (len(served.eligible), served.eligible_count, served.obstacles) == (SHOWN, SHOWN + 9, ())
    assert len(eligible_offers(bid_order(limit_rate=1 << 40), book)) == SHOWN + 9


def test_what_fails_on_several_dimensions_is_counted_under_each() -> None:
    far = offer_order("far", domain="club/oslo", ask=Quantities(cpu=9_000))
    told = explain(bid_order(allow=("lab/*",)), listed(far, offer_order("dear", ask=Quantities(cpu=9_000))))
    assert [(one.dimension, one.excluded, one.alone) for one in told.obstacles] == [
        ("price", 2, 1),
        ("domain", 1, 0),
    ]


def test_where_leases_are_known_to_end_waiting_is_a_change() -> None:
    offer = offer_order(capacity=WANT)
    book = listed(offer)
    book.apply(CapacityTaken(offer=offer.id, want=WANT))
    ending = Ending(offer=offer.id, provider=offer.offer.provider, at=NOW + 60, want=WANT)
    told = explain(bid_order(), book, [replace(ending, at=NOW + 90), ending])
    assert told.remedy is not None
    assert [(one.demand, one.after, one.cost) for one in told.remedy.changes] == [("wait", NOW + 60, 1_000)]
    book.apply(CapacityFreed(offer=offer.id, want=WANT))
    book.apply(BidPlaced(order=told.remedy.order))
    assert clear(book, told.remedy.at).matches
    assert explain(bid_order(limit_rate=1), listed(offer), [ending]).would_match_at == 1_102_400


def test_no_lease_that_ends_helps_a_bid_that_wants_more_than_there_is() -> None:
    offer = offer_order(capacity=WANT)
    book = listed(offer)
    book.apply(CapacityTaken(offer=offer.id, want=WANT))
    ending = Ending(offer=offer.id, provider=offer.offer.provider, at=NOW + 60, want=WANT)
    told = explain(bid_order(want=WANT.with_lanes(cpu=9_000)), book, [ending])
    assert told.remedies == ()
