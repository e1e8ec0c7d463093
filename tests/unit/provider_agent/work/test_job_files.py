from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import cast

import pytest

from ledger.market.facts import OutputFile
from ledger.market.identity import LeaseId
from ledger.market.job import Gang
from provider_agent.connections.node_client import NodeClient
from provider_agent.runtimes.base import Runtime, VolumeMount
from provider_agent.storage.base import OutputFile as LeftFile
from provider_agent.storage.base import OutputLimits, Volumes
from provider_agent.work.images import ImageCache
from provider_agent.work.job_files import JobFiles
from tests.factories import a_digest, a_job

LEASE = LeaseId(a_digest("lease"))
LEFT = {"a.txt": b"one", "deep/b.txt": b"two", "not-declared.txt": b"three"}


class OneVolume:
    """A volume with files, which may be read any number of times."""

    def mounts(self, _lease: bytes) -> tuple[VolumeMount, ...]:
        return ()

    def read(self, _lease: bytes, _limits: OutputLimits) -> Iterator[LeftFile]:
        for path, content in LEFT.items():
            yield LeftFile(path=PurePosixPath(path), size=len(content), chunks=iter([content]))


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    return JobFiles(
        node=cast(NodeClient, None),
        runtime=cast(Runtime, None),
        volumes=cast(Volumes, OneVolume()),
        images=cast(ImageCache, None),
        scratch=tmp_path,
        clock=lambda: 0.0,
    )


def test_what_a_replica_left_is_hashed_without_a_node(files: JobFiles, tmp_path: Path) -> None:
    job = a_job(outputs=("a.txt", "out/deep"))
    for _ in range(2):
        assert files.left(LEASE, job) == tuple(
            OutputFile(path=path, sha256=sha256(LEFT[path]).hexdigest(), size=3)
            for path in ("a.txt", "deep/b.txt")
        )
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_members_of_a_gang_are_told_which_one_they_are(files: JobFiles) -> None:
    gang = a_job(gang=Gang(members=4), envs=(("A", "1"),))
    assert files.spec(LEASE, gang, (), 3).envs == (
        ("A", "1"),
        ("BINGWANG_MEMBER", "3"),
        ("BINGWANG_MEMBERS", "4"),
    )


def test_a_job_that_may_have_to_yield_is_told_how_long_it_has_then(files: JobFiles) -> None:
    assert files.spec(LEASE, a_job(notice=60), (), 0).envs == (("BINGWANG_NOTICE", "60"),)


@pytest.mark.parametrize("gang", [None, Gang(members=3, distinct=True, agree=2)])
def test_single_jobs_and_replicas_are_not(files: JobFiles, gang: Gang | None) -> None:
    job = a_job(gang=gang, outputs=("a.txt",))
    assert files.spec(LEASE, job, (), 0).envs == job.envs
