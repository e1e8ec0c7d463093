"""What a job needs before it runs and leaves after it: image, inputs and outputs, each checked by hash.

Everything here may be done twice: what is there is found again, and what a crash left half done is done
anew. A buyer's file passes through a folder of the agent's own, never through the container's reach.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ledger.market.errors import Rejected
from ledger.market.facts import OutputFile
from ledger.market.identity import LeaseId
from ledger.market.job import Job
from provider_agent.connections.node_client import NodeClient
from provider_agent.runtimes.base import ContainerSpec, Runtime
from provider_agent.storage.base import InputFile, OutputLimits, Volumes
from provider_agent.storage.base import OutputFile as LeftFile
from provider_agent.work.images import ImageCache

_OUT = "out/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A declared output, copied out of the volume to `copy`."""

    file: OutputFile
    copy: Path


class JobFiles:
    """Files of leases between node, engine and volumes; `scratch` is the agent's own folder. `lease` is the
    one that container and volumes are named after."""

    def __init__(
        self,
        *,
        node: NodeClient,
        runtime: Runtime,
        volumes: Volumes,
        images: ImageCache,
        scratch: Path,
        clock: Callable[[], float],
    ) -> None:
        self._node = node
        self._runtime = runtime
        self._volumes = volumes
        self._images = images
        self._scratch = scratch
        self._clock = clock
        self._loading = asyncio.Lock()

    async def prepare(self, lease: LeaseId, job: Job, in_use: frozenset[str]) -> None:
        """Bring the image and a filled volume; `Rejected` where what the buyer named is wrong."""
        await self._bring_image(job, in_use)
        await asyncio.to_thread(self._volumes.create, lease, job.disk, job.image.config)
        inputs = await self._fetch_inputs(lease, job)
        await asyncio.to_thread(self._volumes.fill, lease, inputs)
        await asyncio.to_thread(shutil.rmtree, self._folder("in", lease), ignore_errors=True)

    def spec(self, lease: LeaseId, job: Job, devices: tuple[str, ...], member: int) -> ContainerSpec:
        """The container of a prepared job; the members of a gang are told which one they are, and a job that
        may have to yield how many seconds it has then."""
        return ContainerSpec(
            lease=lease,
            image=job.image.config,
            command=job.command,
            cpus=job.cpu,
            memory_mib=job.memory,
            envs=(*job.envs, *_member_envs(job, member), *_notice_envs(job)),
            mounts=self._volumes.mounts(lease),
            devices=devices,
        )

    async def collect(self, lease: LeaseId, job: Job) -> tuple[tuple[OutputFile, ...], tuple[str, ...]]:
        """Upload the declared outputs; what is at the node, and which declared paths are not."""
        folder = self._folder("out", lease)
        left = await asyncio.to_thread(self._copy_out, lease, job, folder)
        uploaded = []
        for one in left:
            try:
                await self._node.upload(one.copy, one.file.sha256)
            except Rejected:
                continue
            uploaded.append(one.file)
        missing = tuple(path for path in job.outputs if not _any_of(uploaded, path))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return tuple(uploaded), missing

    def left(self, lease: LeaseId, job: Job) -> tuple[OutputFile, ...]:
        """The declared outputs with their hashes, whether or not a node takes them."""
        folder = self._folder("hash", lease)
        try:
            return tuple(one.file for one in self._copy_out(lease, job, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, lease: LeaseId) -> None:
        """Container, volume and copies; nothing if they are gone."""
        self._runtime.remove(lease)
        self._volumes.delete(lease)
        for kind in ("in", "out", "hash"):
            shutil.rmtree(self._folder(kind, lease), ignore_errors=True)

    async def _bring_image(self, job: Job, in_use: frozenset[str]) -> None:
        digest, at = job.image.config, int(self._clock())
        async with self._loading:
            if await asyncio.to_thread(self._images.has, digest):
                await asyncio.to_thread(self._touch, digest, at)
                return
            if not job.image.archive:
                raise Rejected(
                    "image-not-available",
                    f"The image {digest} is not on this machine, and the job names no archive.",
                    "Push it to the node with bingwang image push.",
                )
            archive = self._scratch / f"{job.image.archive}.tar"
            await asyncio.to_thread(self._scratch.mkdir, parents=True, exist_ok=True)
            await self._node.download(job.image.archive, archive, job.image.archive_bytes)
            try:
                await asyncio.to_thread(self._load, archive, digest, at, in_use)
            finally:
                await asyncio.to_thread(archive.unlink, missing_ok=True)

    def _touch(self, digest: str, at: int) -> None:
        self._images.touch(digest, at=at)

    def _load(self, archive: Path, digest: str, at: int, in_use: frozenset[str]) -> None:
        self._images.add(archive, digest, at=at, in_use=in_use)

    async def _fetch_inputs(self, lease: LeaseId, job: Job) -> list[InputFile]:
        folder = self._folder("in", lease)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        for sha256, size in {(file.sha256, file.size) for file in job.inputs}:
            if not await asyncio.to_thread((folder / sha256).exists):
                await self._node.download(sha256, folder / sha256, size)
        return [
            InputFile(path=PurePosixPath(_below("in/", file.path)), source=folder / file.sha256)
            for file in job.inputs
        ]

    def _copy_out(self, lease: LeaseId, job: Job, folder: Path) -> list[Left]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        left: list[Left] = []
        for entry in self._volumes.read(lease, OutputLimits(total_bytes=job.disk << 20)):
            if isinstance(entry, LeftFile) and any(_covers(path, str(entry.path)) for path in job.outputs):
                left.append(_copy(entry, folder / str(len(left))))
        return left

    def _folder(self, kind: str, lease: LeaseId) -> Path:
        return self._scratch / kind / lease.hex()


def _member_envs(job: Job, member: int) -> tuple[tuple[str, str], ...]:
    """Replicas run the same job to the bit, so they are not told apart."""
    if job.gang is None or job.gang.agree:
        return ()
    return (("BINGWANG_MEMBER", str(member)), ("BINGWANG_MEMBERS", str(job.gang.members)))


def _notice_envs(job: Job) -> tuple[tuple[str, str], ...]:
    return (("BINGWANG_NOTICE", str(job.notice)),) if job.notice else ()


def _copy(entry: LeftFile, target: Path) -> Left:
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        for piece in entry.chunks:
            digest.update(piece)
            size += len(piece)
            file.write(piece)
    named = OutputFile(path=str(entry.path), sha256=digest.hexdigest(), size=size)
    return Left(file=named, copy=target)


def _below(folder: str, path: str) -> str:
    """A path below `in/` or `out/`, whether or not the job wrote that folder before it."""
    return path.removeprefix(folder)


def _covers(declared: str, path: str) -> bool:
    """A declared output is a file, or a folder with all that lies below it."""
    wanted = _below(_OUT, declared)
    return path == wanted or path.startswith(wanted + "/")


def _any_of(files: list[OutputFile], declared: str) -> bool:
    return any(_covers(declared, file.path) for file in files)
