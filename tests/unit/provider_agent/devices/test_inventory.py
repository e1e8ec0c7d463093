"""What can be lent is what is there and whole."""

from pathlib import Path

from provider_agent.devices.host import HostResources, Processor
from provider_agent.devices.inventory import Inventory, take_inventory
from provider_agent.devices.nvidia import NvidiaAbsent, NvidiaDevice, NvidiaPresent

HOST = HostResources(
    processor=Processor(milli_cores=2000, model="m", arch="x86_64"),
    memory_mib=1024,
    free_disk_mib=2048,
)


def _device(index: int, *, mig_enabled: bool) -> NvidiaDevice:
    return NvidiaDevice(index=index, uuid=f"GPU-{index}", model="m", memory_mib=100, mig_enabled=mig_enabled)


def test_whole_devices_are_counted_and_sliced_ones_are_not() -> None:
    devices = (_device(0, mig_enabled=False), _device(1, mig_enabled=True))
    inventory = Inventory(host=HOST, nvidia=NvidiaPresent(driver="1", devices=devices))
    assert inventory.gpu_milli_devices == 1000
    assert inventory.gpu_memory_mib == 100


def test_without_a_driver_there_is_nothing_to_lend_but_the_host() -> None:
    inventory = Inventory(host=HOST, nvidia=NvidiaAbsent(reason="none"))
    assert (inventory.gpu_milli_devices, inventory.gpu_memory_mib) == (0, 0)


def test_this_host_has_an_inventory(tmp_path: Path) -> None:
    inventory = take_inventory(tmp_path)
    assert inventory.host.processor.milli_cores >= 1000
    assert inventory.host.memory_mib > 0
