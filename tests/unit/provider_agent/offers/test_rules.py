from dataclasses import replace
from typing import Any

import pytest

from ledger.market.demand import demanded, wanted
from ledger.market.identity import BidId, LeaseId
from ledger.market.job import Accelerators
from ledger.market.resource import Quantities
from provider_agent.offers.rules import Candidate, House, OwnersRules, judge
from tests.factories import a_bid, a_digest, a_job, an_address, some_terms

OPEN = OwnersRules()
BUYER, IMAGE = an_address("buyer"), a_job().image.config


def a_house(**changes: Any) -> House:
    house = House(
        provider=an_address("provider"),
        domain="lab/berlin",
        runtimes=("runc",),
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
