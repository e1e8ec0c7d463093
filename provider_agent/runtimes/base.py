"""What a runtime is, so that the agent's loop need not know where a job runs.

A runtime owns one container a lease, named after the lease. The name is the once-only lock: it is
created at most once, started only from `CREATED`, and removed last. A runtime reports facts; whether a
job is started, stopped or paid is decided by the pure state machine above it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ledger.market.errors import Rejected

# The user "nonroot" of the common distroless images: below the dynamic users of systemd, and not the
# host's `nobody`, which other services share.
JOB_UID = 65532
JOB_GID = 65532
JOB_HOME = "/job"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CDI_NAME = re.compile(r"[a-z0-9.-]+/[a-z0-9-]+=[A-Za-z0-9:._-]+")
_LEASE_BYTES = 32


class Phase(StrEnum):
    """How far a container got; a container that an engine is removing counts as exited."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """One volume of a lease: `source` is a host directory or, where `named`, an engine's volume."""

    source: str
    target: str
    named: bool = False

    def __post_init__(self) -> None:
        if not self.target.startswith("/") or (not self.named and not self.source.startswith("/")):
            raise Rejected("volume-mount", "A volume mount needs absolute paths.", "Name them fully.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything of a job that differs from the isolation defaults; the defaults are not options.

    `image` is a config digest `sha256:…`. `command` is the whole argv; empty means the image's own.
    `cpus` are milli-cores; `devices` are CDI names (container device interface 1.1.0).
    """

    lease: bytes
    image: str
    command: tuple[str, ...]
    cpus: int
    memory_mib: int
    envs: tuple[tuple[str, str], ...] = ()
    pids: int = 512
    tmpfs_mib: int = 64
    mounts: tuple[VolumeMount, ...] = ()
    network: bool = False
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(len(self.lease) == _LEASE_BYTES, "A lease id has 32 bytes.")
        _require(bool(_DIGEST.fullmatch(self.image)), "An image is named by its config digest.")
        _require(min(self.cpus, self.memory_mib, self.pids, self.tmpfs_mib) > 0, "Limits are above 0.")
        _require(not self.network, "This runtime gives no network.")
        _require(all(_CDI_NAME.fullmatch(name) for name in self.devices), "Devices are CDI names.")
        _require(all(_is_env(name, value) for name, value in self.envs), "An env has a name and no NUL.")
        _require(all("\0" not in part for part in self.command), "A command has no NUL.")


def _is_env(name: str, value: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name + value


def _require(holds: bool, cause: str) -> None:
    if not holds:
        raise Rejected("container-spec", cause, "Correct the job document.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """What the engine says of one lease's container.

    Times are milliseconds since the epoch, by the engine's clock, None where it did not happen.
    `error` is the engine's text where a start failed (the phase then stays `CREATED`).
    """

    name: str
    lease: bytes
    phase: Phase
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """The engine's own words about itself; `features` are such as seccomp, apparmor, cdi, userns."""

    name: str
    version: str
    cgroup_version: int
    rootless: bool
    features: frozenset[str]


class Stream(StrEnum):
    """Where a job wrote a piece of its log."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """A piece of a job's log; `offset` counts the bytes of both streams before it."""

    offset: int
    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSample:
    """A running container's counters, in nanoseconds and bytes, all cumulative but `memory_bytes`."""

    cpu_ns: int
    memory_bytes: int
    memory_peak_bytes: int
    oom_kills: int


class Runtime(Protocol):
    """The door to one engine. Every method may raise `Unavailable("engine-unreachable")`.

    Methods may be called from several threads. An engine that restarts needs no new object.
    """

    def info(self) -> EngineInfo:
        """Ask the engine what it is and what it can do."""

    def create(self, spec: ContainerSpec) -> ContainerState:
        """Create the lease's container; `LostRace("container-exists")` where there was one before."""

    def start(self, lease: bytes) -> ContainerState:
        """Start it from `CREATED`; `LostRace("container-started")` from any other phase."""

    def resize(self, lease: bytes, *, cpus: int, memory_mib: int) -> None:
        """Give the container other limits (milli-cores, MiB) while it runs; nothing if it is gone.

        `Rejected("container-refused")` where the engine does not take them; `Unavailable("engine-failed")`
        where the kernel does not, such as for memory that is in use.
        """

    def inspect(self, lease: bytes) -> ContainerState | None:
        """Look; None where this agent has no container for the lease."""

    def list_owned(self) -> tuple[ContainerState, ...]:
        """All containers that carry this agent's label, in any phase."""

    def stop(self, lease: bytes, grace_s: int) -> None:
        """Ask the job to end, and kill it after `grace_s` seconds; nothing if it does not run."""

    def warn(self, lease: bytes) -> None:
        """Ask the job to end (SIGTERM), and let it run on; nothing if it does not run."""

    def kill(self, lease: bytes) -> None:
        """End the job at once; nothing if it does not run."""

    def remove(self, lease: bytes) -> None:
        """Kill and forget the container and what the engine made for it; nothing if it is gone."""

    def wait(self, lease: bytes, timeout_s: float) -> ContainerState | None:
        """Wait for the exit at most that long, then answer as `inspect` does."""

    def logs(self, lease: bytes, *, offset: int = 0, follow: bool = False) -> Iterator[LogChunk]:
        """Read the log from byte `offset` on; with `follow`, until the job ends."""

    def usage(self, lease: bytes) -> UsageSample | None:
        """Read the counters; None where it does not run."""

    def has_image(self, digest: str) -> bool:
        """Tell whether an image with this config digest is there."""

    def image_size(self, digest: str) -> int:
        """Bytes that the image takes unpacked; `Rejected("image-not-found")` where it is not there."""

    def load_image(self, archive: Path, digest: str) -> None:
        """Load a `docker save` archive whose image has this config digest, or refuse it."""

    def remove_image(self, digest: str) -> None:
        """Drop the image that `load_image` loaded; an owner's own name for it keeps it there."""
