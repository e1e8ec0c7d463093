"""A real engine, found or started once a session, and runtimes that clean up what a test left."""

import os
from collections.abc import Callable, Iterator

import pytest

from provider_agent.runtimes.base import ContainerSpec, ContainerState
from provider_agent.runtimes.docker import DockerRuntime
from provider_agent.runtimes.engine import Engine
from tests.engine import busybox_image, engine_url


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = Engine(engine_url())
    yield engine
    engine.close()


@pytest.fixture
def runtime(engine: Engine) -> Iterator[DockerRuntime]:
    runtime = DockerRuntime(engine, agent=f"test-{os.urandom(6).hex()}")
    yield runtime
    for state in runtime.list_owned():
        runtime.remove(state.lease)


@pytest.fixture(scope="session")
def busybox() -> str:
    return busybox_image()


@pytest.fixture
def spec(busybox: str) -> Callable[..., ContainerSpec]:
    """A small job that runs a shell script in busybox; keywords change the rest."""

    def build(script: str, **changes: object) -> ContainerSpec:
        defaults: dict[str, object] = {
            "lease": os.urandom(32),
            "image": busybox,
            "command": ("sh", "-c", script),
            "cpus": 500,
            "memory_mib": 32,
        }
        return ContainerSpec(**(defaults | changes))  # type: ignore[arg-type]  # a table of arguments

    return build


@pytest.fixture
def run_job(
    runtime: DockerRuntime, spec: Callable[..., ContainerSpec]
) -> Callable[..., tuple[ContainerState, str]]:
    """Run a script to its end and give the final state and the log, both streams in one order."""

    def run(script: str, **changes: object) -> tuple[ContainerState, str]:
        job = spec(f"exec 2>&1; {script}", **changes)
        runtime.create(job)
        runtime.start(job.lease)
        state = runtime.wait(job.lease, 30)
        assert state is not None
        log = b"".join(chunk.data for chunk in runtime.logs(job.lease)).decode()
        return state, log

    return run
