"""Recorded `/proc` trees (written by hand after the kernel's format) give the figures that they hold."""

import os
from pathlib import Path

from provider_agent.devices.host import discover_host


def _proc(tmp_path: Path, cpuinfo: str) -> Path:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    (tmp_path / "meminfo").write_text("MemTotal:       24683576 kB\nMemFree:  1 kB\n")
    return tmp_path


def test_a_host_is_read_from_proc(tmp_path: Path) -> None:
    proc = _proc(tmp_path, "processor\t: 0\nmodel name\t: Some Processor 9\nflags\t\t: fpu\n")
    found = discover_host(tmp_path, proc=proc)
    assert found.processor.model == "Some Processor 9"
    assert found.processor.milli_cores == 1000 * len(os.sched_getaffinity(0))
    assert found.memory_mib == 24105
    assert found.free_disk_mib > 0


def test_a_processor_without_a_name_is_unknown(tmp_path: Path) -> None:
    proc = _proc(tmp_path, "processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert discover_host(tmp_path, proc=proc).processor.model == "unknown"


def test_free_disk_of_a_directory_that_is_not_there_yet_is_its_parents(tmp_path: Path) -> None:
    proc = _proc(tmp_path, "")
    found = discover_host(tmp_path / "not" / "yet", proc=proc)
    assert found.free_disk_mib > 0
