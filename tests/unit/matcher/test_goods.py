"""Every good that fits no word of the contract: what it demands, met to the last unit, and its refused twin.

Each is put to the conditions, which name it, and to a clearing, which honours it.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.capability import REFERENCE, reaches
from ledger.market.domains import Preference
from ledger.market.errors import Rejected
from ledger.market.resource import Quantities
from ledger.market.traits import FEATURES, Traits
from matcher.book import BidPlaced, Book, BookEvent, CapacityTaken, OfferListed
from matcher.clearing import clear
from matcher.eligibility import bonus_in, conditions, plain
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import ask_rates
from tests import strategies as some
from tests.factories import NOW, PROCESSORS, a_bid, a_digest, an_address, bid_order, offer_order

TWO_GPUS: dict[str, Any] = {
    "capacity": Quantities(cpu=4_000, memory=8_192, disk=20_480, gpu=2_000, gpu_memory=160_000),
    "traits": replace(PROCESSORS, vendors=2, gpu_memory_mib=80_000, model=7),
    "capability": (("bf16", 900_000), ("fp64", 30_000)),
    "latency": (("eu-west", 12),),
}
HALF = Quantities(cpu=100, memory=100, disk=100, gpu=500, gpu_memory=40_000)
DEMAND = Traits(vendors=2, regions=a_bid().traits.regions, features=1 << FEATURES["runc"])


def named(offer: OfferOrder, bid: BidOrder, *events: BookEvent) -> set[str]:
    """The dimensions on which the only offer fails; clearing must agree that it serves, or does not."""
    view = Book([OfferListed(order=offer), *events]).offers()
    found = conditions(view, bid, ask_rates(view.ask, bid.bid.want), NOW)
    failing = {name for name, met in found if not (met if isinstance(met, bool) else met[0])}
    cleared = clear(Book([OfferListed(order=offer), *events, BidPlaced(order=bid)]), NOW)
    assert bool(cleared.matches) == (not failing)
    return failing


GOODS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("models", {"models": frozenset({6, 7})}, {"models": frozenset({6, 8})}),
    ("floors", {"floors": (("bf16", 900_000),)}, {"floors": (("bf16", 900_001),)}),
    ("floors", {"floors": (("fp64", 1),)}, {"floors": (("fp8", 1),)}),
    (
        "score",
        {"weights": (("bf16", 1),), "min_score": 909},
        {"weights": (("bf16", 1),), "min_score": 910},
    ),
    (
        "score",
        {"weights": (("bf16", 3), ("fp64", 1)), "min_score": 900},
        {"weights": (("int8", 1),), "min_score": 1},
    ),
    (
        "latency",
        {"data_region": "eu-west", "max_latency_ms": 12},
        {"data_region": "eu-west", "max_latency_ms": 11},
    ),
    (
        "latency",
        {"data_region": "eu-west", "max_latency_ms": 60_000},
        {"data_region": "us-east", "max_latency_ms": 60_000},
    ),
    ("deadline", {"deadline": NOW + 600}, {"deadline": NOW + 599}),
    ("start_at", {"start_at": NOW}, {"start_at": NOW + 1}),
    (
        "providers",
        {"providers": frozenset({an_address("provider"), an_address("else")})},
        {"providers": frozenset({an_address("else")})},
    ),
    (
        "excluded",
        {"exclude": frozenset({an_address("else")})},
        {"exclude": frozenset({an_address("provider")})},
    ),
    ("profile", {"profile": ""}, {"profile": "1g.10gb"}),
    ("domain", {"deny": ("lab/paris",)}, {"deny": ("lab/*",)}),
]


@pytest.mark.parametrize(("name", "met", "unmet"), GOODS)
def test_a_good_is_honoured_to_its_last_unit_and_named_where_it_excludes(
    name: str, met: dict[str, Any], unmet: dict[str, Any]
) -> None:
    offer = offer_order(**TWO_GPUS)
    assert named(offer, bid_order(want=HALF, traits=DEMAND, **met)) == set()
    assert named(offer, bid_order(want=HALF, traits=DEMAND, **unmet)) == {name}


def test_instances_of_a_profile_go_to_bids_that_name_it_and_to_those_that_want_no_device() -> None:
    sliced = offer_order(profile="1g.10gb", **TWO_GPUS)
    whole = Quantities(cpu=100, gpu=1_000)
    assert named(sliced, bid_order(want=whole, traits=DEMAND, profile="1g.10gb")) == set()
    assert named(sliced, bid_order(want=whole, traits=DEMAND, profile="2g.20gb")) == {"profile"}
    assert named(sliced, bid_order(want=whole, traits=DEMAND)) == {"profile"}
    assert named(sliced, bid_order(want=Quantities(cpu=100), traits=DEMAND)) == set()


def test_what_is_left_on_several_devices_is_no_whole_one() -> None:
    offer = offer_order(**TWO_GPUS)
    taken = CapacityTaken(offer=offer.id, want=Quantities(gpu=1_000), devices=(0, 1))
    assert named(offer, bid_order(want=HALF, traits=DEMAND), taken) == set()
    whole = bid_order(want=HALF.with_lanes(gpu=1_000), traits=DEMAND, devices=1)
    assert named(offer, whole, taken) == {"devices"}
    both = bid_order(want=HALF.with_lanes(gpu=1_000), traits=DEMAND, devices=2, share=500)
    assert named(offer, both, taken) == set()


def test_the_memory_of_each_device_is_its_own() -> None:
    offer = offer_order(**TWO_GPUS)
    fits = HALF.with_lanes(gpu=1_000, gpu_memory=160_000)
    assert named(offer, bid_order(want=fits, traits=DEMAND, devices=2, share=500)) == set()
    assert named(offer, bid_order(want=fits, traits=DEMAND, devices=1)) == {"devices"}


def test_trust_is_a_feature_that_a_claim_does_not_have() -> None:
    claimed = offer_order(**TWO_GPUS)
    traits = replace(claimed.offer.traits, features=claimed.offer.traits.features | 0b11 << 40)
    measured = offer_order(**{**TWO_GPUS, "traits": traits})
    bid = bid_order(want=HALF, traits=replace(DEMAND, features=DEMAND.features | 0b11 << 40))
    assert named(measured, bid) == set()
    assert named(claimed, bid) == {"features"}


def test_a_bonus_is_basis_points_of_the_limit_by_the_best_pattern() -> None:
    order = bid_order(
        limit_rate=5_000,
        prefer=(Preference(pattern="lab/*", bonus=1_000), Preference(pattern="lab/berlin", bonus=2_500)),
    )
    assert bonus_in(order, "lab/berlin") == 1_250
    assert bonus_in(order, "lab/paris") == 500
    assert bonus_in(order, "club/paris") == 0
    named = (("a", "lab/paris"), ("b", "club/paris"))
    offers = [offer_order(name, domain, ask=Quantities(cpu=1)) for name, domain in named]
    places = Book([OfferListed(order=offer) for offer in offers]).cheapest(order, NOW, 2)
    assert {place.offer: place.bonus for place in places} == {offers[0].id: 500, offers[1].id: 0}


def test_only_goods_that_the_index_does_not_compare_make_an_order_more_than_plain() -> None:
    assert plain(bid_order(want=HALF, traits=DEMAND, models=frozenset({7}), deadline=NOW + 600))
    for more in ({"floors": (("fp8", 1),)}, {"start_at": NOW}, {"data_region": "local", "max_latency_ms": 1}):
        assert not plain(bid_order(**more))


figures = st.dictionaries(st.sampled_from(sorted(REFERENCE)), st.integers(0, 1 << 21), max_size=4)


@given(
    measured=st.lists(figures, min_size=1, max_size=6),
    weights=st.dictionaries(st.sampled_from(sorted(REFERENCE)), st.integers(1, 9), min_size=1, max_size=3),
    least=st.integers(1, 2_000),
)
def test_the_score_of_many_offers_is_that_of_each(
    measured: list[dict[str, int]], weights: dict[str, int], least: int
) -> None:
    offers = [
        offer_order(str(number), capability=tuple(sorted(found.items())))
        for number, found in enumerate(measured)
    ]
    bid = bid_order(weights=tuple(sorted(weights.items())), min_score=least)
    view = Book([OfferListed(order=offer) for offer in offers]).offers()
    (met,) = [
        found
        for name, found in conditions(view, bid, ask_rates(view.ask, bid.bid.want), NOW)
        if name == "score"
    ]
    assert not isinstance(met, bool)
    for order, found in zip(view.orders, met.tolist(), strict=True):
        assert found == reaches(order.capability, bid.weights, least)


def test_a_demand_cannot_be_built_malformed() -> None:
    wrongs: list[dict[str, Any]] = [
        {"floors": (("fp12", 1),)},
        {"floors": (("fp64", 1), ("fp32", 1))},
        {"weights": (("fp64", 0),), "min_score": 1},
        {"weights": (("fp64", 1),)},
        {"min_score": 1},
        {"profile": "small"},
        {"data_region": "eu-west"},
        {"data_region": "mars", "max_latency_ms": 1},
        {"models": frozenset({-1})},
        {"providers": frozenset({b"short"})},
        {"deadline": -1},
        {"notice": -1},
        {"devices": 2},
        {"want": HALF, "devices": 2, "share": 1_000},
        {"want": HALF, "devices": 1, "share": 500, "device_memory": 1},
        {"same_provider": True, "members": 2, "flags": 1},
    ]
    for wrong in wrongs:
        with pytest.raises(Rejected):
            bid_order(**wrong)
    for claim in ({"device_count": 3}, {"capability": (("fp12", 1),)}, {"latency": (("mars", 1),)}):
        with pytest.raises(Rejected):
            offer_order(**claim)


@given(bid=some.bids)
def test_devices_follow_from_the_words_where_nothing_is_said(bid: Any) -> None:
    identity = a_digest("bid")
    order = BidOrder(id=identity, job=identity, bid=bid, sequence=1, arrived_at=NOW)  # type: ignore[arg-type]
    assert order.devices * 1_000 >= bid.want.gpu > (order.devices - 1) * 1_000
    assert bid.want.gpu <= order.devices * order.share < bid.want.gpu + max(1, order.devices)
    assert replace(order, sequence=2).devices == order.devices
