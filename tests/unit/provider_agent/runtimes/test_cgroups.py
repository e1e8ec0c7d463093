"""Both generations of control groups give the same sample (trees by hand, after the kernel's format)."""

from pathlib import Path

from provider_agent.runtimes.base import UsageSample
from provider_agent.runtimes.cgroups import sample

V1 = "5:memory:/docker/c\n4:cpuset:/docker/c\n3:cpuacct,cpu:/docker/c\n0::/\n"
V2 = "0::/docker/c\n"
EXPECTED = UsageSample(cpu_ns=7000, memory_bytes=10, memory_peak_bytes=20, oom_kills=1)


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_version_1_is_read_from_a_tree_a_controller(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "proc/42/cgroup": V1,
            "cg/cpuacct/docker/c/cpuacct.usage": "7000\n",
            "cg/memory/docker/c/memory.usage_in_bytes": "10\n",
            "cg/memory/docker/c/memory.max_usage_in_bytes": "20\n",
            "cg/memory/docker/c/memory.oom_control": "under_oom 0\noom_kill 1\n",
        },
    )
    assert sample(42, proc=tmp_path / "proc", cgroups=tmp_path / "cg") == EXPECTED


def test_version_2_is_read_from_one_tree(tmp_path: Path) -> None:
    files = {
        "proc/42/cgroup": V2,
        "cg/docker/c/cpu.stat": "usage_usec 7\nuser_usec 7\n",
        "cg/docker/c/memory.current": "10\n",
        "cg/docker/c/memory.peak": "20\n",
        "cg/docker/c/memory.events": "oom 1\noom_kill 1\n",
    }
    _write(tmp_path, files)
    assert sample(42, proc=tmp_path / "proc", cgroups=tmp_path / "cg") == EXPECTED
    (tmp_path / "cg/docker/c/memory.peak").unlink()
    old = sample(42, proc=tmp_path / "proc", cgroups=tmp_path / "cg")
    assert old is not None
    assert old.memory_peak_bytes == 10


def test_a_process_that_is_gone_has_no_sample(tmp_path: Path) -> None:
    assert sample(42, proc=tmp_path, cgroups=tmp_path) is None


def test_counters_that_are_not_numbers_are_no_sample(tmp_path: Path) -> None:
    _write(tmp_path, {"42/cgroup": V2, "docker/c/memory.current": "max\n"})
    assert sample(42, proc=tmp_path, cgroups=tmp_path) is None
