"""A container that would break the isolation rules cannot even be described."""

from typing import Any

import pytest

from ledger.market.errors import Rejected
from provider_agent.runtimes.base import ContainerSpec, VolumeMount

IMAGE = "sha256:" + "ab" * 32


def _spec(**changes: Any) -> ContainerSpec:  # a table of wrong values
    values: dict[str, Any] = {
        "lease": bytes(32),
        "image": IMAGE,
        "command": ("true",),
        "cpus": 1000,
        "memory_mib": 64,
    }
    return ContainerSpec(**(values | changes))


def test_a_plain_job_can_be_described() -> None:
    spec = _spec(envs=(("A", "b=c"),), devices=("nvidia.com/gpu=GPU-0",))
    assert not spec.network


@pytest.mark.parametrize(
    "changes",
    [
        {"lease": b"short"},
        {"image": "debian:latest"},
        {"image": "sha256:AB"},
        {"cpus": 0},
        {"memory_mib": -1},
        {"pids": 0},
        {"tmpfs_mib": 0},
        {"network": True},
        {"devices": ("/dev/kvm",)},
        {"devices": ("nvidia.com/gpu=a b",)},
        {"envs": (("A=B", "c"),)},
        {"envs": (("", "c"),)},
        {"envs": (("A", "\0"),)},
        {"command": ("a\0b",)},
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as refused:
        _spec(**changes)
    assert refused.value.code == "container-spec"


def test_a_mount_needs_absolute_paths() -> None:
    assert VolumeMount(source="name", target="/job", named=True).named
    with pytest.raises(Rejected):
        VolumeMount(source="name", target="/job")
    with pytest.raises(Rejected):
        VolumeMount(source="/name", target="job")
