"""The isolation defaults of every job, in one place where an auditor can read them.

Nothing here is an option: a job gets a user without rights, no capability, no way to gain one, the
engine's default seccomp filter, a root it cannot write, sized places it can, and no network. The words are
those of Docker's API (`HostConfig`, API version 1.41).
"""

from collections.abc import Mapping

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from provider_agent.runtimes.base import JOB_GID, JOB_HOME, JOB_UID, ContainerSpec

LOG_MAX_BYTES = 64 << 20
_OPEN_FILES = 16384
_SHARED_MEMORY_MIB = 64
_OOM_SCORE = 500
_MIB = 1 << 20


def container_options(spec: ContainerSpec, *, name: str, labels: Mapping[str, str]) -> dict[str, object]:
    """Arguments of docker-py's `create_container`, but for `host_config`."""
    options: dict[str, object] = {
        "image": spec.image,
        "name": name,
        "hostname": "job",
        "user": f"{JOB_UID}:{JOB_GID}",
        # Later entries win over earlier ones and over the image's.
        "environment": ["HOME=/tmp", *(f"{key}={value}" for key, value in spec.envs)],
        "working_dir": JOB_HOME if spec.mounts else "/tmp",  # noqa: S108  # inside the container
        "labels": dict(labels),
        "stop_signal": "SIGTERM",
        # An image's own health check would run inside the job, at its cost.
        "healthcheck": {"test": ["NONE"]},
        "use_config_proxy": False,
    }
    if spec.command:
        # As entrypoint, the argv is exactly the buyer's, whatever the image's entrypoint is.
        options["entrypoint"] = list(spec.command)
    return options


def host_options(spec: ContainerSpec, *, image_volumes: tuple[str, ...]) -> dict[str, object]:
    """Arguments of docker-py's `create_host_config`."""
    return {
        **_privileges(),
        **_limits(spec),
        "network_mode": "none",
        "ipc_mode": "private",
        "cgroupns": "private",
        "restart_policy": {"Name": "no"},
        # docker-init would be one more mount of a host's file inside the job.
        "init": False,
        "mounts": [*_volumes(spec), *_covered(image_volumes, spec.tmpfs_mib)],
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,exec,mode=1777,size={spec.tmpfs_mib}m"},  # noqa: S108
        "log_config": LogConfig(type="json-file", config={"max-size": str(LOG_MAX_BYTES), "max-file": "2"}),
        "device_requests": _devices(spec),
    }


def _privileges() -> dict[str, object]:
    return {
        "privileged": False,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
    }


def _limits(spec: ContainerSpec) -> dict[str, object]:
    memory = spec.memory_mib * _MIB
    return {
        "nano_cpus": spec.cpus * 1_000_000,
        "mem_limit": memory,
        "memswap_limit": memory,  # memory and swap together: no swap
        "shm_size": min(_SHARED_MEMORY_MIB, spec.memory_mib) * _MIB,
        "pids_limit": spec.pids,
        "oom_score_adj": _OOM_SCORE,
        "ulimits": [
            Ulimit(name="nofile", soft=_OPEN_FILES, hard=_OPEN_FILES),
            # A core dump would go to the host's core pattern, which is a program of the host's.
            Ulimit(name="core", soft=0, hard=0),
        ],
    }


def sizes(cpus: int, memory_mib: int) -> dict[str, object]:
    """The body of the API's container update: milli-cores, and MiB with no swap beside them."""
    memory = memory_mib * _MIB
    return {"NanoCpus": cpus * 1_000_000, "Memory": memory, "MemorySwap": memory}


def _volumes(spec: ContainerSpec) -> list[Mount]:
    return [
        Mount(mount.target, mount.source, type="volume", no_copy=True)
        if mount.named
        else Mount(mount.target, mount.source, type="bind", propagation="rprivate")
        for mount in spec.mounts
    ]


def _covered(image_volumes: tuple[str, ...], tmpfs_mib: int) -> list[Mount]:
    # An image's VOLUME would become a writable place of the host's disk without a limit.
    return [
        Mount(path, None, type="tmpfs", tmpfs_size=tmpfs_mib * _MIB, tmpfs_mode=0o1777)
        for path in image_volumes
    ]


def _devices(spec: ContainerSpec) -> list[DeviceRequest]:
    if not spec.devices:
        return []
    return [DeviceRequest(driver="cdi", device_ids=list(spec.devices))]
