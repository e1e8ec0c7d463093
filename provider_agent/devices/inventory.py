"""Everything that a host could lend, as one value that `doctor` shows and an offer is cut from."""

from dataclasses import dataclass
from pathlib import Path

import pynvml

from provider_agent.devices.host import HostResources, discover_host
from provider_agent.devices.nvidia import NvidiaPresent, NvidiaState, discover_nvidia


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """A host's own resources and the state of each accelerator vendor."""

    host: HostResources
    nvidia: NvidiaState

    @property
    def gpu_milli_devices(self) -> int:
        """Whole devices that can be lent, in thousandths; one with MIG on is lent by its instances."""
        if not isinstance(self.nvidia, NvidiaPresent):
            return 0
        return 1000 * sum(not device.mig_enabled for device in self.nvidia.devices)

    @property
    def gpu_memory_mib(self) -> int:
        """Memory of the devices that `gpu_milli_devices` counts, together."""
        if not isinstance(self.nvidia, NvidiaPresent):
            return 0
        return sum(d.memory_mib for d in self.nvidia.devices if not d.mig_enabled)


def take_inventory(data_dir: Path) -> Inventory:
    """Look at this host; jobs' files will lie below `data_dir`."""
    return Inventory(host=discover_host(data_dir), nvidia=discover_nvidia(pynvml))
