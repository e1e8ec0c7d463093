from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.money import rate_of
from ledger.market.resource import Quantities
from ledger.market.traits import FEATURES, VENDORS, names_of
from provider_agent.offers.lending import (
    Device,
    Limits,
    Machine,
    Prices,
    ask_of,
    capacity_of,
    free_of,
    lendable,
    traits_of,
)

MACHINE = Machine(cpu=8_000, memory=32_000, disk=100_000)
BIG = Device(name="nvidia.com/gpu=a", vendor="nvidia", model="Big", model_tag=7, memory=80_000)
SMALL = Device(name="nvidia.com/gpu=b", vendor="nvidia", model="Small", model_tag=8, memory=8_000)


def test_without_limits_a_fifth_of_memory_and_disk_stays_free() -> None:
    assert capacity_of(MACHINE, Limits(), ()) == Quantities(cpu=8_000, memory=25_600, disk=80_000)


@given(cpu=st.integers(0, 10**6), memory=st.integers(0, 10**7), disk=st.integers(0, 10**8))
def test_no_limit_lends_more_than_is_there(cpu: int, memory: int, disk: int) -> None:
    lent = capacity_of(MACHINE, Limits(cpu=cpu, memory=memory, disk=disk), ())
    assert (lent.cpu, lent.memory, lent.disk) == (min(cpu, 8_000), min(memory, 32_000), min(disk, 100_000))


def test_one_offer_lends_one_model_of_device() -> None:
    assert lendable((BIG, SMALL, SMALL), None) == (SMALL, SMALL)
    assert lendable((SMALL, BIG), None) == (BIG,)
    assert lendable((SMALL, SMALL), 1) == (SMALL,)
    assert lendable((BIG,), 0) == ()
    lent = capacity_of(MACHINE, Limits(), (SMALL, SMALL))
    assert (lent.gpu, lent.gpu_memory) == (2_000, 16_000)


def test_an_ask_is_the_owners_price_per_thousand_units_rounded_up() -> None:
    ask = ask_of(Prices(core=Decimal("0.02"), gib=Decimal("0.004"), device=Decimal("0.5")), 6)
    assert ask == Quantities(cpu=20_000, memory=3_907, gpu=500_000)
    one_hour_of_a_core = rate_of(ask, Quantities(cpu=1_000)) // 1_000
    assert one_hour_of_a_core == 20_000


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "99999999"])
def test_a_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(Rejected):
        ask_of(Prices(core=Decimal(price), gib=Decimal(0)), 6)


def test_traits_say_what_is_lent_and_that_it_is_only_claimed() -> None:
    plain = traits_of("local", ("runc",), (), hard_disk=True)
    assert names_of(VENDORS, plain.vendors) == ("cpu",)
    features = names_of(FEATURES, plain.features)
    assert features == (
        "runc",
        "hard-disk-quota",
        "grade-e",
        "grade-d",
        "grade-c",
        "grade-b",
        "trust-claimed",
    )
    with_device = traits_of("local", ("runc",), (BIG,), hard_disk=False)
    assert names_of(VENDORS, with_device.vendors) == ("nvidia",)
    assert (with_device.gpu_memory_mib, with_device.model) == (80_000, 7)
    assert "hard-disk-quota" not in names_of(FEATURES, with_device.features)


def test_what_leases_take_is_not_free() -> None:
    capacity = Quantities(cpu=4_000, memory=1_000)
    assert free_of(capacity, (Quantities(cpu=1_000), Quantities(cpu=2_000))) == Quantities(
        cpu=1_000, memory=1_000
    )
    assert free_of(capacity, (Quantities(cpu=9_000),)).cpu == 0
