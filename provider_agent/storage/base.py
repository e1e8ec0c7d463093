"""What a lease's files are to the agent, whether a file system enforces their limit or nobody does.

A lease has one volume, mounted at `/job`: inputs under `in/` (the job cannot change them), outputs
under `out/`. It is filled before the container starts and read after it ended, never in between. What
is in it after the run comes from a stranger: only regular files are read, paths are checked, sizes
bounded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Protocol

from ledger.market.errors import Rejected
from provider_agent.runtimes.base import VolumeMount

# Writable by the job's group; sticky, so that the job cannot rename or remove root's `in`.
JOB_HOME_MODE = 0o1775

_MAX_PATH = 1024
_MAX_PART = 255
_REMEDY = "Use a relative path such as data/rows.csv."


class VolumeKind(StrEnum):
    """Whether the disk limit is enforced (`HARD`) or only shown to the buyer (`SOFT`)."""

    HARD = "hard"
    SOFT = "soft"


def job_path(text: str) -> PurePosixPath:
    """A file's path below `in/` or `out/`: relative, no `..`, no control characters, UTF-8."""
    path = PurePosixPath(text)
    unfit = (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or not text.isprintable()
        or len(text.encode(errors="replace")) > _MAX_PATH
        or any(len(part.encode(errors="replace")) > _MAX_PART for part in path.parts)
    )
    if unfit:
        raise Rejected("job-path", f"{text!r} is not a path inside the job directory.", _REMEDY)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file of the host (`source`) that the job finds at `/job/in/<path>`."""

    path: PurePosixPath
    source: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """A file that the job left at `/job/out/<path>`; `chunks` must be read before the next file."""

    path: PurePosixPath
    size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOutput:
    """Something that the job left and nobody reads: a link, a device, a path that is not one."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLimits:
    """How much of `out/` is read: the number of files and their bytes together."""

    files: int = 10_000
    total_bytes: int = 8 << 30


class Volumes(Protocol):
    """Keeper of the leases' volumes. Every method may be called again after a crash."""

    kind: VolumeKind

    def create(self, lease: bytes, mib: int, image: str) -> None:
        """Make the volume, or find it again; `Unavailable("disk-full")` where there is no room."""

    def fill(self, lease: bytes, files: Iterable[InputFile]) -> None:
        """Put the inputs in place, over what a fill before a crash left there."""

    def mounts(self, lease: bytes) -> tuple[VolumeMount, ...]:
        """What the lease's container mounts."""

    def read(self, lease: bytes, limits: OutputLimits) -> Iterator[OutputFile | RefusedOutput]:
        """Walk `out/` in one pass, in the order of paths where the volume has an order."""

    def delete(self, lease: bytes) -> None:
        """Forget the volume and its content; nothing if it is gone."""

    def leases(self) -> frozenset[bytes]:
        """The leases that have a volume here, for reconciliation."""


def bounded(
    entries: Iterator[OutputFile | RefusedOutput], limits: OutputLimits
) -> Iterator[OutputFile | RefusedOutput]:
    """Pass entries on within the limits: what is too large is refused, and too many end the walk."""
    room = limits.total_bytes
    for count, entry in enumerate(entries):
        if count >= limits.files:
            yield RefusedOutput(path=str(entry.path), reason="too many files")
            return
        if isinstance(entry, OutputFile) and entry.size > room:
            yield RefusedOutput(path=str(entry.path), reason="too large")
            continue
        room -= entry.size if isinstance(entry, OutputFile) else 0
        yield entry
