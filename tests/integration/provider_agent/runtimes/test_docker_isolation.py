"""What a job can and cannot do, asked from inside a running container."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provider_agent.runtimes.base import JOB_GID, JOB_UID, ContainerState, Phase
from provider_agent.storage.loop import LoopVolumes

pytestmark = pytest.mark.docker

RunJob = Callable[..., tuple[ContainerState, str]]

# What the engine itself mounts: its generated files, the kernel's file systems, and masks over them.
_ENGINE_FILES = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
_KERNEL_MOUNTS = re.compile(r"/(proc|sys|dev)(/.*)?")


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[LoopVolumes]:
    volumes = LoopVolumes(tmp_path / "volumes")
    yield volumes
    for lease in volumes.leases():
        volumes.delete(lease)


def test_a_job_has_no_rights(run_job: RunJob) -> None:
    state, log = run_job("cat /proc/self/status")
    status = dict(re.findall(r"^(\w+):\s+(.*)$", log, re.MULTILINE))
    assert state.exit_code == 0
    assert status["Uid"].split() == [str(JOB_UID)] * 4
    assert status["Gid"].split() == [str(JOB_GID)] * 4
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_a_forbidden_system_call_is_refused(run_job: RunJob) -> None:
    state, log = run_job("unshare -U true")
    assert state.exit_code != 0
    assert "not permitted" in log


def test_the_root_is_read_only_and_tmp_is_not(run_job: RunJob) -> None:
    _, log = run_job("touch /mine || echo refused; echo fine >/tmp/mine && cat /tmp/mine")
    assert "Read-only file system" in log
    assert "refused" in log
    assert "fine" in log


def test_tmp_holds_no_more_than_its_size(run_job: RunJob) -> None:
    state, log = run_job("dd if=/dev/zero of=/tmp/big bs=1M count=9", tmpfs_mib=8)
    assert state.exit_code != 0
    assert "No space left" in log


def test_a_job_sees_the_loopback_alone(run_job: RunJob) -> None:
    _, log = run_job("tail -n +3 /proc/net/dev; wc -l </proc/net/route")
    interfaces = re.findall(r"^\s*(\S+):", log, re.MULTILINE)
    assert interfaces == ["lo"]


def test_a_fork_bomb_ends_at_the_process_limit(run_job: RunJob) -> None:
    script = "i=0; while [ $i -lt 200 ]; do sleep 30 & i=$((i+1)); done; echo never"
    state, log = run_job(script, pids=20)
    assert state.phase is Phase.EXITED
    assert state.exit_code != 0
    assert "can't fork" in log
    assert "never" not in log


def test_a_job_that_takes_too_much_memory_is_killed_and_reported_as_such(run_job: RunJob) -> None:
    # Characters that `tail` must keep, because no line ends.
    state, _ = run_job("tail /dev/zero", memory_mib=16)
    assert state.oom_killed
    assert state.exit_code == 137
    assert state.started_at is not None
    assert state.finished_at is not None


def test_a_job_within_its_memory_is_not_reported_as_killed(run_job: RunJob) -> None:
    state, _ = run_job("true", memory_mib=16)
    assert not state.oom_killed
    assert state.exit_code == 0


def test_there_is_no_swap_behind_the_memory(run_job: RunJob) -> None:
    _, log = run_job(
        "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null"
        " || cat /sys/fs/cgroup/memory.swap.max 2>/dev/null || echo none"
    )
    assert log.strip() in {"none", "0", str(32 << 20)}


def test_the_processor_share_is_a_quota(run_job: RunJob) -> None:
    _, log = run_job(
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null"
        " || cat /sys/fs/cgroup/cpu.max",
        cpus=250,
    )
    quota, period = (int(number) for number in log.split())
    assert quota * 4 == period


def test_a_busy_job_gets_no_more_than_its_share(run_job: RunJob) -> None:
    script = "timeout 1 sh -c 'while :; do :; done'; cat /proc/self/stat; times"
    _, log = run_job(script, cpus=200)
    minutes, seconds = re.findall(r"(\d+)m([\d.]+)s", log)[2]
    assert int(minutes) * 60 + float(seconds) < 0.5


def test_the_disk_limit_holds(run_job: RunJob, volumes: LoopVolumes) -> None:
    lease = os.urandom(32)
    volumes.create(lease, 8, "")
    state, log = run_job(
        "dd if=/dev/zero of=/job/out/big bs=1M count=12",
        lease=lease,
        mounts=volumes.mounts(lease),
    )
    assert state.exit_code != 0
    assert "No space left" in log


def test_a_job_mounts_its_volume_and_the_engines_files_alone(run_job: RunJob, volumes: LoopVolumes) -> None:
    lease = os.urandom(32)
    volumes.create(lease, 8, "")
    _, log = run_job("cat /proc/self/mountinfo", lease=lease, mounts=volumes.mounts(lease))
    places = [line.split()[4] for line in log.splitlines()]
    beyond = {place for place in places if not _KERNEL_MOUNTS.fullmatch(place)}
    assert beyond == {"/", "/tmp", "/job"} | _ENGINE_FILES
    job = next(line for line in log.splitlines() if line.split()[4] == "/job")
    assert {"nosuid", "nodev"} <= set(job.split()[5].split(","))


def test_a_job_sees_no_process_and_no_device_of_the_host(run_job: RunJob) -> None:
    _, log = run_job("ls -d /proc/[0-9]* | wc -l; ls /dev; ls /var/run/docker.sock")
    assert int(log.split()[0]) < 5
    devices = set(log.splitlines()[1:]) - {"core", "fd", "mqueue", "ptmx", "pts", "shm"}
    assert devices >= {"null", "zero", "random", "urandom"}
    assert not [name for name in devices if name.startswith(("sd", "vd", "loop", "kvm", "mem"))]


def test_a_job_cannot_take_its_inputs_away(run_job: RunJob, volumes: LoopVolumes) -> None:
    lease = os.urandom(32)
    volumes.create(lease, 8, "")
    _, log = run_job(
        "touch in/x || echo first; mv in away || echo second; touch mine out/mine && echo third",
        lease=lease,
        mounts=volumes.mounts(lease),
    )
    assert [word for word in ("first", "second", "third") if word in log] == [
        "first",
        "second",
        "third",
    ]
