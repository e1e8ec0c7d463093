"""Every demand of a job and every figure of an offer reaches the matcher."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ledger.chain.typed_data import model_tag
from ledger.market.bid import MAX_MEMBERS
from ledger.market.demand import demanded, wanted
from ledger.market.domains import Preference
from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, OfferId
from ledger.market.job import Accelerators, DataPlace, Gang, Job, Providers, Times
from ledger.market.keeping import Place, unkept
from ledger.market.offer_document import OfferDocument, OfferedDevices
from ledger.market.resource import LANE_LIMIT, Quantities
from matcher.book import Book, OfferListed
from matcher.eligibility import conditions
from matcher.orders import BidOrder
from matcher.pricing import ask_rates
from node.trading.bid_orders import Queued, bid_order, offer_order
from tests import strategies as some
from tests.factories import NOW, a_bid, a_digest, a_job, an_address, an_offer

NAME, FIRST = BidId(a_digest("bid")), BidId(a_digest("first"))
QUEUED = Queued(
    job=FIRST, sequence=3, arrived_at=NOW, exclude=frozenset({an_address("slow")}), seed=a_digest("seed")
)


def told(job: Job) -> BidOrder:
    bid = a_bid(
        want=wanted(job),
        traits=demanded(job, 0),
        members=job.gang.members if job.gang else 1,
        flags=job.gang.flags if job.gang else 0,
    )
    return bid_order(NAME, bid, job, QUEUED)


PLAIN = told(a_job())
GOODS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"allow": ("lab/*",), "deny": ("lab/paris",)}, {"allow": ("lab/*",), "deny": ("lab/paris",)}),
    ({"min_reputation": 700}, {"min_reputation": 700}),
    (
        {"prefer": (Preference(pattern="lab/*", bonus=9),)},
        {"prefer": (Preference(pattern="lab/*", bonus=9),)},
    ),
    (
        {"providers": Providers(allow=(an_address("ada"),), deny=(an_address("bob"),))},
        {
            "providers": frozenset({an_address("ada")}),
            "exclude": frozenset({an_address("bob"), an_address("slow")}),
        },
    ),
    (
        {"data": DataPlace(region="eu-west", max_latency=9)},
        {"data_region": "eu-west", "max_latency_ms": 9},
    ),
    (
        {"times": Times(start_at=NOW + 5, start_by=NOW + 50, deadline=NOW + 5_000)},
        {"start_at": NOW + 5, "deadline": NOW + 5_000},
    ),
    ({"notice": 60}, {"notice": 60}),
    ({"gang": Gang(members=2, same="domain")}, {"same_domain": True}),
    ({"gang": Gang(members=2, same="provider")}, {"same_provider": True}),
]
DEVICES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"count": 2, "share": 500, "memory": 10}, {"devices": 2, "share": 500, "device_memory": 10}),
    ({"models": ("a", "b")}, {"models": frozenset({model_tag("a"), model_tag("b")})}),
    ({"profile": "1g.10gb"}, {"profile": "1g.10gb"}),
    ({"floors": (("bf16", 5),)}, {"floors": (("bf16", 5),)}),
    ({"weights": (("bf16", 5),), "min_score": 7}, {"weights": (("bf16", 5),), "min_score": 7}),
]


@pytest.mark.parametrize(("demand", "expected"), GOODS)
def test_a_demand_of_the_job_is_told_to_the_matcher(demand: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(PLAIN, told(a_job(**demand))) == expected


@pytest.mark.parametrize(("demand", "expected"), DEVICES)
def test_a_demand_of_its_devices_is_told_to_the_matcher(
    demand: dict[str, Any], expected: dict[str, Any]
) -> None:
    any_device = told(a_job(accelerators=Accelerators()))
    assert any_device.devices == 1
    assert changed(any_device, told(a_job(accelerators=Accelerators(**demand)))) == expected


def changed(before: BidOrder, after: BidOrder) -> dict[str, Any]:
    """The fields that differ, but for the bid's own words."""
    names = [field.name for field in fields(BidOrder) if field.name != "bid"]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


def test_the_queue_gives_an_order_its_name_place_and_group() -> None:
    assert (PLAIN.id, PLAIN.job, PLAIN.group, PLAIN.sequence, PLAIN.arrived_at) == (
        NAME,
        FIRST,
        FIRST,
        3,
        NOW,
    )
    assert (PLAIN.exclude, PLAIN.seed) == (QUEUED.exclude, QUEUED.seed)


CODES = {
    "domain": "domain-excluded",
    "providers": "provider-excluded",
    "excluded": "provider-excluded",
    "latency": "too-far",
    "deadline": "past-deadline",
    "start_at": "before-start",
    "models": "model-excluded",
    "profile": "other-profile",
    "floors": "below-floor",
    "score": "below-score",
}
"""what the agent says of a dimension that no word of the bid holds"""


@given(job=some.jobs, document=some.offer_documents)
def test_the_matcher_excludes_just_what_the_agent_and_the_buyers_pen_would_refuse(
    job: Job, document: OfferDocument
) -> None:
    try:
        order = replace(told(job), exclude=frozenset(job.providers.deny))
    except Rejected:
        return
    lent = document.accelerators
    model = model_tag(lent.model) if lent else 0
    offer = an_offer(provider=Address(b"\x01" * 20), traits=replace(an_offer().traits, model=model))
    view = Book([OfferListed(order=offer_order(OfferId(a_digest("o")), offer, document, 0))]).offers()
    found = conditions(view, order, ask_rates(view.ask, order.bid.want), NOW)
    excluding = {CODES[name] for name, met in found if name in CODES and not np.all(met)}
    place = Place(provider=offer.provider, document=document, start=NOW, end=NOW + order.bid.duration)
    refused = {code for code, _ in unkept(replace(job, max_seconds=order.bid.duration), place)}
    assert excluding == refused - {"after-start-by"}


@given(job=some.jobs)
def test_any_job_that_can_be_signed_can_be_told(job: Job) -> None:
    try:
        words = wanted(job)
    except Rejected:
        return
    order = told(job)
    assert order.devices * order.share == words.gpu < LANE_LIMIT
    assert 1 <= order.members <= MAX_MEMBERS


def test_the_figures_of_an_offer_are_told_to_the_matcher() -> None:
    lent = OfferedDevices(
        vendor="nvidia",
        model="a",
        count=7,
        memory=9_728,
        profile="1g.10gb",
        capability=(("bf16", 5),),
    )
    document = OfferDocument(
        name="o", domain="lab/berlin", region="local", accelerators=lent, latency=(("eu-west", 9),)
    )
    offer = an_offer(capacity=Quantities(cpu=1, gpu=7_000, gpu_memory=7 * 9_728))
    order = offer_order(OfferId(a_digest("offer")), offer, document, 500)
    assert (order.domain, order.reputation, order.profile) == ("lab/berlin", 500, "1g.10gb")
    assert (order.capability, order.latency) == (lent.capability, document.latency)
    assert (order.device_count, order.device_memory) == (7, 9_728)
    bare = offer_order(order.id, offer, replace(document, accelerators=None, latency=()), 0)
    assert (bare.profile, bare.capability, bare.latency) == ("", (), ())
