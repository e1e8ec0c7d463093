"""Runs jobs in containers of a Docker engine, because nearly every host has one or can have one.

Everything it owns carries two labels, the agent's id and the lease, so that several agents share an engine.
A container's name is the lease's once-only lock; see `hardening` for what a job may do.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import requests
import urllib3.exceptions

from ledger.market.errors import LostRace, Rejected, Unavailable
from provider_agent.runtimes import archive, cgroups, hardening
from provider_agent.runtimes.base import (
    ContainerSpec,
    ContainerState,
    EngineInfo,
    LogChunk,
    Phase,
    Stream,
    UsageSample,
)
from provider_agent.runtimes.engine import Engine

AGENT_LABEL = "bingwang.agent"
LEASE_LABEL = "bingwang.lease"

_FRAME = struct.Struct(">BxxxL")
_STREAMS = {1: Stream.STDOUT, 2: Stream.STDERR}
_MS = 1000
_PHASES = {
    "created": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RUNNING,
    "removing": Phase.EXITED,
    "exited": Phase.EXITED,
    "dead": Phase.EXITED,
}


def container_name(lease: bytes) -> str:
    """Name of a lease's container: the first 40 hex digits of the lease id tell leases apart."""
    return f"bingwang-{lease.hex()[:40]}"


class DockerRuntime:
    """A `Runtime` on one engine for one agent; `agent` is the id in the agent's label.

    `counters` reads a process's control group, where the engine's host is this one.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        agent: str,
        counters: Callable[[int], UsageSample | None] = cgroups.sample,
    ) -> None:
        self._engine = engine
        self._agent = agent
        self._counters = counters

    def info(self) -> EngineInfo:
        with self._engine.api("engine") as api:
            return _engine_info(api.info())

    def create(self, spec: ContainerSpec) -> ContainerState:
        name = container_name(spec.lease)
        labels = {AGENT_LABEL: self._agent, LEASE_LABEL: spec.lease.hex()}
        with self._engine.api("image") as api:
            image = _inspect_image(api, spec.image)
        with self._engine.api("container") as api:
            host = hardening.host_options(spec, image_volumes=_declared_volumes(image, spec))
            options = hardening.container_options(spec, name=name, labels=labels)
            options["image"] = image["Id"]
            try:
                api.create_container(host_config=api.create_host_config(**host), **options)  # type: ignore[arg-type]  # a table of arguments
            except docker.errors.APIError as exc:
                if exc.status_code == requests.codes.conflict:
                    raise _existed(name) from exc
                raise
            return _state(api.inspect_container(name))

    def start(self, lease: bytes) -> ContainerState:
        name = container_name(lease)
        with self._engine.api("container") as api:
            found = self._owned(api, name)
            if found.phase is not Phase.CREATED or found.error:
                raise LostRace(
                    "container-started",
                    f"The container {name} was started before.",
                    "Take its state as it is; a job runs at most once.",
                )
            api.start(name)
            return _state(api.inspect_container(name))

    def resize(self, lease: bytes, *, cpus: int, memory_mib: int) -> None:
        with self._engine.api("container") as api:
            url = f"{api.base_url}/v{api.api_version}/containers/{container_name(lease)}/update"
            answer = api.post(url, json=hardening.sizes(cpus, memory_mib), timeout=api.timeout)
            if answer.status_code != requests.codes.not_found:
                _raise_for_status(answer)

    def inspect(self, lease: bytes) -> ContainerState | None:
        with self._engine.api("container") as api:
            try:
                return self._owned(api, container_name(lease))
            except docker.errors.NotFound:
                return None

    def list_owned(self) -> tuple[ContainerState, ...]:
        with self._engine.api("container") as api:
            owned = [f"{AGENT_LABEL}={self._agent}", LEASE_LABEL]
            rows = api.containers(all=True, filters={"label": owned})
            leases = [bytes.fromhex(row["Labels"][LEASE_LABEL]) for row in rows]
        # One that is removed between the two looks is not owned any more.
        return tuple(state for lease in leases if (state := self.inspect(lease)) is not None)

    def stop(self, lease: bytes, grace_s: int) -> None:
        if self._runs(lease):
            with self._engine.api("container") as api:
                api.stop(container_name(lease), timeout=grace_s)

    def warn(self, lease: bytes) -> None:
        self._signal(lease, "SIGTERM")

    def kill(self, lease: bytes) -> None:
        self._signal(lease, "SIGKILL")

    def _signal(self, lease: bytes, name: str) -> None:
        if not self._runs(lease):
            return
        with self._engine.api("container") as api:
            try:
                api.kill(container_name(lease), signal=name)
            except docker.errors.APIError as exc:
                # It ended by itself between the look and the kill.
                if exc.status_code not in (requests.codes.conflict, requests.codes.not_found):
                    raise

    def remove(self, lease: bytes) -> None:
        if self.inspect(lease) is None:
            return
        with self._engine.api("container") as api:
            try:
                api.remove_container(container_name(lease), force=True, v=True)
            except docker.errors.APIError as exc:
                # Gone, or being removed by a call of before a crash.
                if exc.status_code not in (requests.codes.conflict, requests.codes.not_found):
                    raise

    def wait(self, lease: bytes, timeout_s: float) -> ContainerState | None:
        state = self.inspect(lease)
        if state is None or state.phase is not Phase.RUNNING:
            return state
        with self._engine.api("container") as api:
            try:
                api.wait(container_name(lease), timeout=timeout_s)  # type: ignore[arg-type]  # requests takes a float
            except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as exc:
                if not _is_timeout(exc):
                    raise
        return self.inspect(lease)

    def logs(self, lease: bytes, *, offset: int = 0, follow: bool = False) -> Iterator[LogChunk]:
        """Frames of the engine's log from byte `offset` on.

        The engine's order of frames never changes, so an offset means the same after a restart. It
        keeps the last 64 to 128 MiB; of a longer log the oldest part is lost, and offsets then count
        what is left.
        """
        with self._engine.api("container") as api:
            url = f"{api.base_url}/v{api.api_version}/containers/{container_name(lease)}/logs"
            flags = {"stdout": "1", "stderr": "1", "follow": str(int(follow)), "tail": "all"}
            with closing(api.get(url, params=flags, stream=True, timeout=(10, None))) as response:
                _raise_for_status(response)
                yield from _after(offset, _frames(response.raw))

    def usage(self, lease: bytes) -> UsageSample | None:
        with self._engine.api("container") as api:
            try:
                found = api.inspect_container(container_name(lease))
            except docker.errors.NotFound:
                return None
            pid = int(found["State"]["Pid"])
            if pid == 0:
                return None
            return self._counters(pid) or _stats(api.stats(found["Id"], stream=False, one_shot=True))

    def has_image(self, digest: str) -> bool:
        with self._engine.api("image") as api:
            try:
                _inspect_image(api, digest)
            except docker.errors.ImageNotFound:
                return False
            return True

    def image_size(self, digest: str) -> int:
        with self._engine.api("image") as api:
            return int(_inspect_image(api, digest)["Size"])

    def load_image(self, archive_path: Path, digest: str) -> None:
        checked = archive.check(archive_path, digest)
        with self._engine.api("image") as api:
            for message in api.load_image(archive.repack(checked)):  # type: ignore[no-untyped-call]  # in its stubs
                if "error" in message:
                    raise Rejected(
                        "image-archive",
                        f"The Docker engine refused the archive: {message['error']}.",
                        "Export it again with `docker save IMAGE`.",
                    )
        if not self.has_image(digest):
            raise Unavailable(
                "image-lost", f"The engine does not show {digest} after loading it.", "Load it again."
            )

    def remove_image(self, digest: str) -> None:
        with self._engine.api("image") as api:
            try:
                api.remove_image(archive.image_name(digest))
            except docker.errors.ImageNotFound:
                return

    def _owned(self, api: docker.APIClient, name: str) -> ContainerState:
        found = api.inspect_container(name)
        if found["Config"]["Labels"].get(AGENT_LABEL) != self._agent:
            raise LostRace(
                "container-not-ours",
                f"The container {name} belongs to another agent.",
                "Give each agent its own key; one lease belongs to one agent.",
            )
        return _state(found)

    def _runs(self, lease: bytes) -> bool:
        state = self.inspect(lease)
        return state is not None and state.phase is Phase.RUNNING


def _existed(name: str) -> LostRace:
    return LostRace(
        "container-exists",
        f"The container {name} was created before.",
        "Take its state as it is; a job runs at most once.",
    )


def _inspect_image(api: docker.APIClient, digest: str) -> dict[str, Any]:
    """An image by config digest: its id, or, in an engine that names images otherwise, our own name."""
    found: dict[str, Any]
    try:
        found = api.inspect_image(digest)  # type: ignore[no-untyped-call]  # in its stubs
    except docker.errors.ImageNotFound:
        found = api.inspect_image(archive.image_name(digest))  # type: ignore[no-untyped-call]
    return found


def _declared_volumes(image: dict[str, Any], spec: ContainerSpec) -> tuple[str, ...]:
    taken = {"/tmp", *(mount.target for mount in spec.mounts)}  # noqa: S108  # inside the container
    return tuple(path for path in image["Config"].get("Volumes") or () if path not in taken)


def _engine_info(info: dict[str, Any]) -> EngineInfo:
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    features = {option.split(",")[0].removeprefix("name=") for option in options}
    if info.get("CDISpecDirs"):
        features.add("cdi")
    return EngineInfo(
        name=str(info["Name"]),
        version=str(info["ServerVersion"]),
        cgroup_version=int(info.get("CgroupVersion") or 1),
        rootless="rootless" in features,
        features=frozenset(features),
    )


def _state(found: dict[str, Any]) -> ContainerState:
    state = found["State"]
    phase = _PHASES[state["Status"]]
    return ContainerState(
        name=str(found["Name"]).removeprefix("/"),
        lease=bytes.fromhex(found["Config"]["Labels"][LEASE_LABEL]),
        phase=phase,
        created_at=_milliseconds(found["Created"]) or 0,
        started_at=_milliseconds(state["StartedAt"]),
        finished_at=_milliseconds(state["FinishedAt"]) if phase is Phase.EXITED else None,
        exit_code=int(state["ExitCode"]) if phase is Phase.EXITED else None,
        oom_killed=bool(state["OOMKilled"]),
        error=str(state["Error"]),
    )


def _milliseconds(text: str) -> int | None:
    """An engine's RFC 3339 time; its zero, the year 1, means never."""
    moment = datetime.fromisoformat(text)
    if moment.year == 1:
        return None
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400 * _MS + since.seconds * _MS + since.microseconds // _MS


def _raise_for_status(response: requests.Response) -> None:
    try:
        response.raise_for_status()
    except requests.exceptions.HTTPError as exc:
        docker.errors.create_api_error_from_http_exception(exc)  # it raises


def _frames(raw: urllib3.response.BaseHTTPResponse) -> Iterator[tuple[Stream, bytes]]:
    """Split the engine's multiplexed stream (API reference, "Attach to a container")."""
    while len(header := raw.read(_FRAME.size)) == _FRAME.size:
        kind, length = _FRAME.unpack(header)
        if length:
            yield _STREAMS.get(kind, Stream.STDOUT), raw.read(length)


def _after(offset: int, frames: Iterator[tuple[Stream, bytes]]) -> Iterator[LogChunk]:
    position = 0
    for stream, data in frames:
        end = position + len(data)
        if end > offset:
            skipped = max(offset - position, 0)
            yield LogChunk(offset=position + skipped, stream=stream, data=data[skipped:])
        position = end


def _stats(stats: dict[str, Any]) -> UsageSample | None:
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    return UsageSample(
        cpu_ns=int(stats["cpu_stats"]["cpu_usage"]["total_usage"]),
        memory_bytes=int(memory["usage"]),
        memory_peak_bytes=int(memory.get("max_usage", memory["usage"])),
        oom_kills=0,
    )


def _is_timeout(exc: Exception) -> bool:
    """requests wraps a read time-out of a streamed answer in a ConnectionError."""
    return isinstance(exc, requests.exceptions.Timeout) or any(
        isinstance(cause, urllib3.exceptions.ReadTimeoutError) for cause in exc.args
    )
