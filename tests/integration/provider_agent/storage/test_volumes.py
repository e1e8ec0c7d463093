"""Both kinds of volume keep the same promises about files; the hard one also keeps the limit."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from ledger.market.errors import Rejected, Unavailable
from provider_agent.runtimes.base import ContainerSpec, ContainerState
from provider_agent.runtimes.docker import DockerRuntime
from provider_agent.runtimes.engine import Engine
from provider_agent.storage.base import (
    InputFile,
    OutputFile,
    OutputLimits,
    RefusedOutput,
    VolumeKind,
    Volumes,
)
from provider_agent.storage.loop import LoopVolumes
from provider_agent.storage.named import NamedVolumes
from provider_agent.storage.volumes import choose_volumes

pytestmark = pytest.mark.docker

RunJob = Callable[..., tuple[ContainerState, str]]
LIMITS = OutputLimits(files=20, total_bytes=1 << 20)
LEAVES = """
mkdir -p out/deep/er; echo -n one >out/deep/er/one; echo -n two >out/two
ln -s /etc/passwd out/link; mkfifo out/pipe; : >out/empty; printf x >"$(printf 'out/new\\nline')"
truncate -s 100M out/sparse
"""


@pytest.fixture(params=["hard", "soft"])
def volumes(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Iterator[Volumes]:
    volumes: Volumes = LoopVolumes(tmp_path / "volumes")
    if request.param == "soft":
        volumes = NamedVolumes(engine, agent=f"test-{os.urandom(6).hex()}")
    yield volumes
    for lease in volumes.leases():
        volumes.delete(lease)


@pytest.fixture
def lease() -> bytes:
    return os.urandom(32)


def _inputs(tmp_path: Path) -> list[InputFile]:
    source = tmp_path / "source"
    source.write_text("hello")
    paths = ("rows.csv", "deep/er/rows.csv")
    return [InputFile(path=PurePosixPath(path), source=source) for path in paths]


def _read(volumes: Volumes, lease: bytes) -> tuple[dict[str, bytes], dict[str, str]]:
    files: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for entry in volumes.read(lease, LIMITS):
        match entry:
            case OutputFile():
                files[str(entry.path)] = b"".join(entry.chunks)
            case RefusedOutput():
                refused[entry.path.strip("'")] = entry.reason
    return files, refused


def test_a_job_finds_its_inputs_and_leaves_its_outputs(
    volumes: Volumes, lease: bytes, busybox: str, run_job: RunJob, tmp_path: Path
) -> None:
    volumes.create(lease, 16, busybox)
    volumes.fill(lease, _inputs(tmp_path))
    mounts = volumes.mounts(lease)
    script = f"cat in/rows.csv in/deep/er/rows.csv; rm -rf in/* || mv in away || touch here && {LEAVES}"
    _, log = run_job(script, lease=lease, mounts=mounts)
    assert "hellohello" in log
    assert "can't rename" in log
    assert "touch" not in log
    files, refused = _read(volumes, lease)
    assert files == {"deep/er/one": b"one", "two": b"two", "empty": b""}
    assert refused == {
        "link": "not a regular file",
        "pipe": "not a regular file",
        "sparse": "too large",
        r"new\nline": "not a printable path",
    }


def test_a_volume_is_found_again_and_filled_again(
    volumes: Volumes, lease: bytes, busybox: str, run_job: RunJob, tmp_path: Path
) -> None:
    for _ in range(2):
        volumes.create(lease, 16, busybox)
        volumes.fill(lease, _inputs(tmp_path))
    assert volumes.leases() == {lease}
    _, log = run_job("cat in/rows.csv", lease=lease, mounts=volumes.mounts(lease))
    assert log == "hello"


def test_a_deleted_volume_may_be_deleted_again(volumes: Volumes, lease: bytes, busybox: str) -> None:
    volumes.create(lease, 16, busybox)
    volumes.delete(lease)
    volumes.delete(lease)
    assert volumes.leases() == frozenset()


def test_too_many_files_end_the_reading(
    volumes: Volumes, lease: bytes, busybox: str, run_job: RunJob
) -> None:
    volumes.create(lease, 16, busybox)
    run_job("for i in $(seq 50); do : >out/$i; done", lease=lease, mounts=volumes.mounts(lease))
    files, refused = _read(volumes, lease)
    assert len(files) == LIMITS.files
    assert list(refused.values()) == ["too many files"]


def test_a_hard_volume_is_mounted_again_after_the_host_restarted(lease: bytes, tmp_path: Path) -> None:
    volumes = LoopVolumes(tmp_path / "volumes")
    volumes.create(lease, 8, "")
    home = Path(volumes.mounts(lease)[0].source)
    (home / "out" / "kept").write_text("kept")
    os.system(f"umount {home}")
    again = LoopVolumes(tmp_path / "volumes")
    try:
        assert _read(again, lease) == ({"kept": b"kept"}, {})
    finally:
        again.delete(lease)
    assert not home.exists()


@pytest.mark.parametrize("mib", [4, 64, 1000, 5000])
def test_a_hard_volume_has_the_room_that_was_asked_for_and_hardly_more(
    lease: bytes, tmp_path: Path, mib: int
) -> None:
    volumes = LoopVolumes(tmp_path / "volumes")
    volumes.create(lease, mib, "")
    try:
        room = os.statvfs(volumes.mounts(lease)[0].source)
    finally:
        volumes.delete(lease)
    assert mib <= room.f_bavail * room.f_frsize / (1 << 20) <= mib * 1.02 + 3


def test_inputs_that_do_not_fit_a_hard_volume_are_refused(lease: bytes, tmp_path: Path) -> None:
    volumes = LoopVolumes(tmp_path / "volumes")
    volumes.create(lease, 4, "")
    big = tmp_path / "big"
    big.write_bytes(bytes(9 << 20))
    try:
        with pytest.raises(Rejected) as refused:
            volumes.fill(lease, [InputFile(path=PurePosixPath("big"), source=big)])
    finally:
        volumes.delete(lease)
    assert refused.value.code == "inputs-do-not-fit"


def test_a_disk_without_room_is_unavailable(lease: bytes, tmp_path: Path) -> None:
    volumes = LoopVolumes(tmp_path / "volumes")
    with pytest.raises(Unavailable) as unavailable:
        volumes.create(lease, 4 << 20, "")  # 4 TiB
    assert unavailable.value.code == "disk-full"
    assert volumes.leases() == frozenset()
    assert not list((tmp_path / "volumes").iterdir())


def test_a_very_deep_tree_is_not_descended(lease: bytes, run_job: RunJob, tmp_path: Path) -> None:
    volumes = LoopVolumes(tmp_path / "volumes")
    volumes.create(lease, 16, "")
    try:
        run_job(
            "cd out; for i in $(seq 1100); do mkdir d && cd d; done",
            lease=lease,
            mounts=volumes.mounts(lease),
        )
        files, refused = _read(volumes, lease)
    finally:
        volumes.delete(lease)
    assert files == {}
    assert list(refused.values()) == ["too deep"]


def test_a_remote_engine_gets_soft_volumes_and_says_so(tmp_path: Path) -> None:
    chosen = choose_volumes(tmp_path, Engine("tcp://127.0.0.1:9"), agent="a")
    assert chosen.kind is VolumeKind.SOFT


def test_root_with_a_local_engine_gets_hard_volumes(tmp_path: Path, engine: Engine) -> None:
    assert choose_volumes(tmp_path, engine, agent="a").kind is VolumeKind.HARD


def test_an_unreachable_engine_makes_soft_volumes_unavailable(lease: bytes, tmp_path: Path) -> None:
    volumes = NamedVolumes(Engine(f"unix://{tmp_path}/none.sock"), agent="a")
    with pytest.raises(Unavailable):
        volumes.create(lease, 8, "")


def test_a_container_may_outlive_its_deleted_volume(
    runtime: DockerRuntime, spec: Callable[..., ContainerSpec], lease: bytes, tmp_path: Path
) -> None:
    volumes = LoopVolumes(tmp_path / "volumes")
    volumes.create(lease, 8, "")
    job = spec("sleep 60", lease=lease, mounts=volumes.mounts(lease))
    runtime.create(job)
    runtime.start(lease)
    volumes.delete(lease)
    runtime.remove(lease)
    assert volumes.leases() == frozenset()
