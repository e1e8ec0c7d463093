"""What the host itself has: processors, memory and free disk, read from the kernel.

The root of `/proc` is an argument, so that recorded hosts can be read in tests.
"""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

_KIB_PER_MIB = 1024
_MIB = 1 << 20
_MODEL_KEYS = ("model name", "Model", "cpu model", "Hardware")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """The processors that this process may use, in milli-cores; `arch` as the kernel says (`uname -m`)."""

    milli_cores: int
    model: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResources:
    """A host's processors, its memory in MiB, and the free disk in MiB where jobs' files will lie."""

    processor: Processor
    memory_mib: int
    free_disk_mib: int


def discover_host(data_dir: Path, *, proc: Path = Path("/proc")) -> HostResources:
    """Look at the host; `data_dir` need not exist yet."""
    return HostResources(
        processor=Processor(
            milli_cores=len(os.sched_getaffinity(0)) * 1000,
            model=_cpu_model(proc / "cpuinfo"),
            arch=platform.machine(),
        ),
        memory_mib=_memory_mib(proc / "meminfo"),
        free_disk_mib=shutil.disk_usage(_existing(data_dir)).free // _MIB,
    )


def _existing(path: Path) -> Path:
    absolute = path.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())


def _cpu_model(cpuinfo: Path) -> str:
    pairs = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    # Many ARM kernels name no model at all.
    return next((facts[key] for key in _MODEL_KEYS if facts.get(key)), "unknown")


def _memory_mib(meminfo: Path) -> int:
    for line in meminfo.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "MemTotal":
            return int(value.split()[0]) // _KIB_PER_MIB
    return 0
