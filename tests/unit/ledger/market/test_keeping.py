"""What an offer does not keep of a job is found by name, and a job that demands nothing is kept anywhere."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from ledger.market.job import Accelerators, DataPlace, Job, Providers, Times
from ledger.market.keeping import Place, particular, unkept
from ledger.market.offer_document import OfferDocument, OfferedDevices
from tests import strategies as some
from tests.factories import NOW, a_job, an_address

LENT = OfferedDevices(vendor="nvidia", model="Big GPU", count=2, memory=80_000, capability=(("bf16", 900),))
PLACE = Place(
    provider=an_address("provider"),
    document=OfferDocument(
        name="o", domain="lab/berlin", region="local", accelerators=LENT, latency=(("eu-west", 12),)
    ),
    start=NOW,
    end=NOW + 600,
)
DEMANDS: list[tuple[str, dict[str, Any]]] = [
    ("domain-excluded", {"allow": ("club/*",)}),
    ("domain-excluded", {"deny": ("lab/*",)}),
    ("provider-excluded", {"providers": Providers(deny=(an_address("provider"),))}),
    ("too-far", {"data": DataPlace(region="us-east", max_latency=60_000)}),
    ("past-deadline", {"times": Times(deadline=NOW + 599), "max_seconds": 1}),
    ("before-start", {"times": Times(start_at=NOW + 1)}),
    ("after-start-by", {"times": Times(start_by=NOW - 1)}),
    ("model-excluded", {"accelerators": Accelerators(models=("a", "b"))}),
    ("other-profile", {"accelerators": Accelerators(profile="1g.10gb")}),
    ("below-floor", {"accelerators": Accelerators(floors=(("bf16", 901),))}),
    ("below-score", {"accelerators": Accelerators(weights=(("fp64", 1),), min_score=1)}),
]


def codes(job: Job, place: Place = PLACE) -> list[str]:
    return [code for code, _ in unkept(job, place)]


@pytest.mark.parametrize(("code", "demand"), DEMANDS)
def test_each_demand_that_is_not_kept_has_its_code(code: str, demand: dict[str, Any]) -> None:
    assert codes(a_job()) == []
    assert codes(a_job(**demand)) == [code]
    assert particular(a_job(**demand))


def test_instances_of_a_profile_are_not_whole_devices() -> None:
    sliced = replace(
        PLACE, document=replace(PLACE.document, accelerators=replace(LENT, profile="1g.10gb", count=7))
    )
    assert codes(a_job(accelerators=Accelerators(profile="1g.10gb")), sliced) == []
    assert codes(a_job(accelerators=Accelerators()), sliced) == ["other-profile"]
    assert codes(a_job(), sliced) == []


def test_a_models_name_is_compared_as_its_tag_is_made() -> None:
    assert codes(a_job(accelerators=Accelerators(models=("a", "big  GPU")))) == []


@given(job=some.jobs)
def test_only_a_job_that_demands_more_than_its_words_can_be_broken(job: Job) -> None:
    if codes(job):
        assert particular(job)
