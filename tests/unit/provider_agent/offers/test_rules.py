from dataclasses import replace
from typing import Any

import pytest

from ledger.market.demand import demanded, wanted
from ledger.market.domains import Preference
from ledger.market.identity import BidId, LeaseId
from ledger.market.job import Accelerators, DataPlace, Providers, Times
from ledger.market.offer_document import OfferDocument, OfferedDevices
from ledger.market.resource import Quantities
from provider_agent.offers.rules import Candidate, House, OwnersRules, judge
from tests.factories import NOW, a_bid, a_digest, a_job, an_address, some_terms

OPEN = OwnersRules()
LENT = OfferedDevices(
    vendor="nvidia", model="Big GPU", count=1, memory=80_000, capability=(("bf16", 900_000), ("fp64", 30_000))
)
A_DOCUMENT = OfferDocument(
    name="bench", domain="lab/berlin", region="local", accelerators=LENT, latency=(("eu-west", 12),)
)
BUYER, IMAGE = an_address("buyer"), a_job().image.config


def a_house(**changes: Any) -> House:
    house = House(
        provider=an_address("provider"),
        document=A_DOCUMENT,
        free=Quantities(cpu=4_000, memory=8_192, disk=20_480),
        devices=0,
        image_budget=1 << 30,
    )
    return replace(house, **changes)


def a_candidate(job: Any = None, **changes: Any) -> Candidate:
    job = job or a_job()
    bid = a_bid(want=wanted(job), traits=demanded(job, 0))
    candidate = Candidate(
        id=LeaseId(a_digest("lease")),
        terms=some_terms(want=bid.want),
        bid=bid,
        job=job,
        computed_lease=LeaseId(a_digest("lease")),
        computed_bid=BidId(a_digest("bid")),
        computed_job=bid.job,
        model_tag=0,
        start=NOW,
    )
    return replace(candidate, **changes)


def code(candidate: Candidate, house: House | None = None, rules: OwnersRules = OPEN) -> str:
    why = judge(candidate, house or a_house(), rules)
    return why.code if why else ""


def test_a_lease_that_is_what_was_signed_may_run() -> None:
    assert judge(a_candidate(), a_house(), OPEN) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"computed_lease": LeaseId(a_digest("x"))}, "other-lease"),
        ({"computed_bid": BidId(a_digest("x"))}, "other-bid"),
        ({"computed_job": a_digest("x")}, "other-document"),
        ({"terms": some_terms(provider=an_address("x"))}, "other-provider"),
        ({"terms": some_terms(buyer=an_address("x"))}, "terms-differ"),
        ({"terms": some_terms(signer=an_address("x"))}, "terms-differ"),
        ({"terms": some_terms(duration=601)}, "terms-differ"),
        ({"terms": some_terms(member=1)}, "terms-differ"),
        ({"terms": some_terms(rate=a_bid().limit_rate + 1)}, "terms-differ"),
        ({"terms": some_terms(want=Quantities(cpu=1))}, "terms-differ"),
    ],
)
def test_a_lease_that_is_not_what_was_signed_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert code(a_candidate(**changes)) == expected


def test_a_bid_that_differs_from_its_document_is_refused() -> None:
    honest = a_candidate()
    assert code(replace(honest, job=a_job(cpu=2_000))) == "bid-differs-from-job"


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (a_job(allow=("lab/*",)), ""),
        (a_job(allow=("other/*",)), "domain-excluded"),
        (a_job(allow=("lab/*",), deny=("lab/berlin",)), "domain-excluded"),
        (a_job(runtime="gvisor"), "no-such-runtime"),
        (a_job(network=True), "no-network"),
        (a_job(accelerators=Accelerators(vendor="nvidia")), "no-capacity"),
        (a_job(memory=8_193), "no-capacity"),
    ],
)
def test_a_job_must_fit_domain_and_machine(job: Any, expected: str) -> None:
    assert code(a_candidate(job)) == expected


ONE_GPU = Quantities(cpu=4_000, memory=8_192, disk=20_480, gpu=1_000)
GOODS = [
    ("model-excluded", {"models": ("big  gpu", "other")}, {"models": ("huge", "other")}),
    ("other-profile", {}, {"profile": "1g.10gb"}),
    ("below-floor", {"floors": (("bf16", 900_000),)}, {"floors": (("bf16", 900_001),)}),
    ("below-floor", {"floors": (("fp64", 1),)}, {"floors": (("fp8", 1),)}),
    (
        "below-score",
        {"weights": (("bf16", 1),), "min_score": 909},
        {"weights": (("bf16", 1),), "min_score": 910},
    ),
]


@pytest.mark.parametrize(("expected", "kept", "unkept"), GOODS)
def test_devices_must_be_what_the_document_asks_for(
    expected: str, kept: dict[str, Any], unkept: dict[str, Any]
) -> None:
    house = a_house(free=ONE_GPU, devices=1)
    assert code(a_candidate(a_job(accelerators=Accelerators(**_sorted(kept)))), house) == ""
    assert code(a_candidate(a_job(accelerators=Accelerators(**_sorted(unkept)))), house) == expected


def _sorted(wanted: dict[str, Any]) -> dict[str, Any]:
    return wanted | {name: tuple(sorted(wanted[name])) for name in ("models",) if name in wanted}


END = NOW + a_bid().duration
PLACES = [
    ("provider-excluded", {"providers": Providers(allow=(an_address("provider"),))},
     {"providers": Providers(allow=(an_address("x"),))}),
    ("provider-excluded", {"providers": Providers(deny=(an_address("x"),))},
     {"providers": Providers(deny=(an_address("provider"),))}),
    ("too-far", {"data": DataPlace(region="eu-west", max_latency=12)},
     {"data": DataPlace(region="eu-west", max_latency=11)}),
    ("too-far", {}, {"data": DataPlace(region="us-east", max_latency=500)}),
    ("past-deadline", {"times": Times(deadline=END)}, {"times": Times(deadline=END - 1)}),
    ("before-start", {"times": Times(start_at=NOW)}, {"times": Times(start_at=NOW + 1)}),
    ("after-start-by", {"times": Times(start_by=NOW)}, {"times": Times(start_by=NOW - 1)}),
    ("", {"prefer": (Preference(pattern="far/*", bonus=100),)}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "kept", "unkept"), PLACES)
def test_a_lease_must_stand_where_and_when_the_document_says(
    expected: str, kept: dict[str, Any], unkept: dict[str, Any]
) -> None:
    assert code(timed(a_job(**kept))) == ""
    assert code(timed(a_job(**unkept))) == expected


def timed(job: Any) -> Candidate:
    """A candidate whose bid says what the job's times allow."""
    honest = a_candidate(job)
    latest = job.times.latest_start(job.max_seconds)
    start_by = honest.bid.start_by if latest is None else latest
    return replace(honest, bid=replace(honest.bid, start_by=start_by))


def test_a_bid_that_may_start_later_than_its_document_says_is_refused() -> None:
    assert code(a_candidate(a_job(times=Times(deadline=END)))) == "bid-differs-from-job"


def test_a_running_job_goes_on_with_other_times_but_not_with_another_notice() -> None:
    job = a_job(times=Times(start_by=NOW))
    goes_on = replace(timed(a_job()), start=NOW + 1)
    assert code(replace(goes_on, before=job)) == ""
    assert code(replace(goes_on, before=replace(job, notice=60))) == "other-job"


def test_devices_are_lent_whole_and_only_as_many_as_are_free() -> None:
    house = a_house(free=Quantities(cpu=4_000, memory=8_192, disk=20_480, gpu=2_000), devices=1)
    assert code(a_candidate(a_job(accelerators=Accelerators(count=1))), house) == ""
    assert code(a_candidate(a_job(accelerators=Accelerators(count=2))), house) == "no-device"
    assert code(a_candidate(a_job(accelerators=Accelerators(share=500))), house) == "no-slices"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (OwnersRules(allow_buyers=frozenset({BUYER})), ""),
        (OwnersRules(allow_buyers=frozenset({an_address("x")})), "buyer-not-served"),
        (OwnersRules(allow_buyers=frozenset({BUYER}), deny_buyers=frozenset({BUYER})), "buyer-not-served"),
        (OwnersRules(allow_images=frozenset({IMAGE})), ""),
        (OwnersRules(allow_images=frozenset({"sha256:" + "0" * 64})), "image-not-allowed"),
        (OwnersRules(deny_images=frozenset({IMAGE})), "image-not-allowed"),
        (OwnersRules(members=(("uni/a", frozenset({BUYER})),), allow_domains=("uni/*",)), ""),
        (OwnersRules(members=(("uni/a", frozenset({BUYER})),), deny_domains=("uni/*",)), "domain-not-served"),
        (OwnersRules(allow_domains=("uni/*",)), "domain-not-served"),
        (OwnersRules(deny_domains=("uni/*",)), ""),
    ],
)
def test_the_owners_rules_decide_whom_it_serves(rules: OwnersRules, expected: str) -> None:
    assert code(a_candidate(), rules=rules) == expected


def test_an_image_beyond_the_space_for_images_is_refused() -> None:
    image = replace(a_job().image, archive="ab" * 32, archive_bytes=1 << 20)
    assert code(a_candidate(a_job(image=image)), a_house(image_budget=1 << 20)) == ""
    assert code(a_candidate(a_job(image=image)), a_house(image_budget=(1 << 20) - 1)) == "image-too-large"


def test_a_running_container_goes_on_with_other_sizes_alone() -> None:
    before = a_job(cpu=500, memory=512, disk=2_048, max_seconds=60, max_rate=1)
    assert code(a_candidate(before=before)) == ""
    assert code(a_candidate(before=replace(before, command=("sh",)))) == "other-job"
    assert code(a_candidate(before=replace(before, outputs=("other",)))) == "other-job"
