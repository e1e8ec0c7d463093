"""What NVIDIA's driver says is here (NVML); a host without it is a state with a reason, not an error.

The binding (nvidia-ml-py's module `pynvml`) is an argument, and the library below it is found by the
dynamic linker: tests give a library of their own at that boundary. What is found here is a claim; whether
the device can do what its name promises is for measurement to say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

_MIB = 1 << 20
_MIB_PER_GIB = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MigInstance:
    """A slice of a device that the owner has set up: a device of its own to whoever gets it."""

    uuid: str
    profile: str
    memory_mib: int

    @property
    def cdi_name(self) -> str:
        """Name by the strategy `uuid`, as of a whole device."""
        return f"nvidia.com/gpu={self.uuid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaDevice:
    """One physical device; `cdi_name` is what a container asks for it by. With MIG on it is lent by its
    `instances` alone."""

    index: int
    uuid: str
    model: str
    memory_mib: int
    mig_enabled: bool
    instances: tuple[MigInstance, ...] = ()

    @property
    def cdi_name(self) -> str:
        """Name by the strategy `uuid`, which nvidia-ctk generates by default and reboots do not change."""
        return f"nvidia.com/gpu={self.uuid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaPresent:
    """A driver that answers, with its devices; `lost` are indices of those that do not answer."""

    driver: str
    devices: tuple[NvidiaDevice, ...]
    lost: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaAbsent:
    """No driver that answers, and the reason, in a sentence for the owner."""

    reason: str


NvidiaState = NvidiaPresent | NvidiaAbsent


def discover_nvidia(nvml: ModuleType) -> NvidiaState:
    """Ask NVML through the binding `nvml` what is here."""
    try:
        with _session(nvml):
            return _devices(nvml)
    except nvml.NVMLError as exc:
        return NvidiaAbsent(reason=_reason(nvml, exc))


@contextmanager
def _session(nvml: ModuleType) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


def _devices(nvml: ModuleType) -> NvidiaPresent:
    devices: list[NvidiaDevice] = []
    lost: list[int] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            devices.append(_device(nvml, index))
        except nvml.NVMLError:
            # One device that fell off the bus must not hide the others.
            lost.append(index)
    driver = _text(nvml.nvmlSystemGetDriverVersion())
    return NvidiaPresent(driver=driver, devices=tuple(devices), lost=tuple(lost))


def _device(nvml: ModuleType, index: int) -> NvidiaDevice:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total) // _MIB
    mig_enabled = _mig_enabled(nvml, handle)
    return NvidiaDevice(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        model=_text(nvml.nvmlDeviceGetName(handle)),
        memory_mib=memory,
        mig_enabled=mig_enabled,
        instances=tuple(_instances(nvml, handle, memory)) if mig_enabled else (),
    )


def _instances(nvml: ModuleType, device: object, device_memory: int) -> Iterator[MigInstance]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(device)):
        try:
            handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index)
        except nvml.NVMLError:
            continue  # nothing is set up in this place
        found = nvml.nvmlDeviceGetAttributes_v2(handle)
        if found.computeInstanceSliceCount != found.gpuInstanceSliceCount:
            continue  # a compute instance shares its memory with others, so it is no room of its own
        yield MigInstance(
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            profile=_profile(found.gpuInstanceSliceCount, int(found.memorySizeMB), device_memory),
            memory_mib=int(found.memorySizeMB),
        )


def _profile(slices: int, memory: int, device_memory: int) -> str:
    """The name that NVIDIA's tools give such an instance: eighths of the device's memory, in whole GiB."""
    eighths = -(-memory * 8 // device_memory)
    return f"{slices}g.{(eighths * -(-device_memory // _MIB_PER_GIB) + 4) // 8}gb"


def _mig_enabled(nvml: ModuleType, handle: object) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        return False  # before Ampere, and in old drivers, there is no such thing
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _reason(nvml: ModuleType, exc: Exception) -> str:
    code = getattr(exc, "value", None)
    if code == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return "The NVIDIA driver's library (libnvidia-ml.so.1) is not installed."
    if code == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "The NVIDIA driver's library is installed, but its kernel module is not loaded."
    return f"The NVIDIA driver does not answer: {exc}."
