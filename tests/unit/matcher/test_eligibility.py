"""Each dimension with its refused twin, and the contract's model as the judge of all of them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.identity import NOBODY, LeaseId
from ledger.market.lease import LeaseTerms
from ledger.market.model import Fill, MarketModel
from ledger.market.money import escrow_for
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from ledger.market.traits import Traits
from matcher.book import Book, OfferListed, StakeChanged
from matcher.eligibility import conditions, eligible, faulty_terms
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import ask_rates
from tests import strategies as some
from tests.factories import NOW, PROCESSORS, a_bid, a_digest, an_address, bid_order, offer_order
from tests.fakes.waiting_market import ask_rate

WANT = a_bid().want
DEMAND = a_bid().traits
GPU = replace(PROCESSORS, vendors=2, gpu_memory_mib=24_000, capability=80, model=7)


def failing(offer: OfferOrder, bid: BidOrder, at: int = NOW, stake: int = 0, stake_bps: int = 0) -> set[str]:
    provided = StakeChanged(provider=offer.offer.provider, free=stake)
    view = Book([OfferListed(order=offer), provided], stake_bps=stake_bps).offers()
    found = conditions(view, bid, ask_rates(view.ask, bid.bid.want), at)
    return {name for name, met in found if not (met if isinstance(met, bool) else met[0])}


LANES = [
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("disk", "disk"),
    ("gpu_memory", "gpu_memory_total"),
    ("network", "network"),
]


@pytest.mark.parametrize(("lane", "dimension"), LANES)
def test_a_lane_is_met_to_its_last_unit_and_not_beyond(lane: str, dimension: str) -> None:
    offer = offer_order(capacity=Quantities(**{lane: 500}), ask=Quantities())
    assert failing(offer, bid_order(want=Quantities(**{lane: 500}))) == set()
    assert failing(offer, bid_order(want=Quantities(**{lane: 501}))) == {dimension}


def test_the_gpu_lane_is_met_to_its_last_unit_and_on_a_device() -> None:
    offer = offer_order(capacity=Quantities(gpu=500), ask=Quantities())
    assert failing(offer, bid_order(want=Quantities(gpu=500))) == set()
    assert failing(offer, bid_order(want=Quantities(gpu=501))) == {"gpu", "devices"}


TRAITS = [
    ("vendor", {"vendors": 0b110}, {"vendors": 0b101}),
    ("region", {"regions": 0b1001}, {"regions": 0b1000}),
    ("features", {"features": 0b1}, {"features": 0b11}),
    ("gpu_memory", {"gpu_memory_mib": 24_000}, {"gpu_memory_mib": 24_001}),
    ("capability", {"capability": 80}, {"capability": 81}),
    ("model", {"model": 7}, {"model": 8}),
    ("model", {"model": 0}, {"model": 6}),
]


@pytest.mark.parametrize(("dimension", "met", "unmet"), TRAITS)
def test_a_trait_is_met_or_names_itself(dimension: str, met: dict[str, int], unmet: dict[str, int]) -> None:
    offer = offer_order(traits=GPU)
    assert failing(offer, bid_order(traits=replace(DEMAND, **met))) == set()
    assert failing(offer, bid_order(traits=replace(DEMAND, **unmet))) == {dimension}


def test_a_duration_at_either_end_of_what_is_lent_is_served_and_one_outside_is_not() -> None:
    offer = offer_order(min_seconds=60, max_seconds=600)
    assert failing(offer, bid_order(duration=60)) == set()
    assert failing(offer, bid_order(duration=600)) == set()
    assert failing(offer, bid_order(duration=59)) == {"duration"}
    assert failing(offer, bid_order(duration=601)) == {"duration"}


def test_an_offer_must_last_until_the_end_of_the_lease() -> None:
    assert failing(offer_order(valid_until=NOW + 600), bid_order()) == set()
    assert failing(offer_order(valid_until=NOW + 599), bid_order()) == {"validity"}


@pytest.mark.parametrize("field", ["valid_until", "start_by"])
def test_a_bid_is_good_in_its_last_second_and_not_after_it(field: str) -> None:
    last: dict[str, Any] = {field: NOW}
    assert failing(offer_order(), bid_order(**last)) == set()
    assert failing(offer_order(), bid_order(**last), at=NOW + 1) == {"validity"}


def test_domains_are_allowed_by_pattern_and_a_denial_wins() -> None:
    offer = offer_order(domain="lab/berlin")
    assert failing(offer, bid_order(allow=("lab/*",))) == set()
    assert failing(offer, bid_order(allow=("club/*",))) == {"domain"}
    assert failing(offer, bid_order(deny=("lab/paris",))) == set()
    assert failing(offer, bid_order(allow=("lab/*",), deny=("lab/berlin",))) == {"domain"}


def test_a_bid_may_name_the_one_provider_it_wants() -> None:
    assert failing(offer_order(), bid_order(provider=an_address("provider"))) == set()
    assert failing(offer_order(), bid_order(provider=an_address("other"))) == {"provider"}


def test_an_excluded_provider_is_not_given_the_job_again() -> None:
    assert failing(offer_order(), bid_order(exclude=frozenset({an_address("other")}))) == set()
    assert failing(offer_order(), bid_order(exclude=frozenset({an_address("provider")}))) == {"excluded"}


def test_nobody_buys_from_itself() -> None:
    assert failing(offer_order(provider=an_address("ada")), bid_order()) == set()
    assert failing(offer_order(provider=an_address("buyer")), bid_order()) == {"self_trade"}


def test_the_limit_may_be_the_ask_and_nothing_below() -> None:
    rate = ask_rate(offer_order(), bid_order())
    assert rate == 1_102_400
    assert failing(offer_order(), bid_order(limit_rate=rate)) == set()
    assert failing(offer_order(), bid_order(limit_rate=rate - 1)) == {"price"}


def test_an_order_has_one_to_thirty_two_members() -> None:
    assert failing(offer_order(), bid_order(members=1)) == set()
    assert failing(offer_order(), bid_order(members=32)) == set()
    assert failing(offer_order(), bid_order(members=0)) == {"members"}
    assert failing(offer_order(), bid_order(members=33)) == {"members"}


TWO_OF_THREE = REPLICAS | 2 << AGREE_SHIFT


@pytest.mark.parametrize(
    ("members", "flags"), [(2, DISTINCT), (32, DISTINCT), (3, TWO_OF_THREE), (2, TWO_OF_THREE), (4, 0)]
)
def test_flags_that_suit_the_members_are_good_terms(members: int, flags: int) -> None:
    assert faulty_terms(a_bid(members=members, flags=flags)) == ()


@pytest.mark.parametrize(
    ("members", "flags"),
    [
        (1, DISTINCT),
        (1, REPLICAS | 1 << AGREE_SHIFT),
        (2, 4),
        (2, 1 << AGREE_SHIFT),
        (2, REPLICAS),
        (4, TWO_OF_THREE),
        (1, TWO_OF_THREE),
        (16, REPLICAS | 9 << AGREE_SHIFT),
        (3, TWO_OF_THREE | 8),
    ],
)
def test_flags_that_the_contract_refuses_are_faulty_terms(members: int, flags: int) -> None:
    assert faulty_terms(a_bid(members=members, flags=flags))


def test_a_reputation_at_the_floor_is_served_and_one_below_it_is_not() -> None:
    floor = replace(bid_order(), min_reputation=500)
    assert failing(replace(offer_order(), reputation=500), floor) == set()
    assert failing(replace(offer_order(), reputation=499), floor) == {"reputation"}
    assert failing(offer_order(), bid_order()) == set()


def test_a_stake_that_covers_the_lock_to_the_last_unit_is_enough_and_a_unit_less_is_not() -> None:
    escrow = escrow_for(ask_rate(offer_order(), bid_order()), 600)
    lock = replace(EMBEDDED, stake_bps=2_500).lock_for(escrow)
    assert lock == 46
    assert failing(offer_order(), bid_order(), stake=lock, stake_bps=2_500) == set()
    assert failing(offer_order(), bid_order(), stake=lock - 1, stake_bps=2_500) == {"stake"}
    assert failing(offer_order(), bid_order(), stake=0, stake_bps=0) == set()


@given(
    ask=st.integers(0, (1 << 31) - 1),
    cpu=st.integers(1, (1 << 31) - 1),
    memory=st.integers(0, (1 << 31) - 1),
    duration=st.integers(1, (1 << 32) - 1),
    stake_bps=st.integers(1, 10_000),
    near=st.integers(-1, 1),
)
def test_stake_is_compared_as_the_contract_does_at_any_size(
    ask: int, cpu: int, memory: int, duration: int, stake_bps: int, near: int
) -> None:
    lanes = (1 << 31) - 1
    offer = offer_order(
        capacity=Quantities(cpu=lanes, memory=lanes), ask=Quantities(cpu=ask, memory=lanes - ask)
    )
    bid = bid_order(want=Quantities(cpu=cpu, memory=memory), duration=duration)
    lock = replace(EMBEDDED, stake_bps=stake_bps).lock_for(escrow_for(ask_rate(offer, bid), duration))
    stake = max(0, lock + near)
    assert ("stake" in failing(offer, bid, stake=stake, stake_bps=stake_bps)) is (stake < lock)


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": 1},
        {"members": 2, "flags": 8},
        {"continues": a_digest("lease")},
        {"signer": NOBODY},
        {"duration": 0},
        {"want": Quantities()},
        {"want": WANT.with_lanes(reserved=1)},
    ],
)
def test_terms_that_the_contract_skips_fit_no_offer(changes: dict[str, Any]) -> None:
    assert faulty_terms(a_bid()) == ()
    assert faulty_terms(a_bid(**changes))
    assert "terms" in failing(offer_order(), bid_order(**changes))


def test_a_rate_beyond_64_bits_is_compared_exactly() -> None:
    most = (1 << 31) - 1
    full = Quantities(cpu=most, memory=most, disk=most, gpu_memory=most, network=most)
    offer = offer_order(capacity=full, ask=full)
    assert ask_rate(offer, bid_order(want=full)) == 5 * most * most > 1 << 64
    assert failing(offer, bid_order(want=full, limit_rate=5 * most * most)) == set()
    assert failing(offer, bid_order(want=full, limit_rate=5 * most * most - 1)) == {"price"}


def lease_id(terms: LeaseTerms) -> LeaseId:
    return LeaseId(a_digest(repr(terms)))


@given(offer=some.offer_orders, bid=some.bid_orders)
def test_eligibility_is_the_contracts_own_word(offer: OfferOrder, bid: BidOrder) -> None:
    open_to_all = replace(
        bid, allow=(), deny=(), exclude=frozenset(), bid=replace(bid.bid, members=1, flags=0)
    )
    view = Book([OfferListed(order=offer)]).offers()
    fits = bool(eligible(view, open_to_all, ask_rates(view.ask, bid.bid.want), NOW)[0])
    assert fits == (verdict(offer, open_to_all) is SkipReason.NONE)


@given(claim=some.traits, demand=some.traits)
def test_traits_are_compared_as_the_kernel_does(claim: Traits, demand: Traits) -> None:
    one, other = offer_order(traits=claim), bid_order(traits=demand)
    names = {"vendor", "region", "features", "gpu_memory", "capability", "model"}
    assert failing(one, other) & names == set(demand.unmet_by(claim))


def verdict(offer: OfferOrder, bid: BidOrder) -> SkipReason:
    """What the contract's model says of this pair, with funds and signatures in order."""
    model = MarketModel(policy=replace(EMBEDDED, stake_bps=0), lease_id=lease_id)
    registered_at = min(NOW, offer.offer.valid_until - 1)
    model.register_offer(offer.offer.provider, offer.id, offer.offer, registered_at)
    model.deposit(bid.bid.buyer, 1 << 80)
    fill = Fill(
        offer_id=offer.id,
        offer=offer.offer,
        bid_id=bid.id,
        bid=bid.bid,
        rate=ask_rate(offer, bid),
        authentic=True,
    )
    return model.check_fill(an_address("node"), fill, NOW)


def test_the_model_is_asked_about_real_matches_too() -> None:
    assert verdict(offer_order(), bid_order()) is SkipReason.NONE
    assert verdict(offer_order(), bid_order(continues=a_digest("lease"))) is SkipReason.CONTINUES
