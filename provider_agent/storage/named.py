"""A lease's volume where the agent is not root: a named volume of the engine, whose limit is soft.

It is filled and read through the engine's archive API by way of a container that is created and never
started, so it needs no right on the host. The engine enforces no size; the kind says so to whoever asks.
"""

import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO, cast

import docker
from docker.types import Mount

from ledger.market.errors import Rejected
from provider_agent.runtimes.base import JOB_GID, JOB_HOME, JOB_UID, VolumeMount
from provider_agent.runtimes.docker import AGENT_LABEL
from provider_agent.runtimes.engine import Engine
from provider_agent.storage.base import (
    JOB_HOME_MODE,
    InputFile,
    OutputFile,
    OutputLimits,
    RefusedOutput,
    VolumeKind,
    bounded,
    job_path,
)

VOLUME_LABEL = "bingwang.volume"
IMAGE_LABEL = "bingwang.image"
_TOP = JOB_HOME.removeprefix("/")
_CHUNK = 1 << 20
_SPOOL = 8 << 20


class NamedVolumes:
    """Named volumes of one engine, labelled with the agent's id."""

    kind = VolumeKind.SOFT

    def __init__(self, engine: Engine, *, agent: str) -> None:
        self._engine = engine
        self._agent = agent

    def create(self, lease: bytes, mib: int, image: str) -> None:
        """Make the volume; `mib` is not enforced, `image` is what its container is made from."""
        labels = {AGENT_LABEL: self._agent, VOLUME_LABEL: lease.hex(), IMAGE_LABEL: image}
        with self._engine.api("volume") as api:
            api.create_volume(_name(lease), labels=labels)
        self._put(lease, ())

    def fill(self, lease: bytes, files: Iterable[InputFile]) -> None:
        self._put(lease, files)

    def mounts(self, lease: bytes) -> tuple[VolumeMount, ...]:
        return (VolumeMount(source=_name(lease), target=JOB_HOME, named=True),)

    def read(self, lease: bytes, limits: OutputLimits) -> Iterator[OutputFile | RefusedOutput]:
        with self._engine.api("volume") as api:
            holder = self._hold(api, lease)
            try:
                pieces, _ = api.get_archive(holder, f"{JOB_HOME}/out")
                source = cast("IO[bytes]", _Pieces(pieces))
                with tarfile.open(fileobj=source, mode="r|") as archive:
                    yield from bounded(_members(archive), limits)
            finally:
                api.remove_container(holder, force=True)

    def delete(self, lease: bytes) -> None:
        with self._engine.api("volume") as api:
            self._drop_holder(api, lease)
            try:
                api.remove_volume(_name(lease))
            except docker.errors.NotFound:
                return

    def leases(self) -> frozenset[bytes]:
        with self._engine.api("volume") as api:
            found = api.volumes(filters={"label": [f"{AGENT_LABEL}={self._agent}", VOLUME_LABEL]})
        rows = found.get("Volumes") or ()
        return frozenset(bytes.fromhex(row["Labels"][VOLUME_LABEL]) for row in rows)

    def _put(self, lease: bytes, files: Iterable[InputFile]) -> None:
        with self._engine.api("volume") as api, tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            _write_archive(cast("IO[bytes]", spool), files)
            spool.seek(0)
            holder = self._hold(api, lease)
            try:
                api.put_archive(holder, "/", spool)
            finally:
                api.remove_container(holder, force=True)

    def _hold(self, api: docker.APIClient, lease: bytes) -> str:
        """Create a container that holds the volume, and that is never started."""
        self._drop_holder(api, lease)
        volume = api.inspect_volume(_name(lease))
        mount = Mount(JOB_HOME, _name(lease), type="volume", no_copy=True)
        created = api.create_container(
            volume["Labels"][IMAGE_LABEL],
            name=_holder_name(lease),
            command=["holds-a-volume"],
            labels={VOLUME_LABEL: lease.hex()},
            host_config=api.create_host_config(mounts=[mount], network_mode="none"),
        )
        return str(created["Id"])

    @staticmethod
    def _drop_holder(api: docker.APIClient, lease: bytes) -> None:
        try:
            api.remove_container(_holder_name(lease), force=True)
        except docker.errors.NotFound:
            return


def _name(lease: bytes) -> str:
    return f"bingwang-{lease.hex()[:40]}"


def _holder_name(lease: bytes) -> str:
    return f"bingwang-files-{lease.hex()[:40]}"


def _write_archive(target: IO[bytes], files: Iterable[InputFile]) -> None:
    with tarfile.open(fileobj=target, mode="w") as archive:
        # From the root, because the engine ignores the mode of an archive's own top.
        archive.addfile(_directory(_TOP, mode=JOB_HOME_MODE, gid=JOB_GID))
        archive.addfile(_directory(f"{_TOP}/in"))
        archive.addfile(_directory(f"{_TOP}/out", uid=JOB_UID, gid=JOB_GID))
        for file in files:
            for parent in reversed(file.path.parents[:-1]):
                archive.addfile(_directory(f"{_TOP}/in/{parent}"))
            member = tarfile.TarInfo(f"{_TOP}/in/{file.path}")
            member.size, member.mode = file.source.stat().st_size, 0o444
            with file.source.open("rb") as stream:
                archive.addfile(member, stream)


def _directory(name: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, mode, uid, gid
    return member


def _members(archive: tarfile.TarFile) -> Iterator[OutputFile | RefusedOutput]:
    for member in archive:
        text = "/".join(PurePosixPath(member.name).parts[1:])  # without the leading "out"
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is not None:
            yield _output(text, member.size, stream)
        elif not member.isdir():
            yield RefusedOutput(path=ascii(text), reason="not a regular file")


def _output(text: str, size: int, stream: IO[bytes]) -> OutputFile | RefusedOutput:
    try:
        path = job_path(text)
    except Rejected:
        return RefusedOutput(path=ascii(text), reason="not a printable path")
    return OutputFile(path=path, size=size, chunks=iter(lambda: stream.read(_CHUNK), b""))


class _Pieces:
    """A readable file over an iterator of pieces, which is what the engine's client gives."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end."""
        while len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
