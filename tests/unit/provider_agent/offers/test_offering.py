from dataclasses import replace

import pytest

from ledger.market.errors import Rejected
from ledger.market.offer import Offer
from ledger.market.offer_document import OfferDocument, OfferedDevices
from ledger.market.resource import Quantities
from provider_agent.devices.host import HostResources, Processor
from provider_agent.devices.inventory import Inventory
from provider_agent.devices.nvidia import MigInstance, NvidiaAbsent, NvidiaDevice, NvidiaPresent
from provider_agent.offers.offering import Host, Stamp, document_of, loan_of, offer_of, still_true
from provider_agent.settings import ProviderSettings, settings_from_plain
from tests.factories import NOW, an_address

DAY = 86_400
RESOURCES = HostResources(
    processor=Processor(milli_cores=4_000, model="A CPU", arch="x86_64"),
    memory_mib=10_000,
    free_disk_mib=100_000,
)
GPU = NvidiaDevice(index=0, uuid="GPU-1", model="A GPU", memory_mib=80_000, mig_enabled=False)
PRESENT = NvidiaPresent(driver="1", devices=(GPU, replace(GPU, uuid="GPU-2", mig_enabled=True)))


def a_host(*, cdi: bool = True, present: bool = False) -> Host:
    nvidia = PRESENT if present else NvidiaAbsent(reason="None is here.")
    return Host(inventory=Inventory(host=RESOURCES, nvidia=nvidia), cdi=cdi, hard_disk=True)


def some_settings(**extra: object) -> ProviderSettings:
    return settings_from_plain(
        extra
        | {
            "name": "bench",
            "domain": "lab/berlin",
            "region": "local",
            "node": "http://n",
            "rpc": "http://r",
            "market": {"chain_id": 7, "address": "0x" + "11" * 20},
            "prices": {"core": "0.02", "gib": "0"},
            "lend": {"max_seconds": 3_600},
        }
    )


def made(host: Host) -> Offer:
    settings = some_settings()
    loan = loan_of(host, settings, 6)
    stamp = Stamp(provider=an_address("provider"), epoch=0, at=NOW, salt=1)
    return offer_of(loan, document_of(host, loan, settings), settings, stamp)


def test_an_offer_is_cut_from_what_is_here() -> None:
    offer = made(a_host())
    assert offer.capacity == Quantities(cpu=4_000, memory=8_000, disk=79_872)
    assert (offer.ask.cpu, offer.valid_until) == (20_000, NOW + 30 * DAY)


def test_devices_are_lent_only_where_the_engine_can_hand_them_out() -> None:
    assert made(a_host(present=True)).capacity.gpu == 1_000
    assert made(a_host(present=True, cdi=False)).capacity.gpu == 0


STANDING = made(a_host())
HALF = STANDING.capacity.with_lanes(disk=STANDING.capacity.disk * 2 // 3)


@pytest.mark.parametrize(
    ("wanted", "fixed", "at", "true"),
    [
        (replace(STANDING, salt=2), False, NOW, True),
        (replace(STANDING, capacity=HALF), False, NOW, True),
        (replace(STANDING, capacity=HALF), True, NOW, False),
        (replace(STANDING, capacity=STANDING.capacity.with_lanes(disk=1_024)), False, NOW, False),
        (replace(STANDING, capacity=STANDING.capacity.with_lanes(cpu=1_000)), False, NOW, False),
        (replace(STANDING, ask=Quantities(cpu=1)), False, NOW, False),
        (replace(STANDING, epoch=1), False, NOW, False),
        (replace(STANDING, valid_until=NOW + 59 * DAY), False, NOW + 29 * DAY, False),
    ],
)
def test_an_offer_stands_while_it_is_true(wanted: Offer, fixed: bool, at: int, true: bool) -> None:
    assert still_true(STANDING, wanted, disk_is_fixed=fixed, at=at) is true


def document(host: Host, **extra: object) -> OfferDocument:
    settings = some_settings(**extra)
    return document_of(host, loan_of(host, settings, 6), settings)


def test_the_document_says_what_kind_of_devices_is_lent() -> None:
    assert document(a_host()).accelerators is None
    lent = document(a_host(present=True)).accelerators
    assert lent == OfferedDevices(vendor="nvidia", model="A GPU", count=1, memory=80_000)


def test_instances_are_lent_by_their_profile_where_they_are_the_most() -> None:
    small = [MigInstance(uuid=f"MIG-{n}", profile="1g.10gb", memory_mib=9_984) for n in range(2)]
    sliced = replace(GPU, uuid="GPU-2", mig_enabled=True, instances=tuple(small))
    nvidia = NvidiaPresent(driver="1", devices=(GPU, sliced))
    host = replace(a_host(), inventory=Inventory(host=RESOURCES, nvidia=nvidia))
    lent = document(host).accelerators
    assert lent == OfferedDevices(vendor="nvidia", model="A GPU", count=2, memory=9_984, profile="1g.10gb")
    assert document(host).devices[1] == "A GPU MIG 1g.10gb, 9984 MiB"
    offer = made(host)
    assert (offer.capacity.gpu, offer.capacity.gpu_memory) == (2_000, 19_968)
    assert loan_of(host, some_settings(), 6).devices[0].name == "nvidia.com/gpu=MIG-0"


def test_figures_that_the_owner_vouches_for_are_claims() -> None:
    host = a_host(present=True)
    found = document(host, capability={"fp64": 30_000, "bf16": 900_000}, latency={"eu-west": 12})
    assert found.accelerators is not None
    assert found.accelerators.capability == (("bf16", 900_000), ("fp64", 30_000))
    assert (found.accelerators.source, found.latency) == ("claimed", (("eu-west", 12),))


@pytest.mark.parametrize(
    "extra", [{"capability": {"fp12": 1}}, {"capability": {"bf16": -1}}, {"latency": {"mars": 1}}]
)
def test_a_figure_that_nobody_could_read_is_refused(extra: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        some_settings(**extra)
