"""Traits: what an offer is against what a bid demands."""

from dataclasses import replace

import pytest
from hypothesis import given

from ledger.market.errors import Rejected
from ledger.market.traits import (
    ANY_REGION,
    ANY_VENDOR,
    FEATURES,
    GRADES,
    REGIONS,
    VENDORS,
    Traits,
    bit,
    bits,
    names_of,
    thermometer,
)
from tests import strategies as some

OFFER = Traits(vendors=2, regions=1, features=0b111, gpu_memory_mib=80, capability=9, model=5)
ANYTHING = Traits(vendors=ANY_VENDOR, regions=ANY_REGION)


def test_the_fields_lie_where_the_protocol_says() -> None:
    word = Traits(vendors=1, regions=1, features=1, gpu_memory_mib=1, capability=1, model=1).pack()
    assert word == 1 | 1 << 32 | 1 << 96 | 1 << 160 | 1 << 192 | 1 << 224


@given(traits=some.traits)
def test_a_word_comes_back_as_the_same_traits(traits: Traits) -> None:
    assert Traits.unpack(traits.pack()) == traits


@given(word=some.words(256))
def test_every_word_has_one_meaning(word: int) -> None:
    assert Traits.unpack(word).pack() == word


@pytest.mark.parametrize("changes", [{"vendors": 1 << 32}, {"regions": -1}, {"model": 1 << 32}])
def test_a_field_beyond_its_width_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(Rejected):
        replace(OFFER, **changes)
    with pytest.raises(Rejected):
        Traits.unpack(1 << 256)


DEMANDS = [
    ("vendor", {"vendors": 0b11}, {"vendors": 0b101}),
    ("region", {"regions": 0b11}, {"regions": 0b10}),
    ("features", {"features": 0b101}, {"features": 0b1001}),
    ("gpu_memory", {"gpu_memory_mib": 80}, {"gpu_memory_mib": 81}),
    ("capability", {"capability": 9}, {"capability": 10}),
    ("model", {"model": 5}, {"model": 4}),
]


@pytest.mark.parametrize(("name", "met", "unmet"), DEMANDS)
def test_a_demand_is_met_or_names_itself(name: str, met: dict[str, int], unmet: dict[str, int]) -> None:
    assert replace(ANYTHING, **met).unmet_by(OFFER) == ()
    assert replace(ANYTHING, **unmet).unmet_by(OFFER) == (name,)


def test_no_vendor_and_no_region_allow_nothing() -> None:
    assert ANYTHING.unmet_by(OFFER) == ()
    assert Traits().unmet_by(OFFER) == ("vendor", "region")


@given(demand=some.traits, offer=some.traits)
def test_more_features_and_larger_figures_never_exclude(demand: Traits, offer: Traits) -> None:
    better = replace(
        offer,
        features=offer.features | demand.features,
        gpu_memory_mib=max(offer.gpu_memory_mib, demand.gpu_memory_mib),
        capability=max(offer.capability, demand.capability),
    )
    assert set(demand.unmet_by(better)) <= {"vendor", "region", "model"} & set(demand.unmet_by(offer))


def test_names_become_bits_and_come_back() -> None:
    assert bit(VENDORS, "vendor", "nvidia") == 2
    assert names_of(REGIONS, bits(REGIONS, "region", ("us-east", "eu-west"))) == ("eu-west", "us-east")
    assert bits(REGIONS, "region", ()) == 0


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Rejected, match="cambricon") as refused:
        bit(VENDORS, "vendor", "nvida")
    assert refused.value.code == "unknown-vendor"


def test_a_better_grade_satisfies_every_lower_demand() -> None:
    for place, reached in enumerate(GRADES):
        word = thermometer("grade", GRADES, reached)
        assert word.bit_count() == place + 1
        assert all(word & (low := thermometer("grade", GRADES, g)) == low for g in GRADES[: place + 1])
    with pytest.raises(Rejected):
        thermometer("grade", GRADES, "z")


@pytest.mark.parametrize(("table", "width"), [(VENDORS, 32), (REGIONS, 64), (FEATURES, 64)])
def test_no_two_names_share_a_bit_and_all_fit(table: dict[str, int], width: int) -> None:
    assert len(set(table.values())) == len(table)
    assert max(table.values()) < width
