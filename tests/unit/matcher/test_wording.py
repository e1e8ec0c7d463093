"""Wording: every dimension that can exclude an offer has words, and a change or the word that none is."""

from dataclasses import replace

import pytest

from ledger.market.resource import LANE_NAMES, Quantities
from matcher.book import Book, OfferListed, StakeChanged
from matcher.eligibility import LANE_DIMENSIONS
from matcher.explanation import explain
from matcher.orders import BidOrder
from matcher.question import ask
from matcher.remedy.change import changes_between
from matcher.remedy.demands import DEMANDS
from matcher.remedy.facing import facing
from matcher.remedy.mending import MENDS
from matcher.remedy.sentences import SAYS, sentence
from matcher.wording import DETAILS, line
from tests.factories import HOUR, NOW, an_address, bid_order, offer_order

OFFER = offer_order(
    capacity=Quantities(cpu=4_000, memory=8_192, disk=20_480, gpu=2_000, gpu_memory=80),
    capability=(("bf16", 1_000),),
    latency=(("eu-west", 90),),
)


def demanding() -> BidOrder:
    """A bid that asks about every dimension there is."""
    order = bid_order(
        want=Quantities(**dict.fromkeys(LANE_NAMES, 3_000)),
        provider=an_address("somebody else"),
        buyer=OFFER.offer.provider,
        limit_rate=1,
    )
    return replace(
        order,
        models=frozenset({7}),
        devices=3,
        share=1_000,
        device_memory=1_000,
        profile="1g.10gb",
        providers=frozenset({an_address("somebody else")}),
        exclude=frozenset({OFFER.offer.provider}),
        allow=("club/*",),
        floors=(("bf16", 2_000),),
        weights=(("bf16", 1),),
        min_score=900,
        data_region="eu-west",
        max_latency_ms=10,
        min_reputation=900,
        deadline=NOW + 10,
        start_at=NOW + HOUR,
    )


def asked() -> tuple[str, ...]:
    book = Book([OfferListed(order=OFFER), StakeChanged(provider=an_address("x"), free=0)], stake_bps=10_000)
    return ask(demanding(), book.offers(), NOW).names


def test_the_demanding_bid_is_asked_about_every_dimension_that_has_words() -> None:
    by_placement = {"distinct", "same_domain", "same_provider"}
    assert set(asked()) == DETAILS.keys() - by_placement


def test_every_dimension_has_a_mend() -> None:
    assert MENDS.keys() == DETAILS.keys()
    assert set(LANE_DIMENSIONS.values()) <= MENDS.keys()


@pytest.mark.parametrize("name", sorted(DETAILS))
def test_every_dimension_can_be_told_in_one_line(name: str) -> None:
    question = ask(demanding(), Book([OfferListed(order=OFFER)], stake_bps=10_000).offers(), NOW)
    told = line(name, facing(question, 0))
    assert told.startswith(f"{name}: ")
    assert "\n" not in told


def test_every_demand_has_a_sentence() -> None:
    assert SAYS.keys() == {demand.name for demand in DEMANDS} | {"wait"}


def test_a_changed_bid_is_told_demand_by_demand() -> None:
    before = demanding()
    after = replace(
        bid_order(want=Quantities(cpu=1, gpu=500), limit_rate=9),
        share=500,
        deny=("lab/*",),
        exclude=frozenset({an_address("z")}),
    )
    changes = changes_between(before, after)
    assert {"price", "cpu", "devices", "share", "models", "floors", "latency"} <= {
        one.demand for one in changes
    }
    for change in changes:
        assert sentence(change)
        assert "\n" not in sentence(change)
        assert change.cost >= 0


def test_a_bid_that_fails_on_all_of_it_is_explained() -> None:
    told = explain(demanding(), Book([OfferListed(order=OFFER)], stake_bps=10_000))
    dimensions = told.excluded[0].dimensions
    assert {"models", "profile", "floors", "score", "latency", "deadline", "start_at"} <= set(dimensions)
    assert {one.dimension for one in told.obstacles} == set(dimensions)
    assert told.remedies == ()
