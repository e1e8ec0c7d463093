"""From a job to its bid's words: derived, and refused where they differ."""

from dataclasses import replace

import pytest
from hypothesis import given

from ledger.market.bid import Bid
from ledger.market.demand import check_bid_says, demanded, wanted
from ledger.market.errors import Rejected
from ledger.market.job import Accelerators, Job, Times
from ledger.market.resource import Quantities
from ledger.market.traits import (
    ANY_REGION,
    ANY_VENDOR,
    FEATURES,
    GRADES,
    REGIONS,
    TRUSTS,
    VENDORS,
    thermometer,
)
from tests import strategies as some
from tests.factories import a_bid, a_digest, a_job


def bid_for(job: Job, model_tag: int = 0) -> Bid:
    latest = job.times.latest_start(job.max_seconds)
    return a_bid(
        start_by=a_bid().start_by if latest is None else min(a_bid().start_by, latest),
        want=wanted(job),
        traits=demanded(job, model_tag),
        limit_rate=job.max_rate,
        max_over_ask_bps=job.max_over_ask,
        duration=job.max_seconds,
        members=job.gang.members if job.gang else 1,
        flags=job.gang.flags if job.gang else 0,
    )


def test_a_job_without_accelerators_wants_lanes_alone() -> None:
    assert wanted(a_job()) == Quantities(cpu=1_000, memory=1_024, disk=1_024)
    traits = demanded(a_job(), 0)
    assert (traits.vendors, traits.regions) == (ANY_VENDOR, ANY_REGION)
    assert traits.features == 1 << FEATURES["runc"]


def test_shares_and_memory_are_counted_for_all_devices() -> None:
    job = a_job(accelerators=Accelerators(vendor="nvidia", model="h100", count=2, share=500, memory=40_000))
    assert wanted(job).gpu == 1_000
    assert wanted(job).gpu_memory == 80_000
    traits = demanded(job, 0xABCD)
    assert traits.vendors == 1 << VENDORS["nvidia"]
    assert (traits.gpu_memory_mib, traits.model) == (40_000, 0xABCD)


def test_choices_become_bits() -> None:
    traits = demanded(a_job(regions=("eu-west", "local"), runtime="gvisor", grade="b", network=True), 0)
    assert traits.regions == 1 << REGIONS["eu-west"] | 1 << REGIONS["local"]
    grades = thermometer("grade", GRADES, "b")
    assert traits.features == grades | 1 << FEATURES["gvisor"] | 1 << FEATURES["outbound-network"]


def test_several_vendors_are_a_set_in_the_word_and_several_models_are_not() -> None:
    job = a_job(accelerators=Accelerators(vendors=("amd", "nvidia"), models=("a", "b")))
    traits = demanded(job, 0)
    assert traits.vendors == 1 << VENDORS["amd"] | 1 << VENDORS["nvidia"]
    assert traits.model == 0


def test_trust_is_a_step_and_all_below_it() -> None:
    features = demanded(a_job(trust="measured"), 0).features
    assert features == thermometer("trust", TRUSTS, "measured") | 1 << FEATURES["runc"]


def test_a_bid_must_not_start_later_than_its_jobs_times() -> None:
    job = a_job(times=Times(deadline=5_000, start_by=4_000), max_seconds=600)
    check_bid_says(job, bid_for(job), 0)
    assert bid_for(job).start_by == 4_000
    late = replace(job, times=Times(deadline=4_500))
    assert bid_for(late).start_by == 3_900
    with pytest.raises(Rejected, match="start_by"):
        check_bid_says(late, bid_for(job), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"regions": ("mars",)},
        {"runtime": "podman"},
        {"grade": "f"},
        {"trust": "hoped"},
        {"accelerators": Accelerators(vendor="x")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_choice_that_nobody_knows_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="Use one of"):
        demanded(a_job(**changes), 0)


@given(job=some.jobs)
def test_a_bid_made_from_its_job_says_what_the_job_says(job: Job) -> None:
    check_bid_says(job, bid_for(job, 7), 7)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("want", Quantities(cpu=999, memory=1_024, disk=1_024)),
        ("limit_rate", 5_000_001),
        ("duration", 601),
        ("traits", demanded(a_job(network=True), 0)),
    ],
)
def test_a_bid_that_says_something_else_is_refused_by_name(field: str, value: object) -> None:
    bid = a_bid(**{field: value})
    with pytest.raises(Rejected, match=field) as refused:
        check_bid_says(a_job(), bid, 0)
    assert refused.value.code == "bid-differs-from-job"
    check_bid_says(a_job(), a_bid(job=a_digest("any")), 0)
