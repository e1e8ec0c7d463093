from dataclasses import replace

import pytest

from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from provider_agent.devices.host import HostResources, Processor
from provider_agent.devices.inventory import Inventory
from provider_agent.devices.nvidia import NvidiaAbsent, NvidiaDevice, NvidiaPresent
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


def some_settings() -> ProviderSettings:
    return settings_from_plain(
        {
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
