"""Contract: what the agent makes of the driver's library, from the C boundary up."""

from pathlib import Path

import pynvml
import pytest

from provider_agent.devices.nvidia import (
    MigInstance,
    NvidiaAbsent,
    NvidiaDevice,
    NvidiaPresent,
    discover_nvidia,
)
from tests.fakes.nvml import build_nvml, have_compiler, with_nvml

pytestmark = pytest.mark.skipif(not have_compiler(), reason="no C compiler to build the fake with")

DISCOVER = """
import pynvml
from provider_agent.devices.nvidia import discover_nvidia
print(repr(discover_nvidia(pynvml)))
"""
NAMES = {kind.__name__: kind for kind in (MigInstance, NvidiaAbsent, NvidiaDevice, NvidiaPresent)}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nvml(tmp_path_factory.mktemp("nvml"))


def _discover(library: Path, **settings: int) -> NvidiaPresent | NvidiaAbsent:
    found = eval(with_nvml(library, DISCOVER, **settings), NAMES)
    assert isinstance(found, NvidiaPresent | NvidiaAbsent)
    return found


def test_every_device_is_found_with_its_facts(library: Path) -> None:
    found = _discover(library, DEVICES=2)
    assert isinstance(found, NvidiaPresent)
    assert (found.driver, len(found.devices), found.lost) == ("615.00.01", 2, ())
    device = found.devices[1]
    assert device.uuid == "GPU-00000000-0000-0000-0000-000000000001"
    assert (device.model, device.memory_mib) == ("Imaginary A9000", 24576)
    assert not device.mig_enabled
    assert device.cdi_name == f"nvidia.com/gpu={device.uuid}"


def test_a_lost_device_does_not_hide_the_others(library: Path) -> None:
    found = _discover(library, DEVICES=3, LOST=1)
    assert isinstance(found, NvidiaPresent)
    assert [device.index for device in found.devices] == [0, 2]
    assert found.lost == (1,)


def test_a_sliced_device_says_so(library: Path) -> None:
    found = _discover(library, DEVICES=2, MIG=1)
    assert isinstance(found, NvidiaPresent)
    assert [device.mig_enabled for device in found.devices] == [False, True]


def test_a_sliced_device_names_the_instances_that_have_their_memory_to_themselves(library: Path) -> None:
    found = _discover(library, DEVICES=2, MIG=1)
    assert isinstance(found, NvidiaPresent)
    whole, sliced = found.devices
    assert whole.instances == ()
    first = MigInstance(uuid="MIG-00000000-0000-0000-0000-000000000000", profile="1g.3gb", memory_mib=2_944)
    third = MigInstance(uuid="MIG-00000000-0000-0000-0000-000000000002", profile="3g.12gb", memory_mib=11_968)
    assert sliced.instances == (first, third)
    assert first.cdi_name == f"nvidia.com/gpu={first.uuid}"


def test_a_driver_without_devices_is_present(library: Path) -> None:
    assert _discover(library, DEVICES=0) == NvidiaPresent(driver="615.00.01", devices=())


def test_a_driver_that_is_not_loaded_is_a_state_with_its_reason(library: Path) -> None:
    found = _discover(library, INIT=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    assert isinstance(found, NvidiaAbsent)
    assert "kernel module is not loaded" in found.reason


def test_a_driver_that_fails_is_a_state_with_its_reason(library: Path) -> None:
    found = _discover(library, INIT=pynvml.NVML_ERROR_NO_PERMISSION)
    assert isinstance(found, NvidiaAbsent)
    assert "does not answer" in found.reason


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this host has the driver")
def test_a_host_without_the_library_is_a_state_with_its_reason() -> None:
    found = discover_nvidia(pynvml)
    assert isinstance(found, NvidiaAbsent)
    assert "not installed" in found.reason


@pytest.mark.gpu
def test_a_real_device_is_found() -> None:
    found = discover_nvidia(pynvml)
    if isinstance(found, NvidiaAbsent):
        pytest.skip(f"needs a real NVIDIA device: {found.reason}")
    assert all(device.uuid.startswith("GPU-") for device in found.devices)
