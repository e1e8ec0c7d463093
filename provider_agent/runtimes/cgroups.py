"""A job's counters are read from the kernel, because the engine's own statistics take a second a call.

Knows the files of cgroup v1 (one tree a controller) and of v2 (one tree), by the kernel's documents
`cgroup-v1/memory.rst`, `cgroup-v1/cpuacct.rst` and `cgroup-v2.rst`. The paths of both trees are arguments.
"""

from collections.abc import Mapping
from pathlib import Path

from provider_agent.runtimes.base import UsageSample

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def sample(pid: int, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> UsageSample | None:
    """Read the counters of the cgroup that process `pid` is in; None where they cannot be read."""
    try:
        groups = parse_membership((proc / str(pid) / "cgroup").read_text())
        if "memory" in groups and "cpuacct" in groups:
            return _sample_v1(
                cpu=cgroups / "cpuacct" / groups["cpuacct"].lstrip("/"),
                memory=cgroups / "memory" / groups["memory"].lstrip("/"),
            )
        return _sample_v2(cgroups / groups[""].lstrip("/"))
    except (OSError, KeyError, ValueError):
        return None


def parse_membership(text: str) -> Mapping[str, str]:
    """Map each controller of /proc/PID/cgroup to its path; the v2 tree is the controller ``""``."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def parse_keyed(text: str) -> Mapping[str, int]:
    """Read a flat-keyed file (`cpu.stat`, `memory.events`, `memory.oom_control`)."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _number(path: Path) -> int:
    return int(path.read_text())


def _sample_v1(*, cpu: Path, memory: Path) -> UsageSample:
    return UsageSample(
        cpu_ns=_number(cpu / "cpuacct.usage"),
        memory_bytes=_number(memory / "memory.usage_in_bytes"),
        memory_peak_bytes=_number(memory / "memory.max_usage_in_bytes"),
        oom_kills=parse_keyed((memory / "memory.oom_control").read_text()).get("oom_kill", 0),
    )


def _sample_v2(group: Path) -> UsageSample:
    current = _number(group / "memory.current")
    peak = group / "memory.peak"  # since Linux 5.19
    return UsageSample(
        cpu_ns=parse_keyed((group / "cpu.stat").read_text())["usage_usec"] * 1000,
        memory_bytes=current,
        memory_peak_bytes=_number(peak) if peak.exists() else current,
        oom_kills=parse_keyed((group / "memory.events").read_text()).get("oom_kill", 0),
    )
