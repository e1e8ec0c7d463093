import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from ledger.chain.client import MarketClient
from ledger.market.events import BlockRef
from ledger.market.identity import LeaseId
from provider_agent.connections.chain_following import ChainFollowing
from provider_agent.lifecycle.instructions import Instruction, Observe
from provider_agent.lifecycle.lease_state import MS, LeaseState, Pace, Stage
from provider_agent.runtimes.base import ContainerState, Phase, Runtime
from provider_agent.state_store import StateStore
from provider_agent.storage.base import Volumes
from provider_agent.work.leases import Leases
from provider_agent.work.reconciliation import Reconciliation
from tests.factories import NOW, a_digest, some_terms

FIRST, SECOND = LeaseId(a_digest("first")), LeaseId(a_digest("second"))
T = NOW * MS


def running(lease: LeaseId, **changes: Any) -> LeaseState:
    return LeaseState(
        id=lease,
        terms=some_terms(),
        start=NOW,
        escrow=600,
        stage=Stage.RUNNING,
        since=T,
        retry_at=T,
        started_at=T,
        **changes,
    )


class World:
    """An engine with one container, a chain with some open leases, and an agent with a memory."""

    def __init__(self, path: Path, *states: LeaseState) -> None:
        self.container = ContainerState(name="c", lease=FIRST, phase=Phase.RUNNING, created_at=T)
        self.open: set[LeaseId] = set()
        self.head, self.read_to, self.caught_up = 5, 5, True
        self.removed: list[bytes] = []
        self.asked: list[tuple[LeaseId, Instruction]] = []
        self.store = StateStore(path)
        for state in states:
            self.store.save(state)
        self.states = Leases(self.store, Pace(interval=10 * MS, grace=60 * MS), self.put)
        self.reconciliation = Reconciliation(
            self.states,
            cast(MarketClient, self),
            cast(Runtime, self),
            cast(Volumes, self),
            self.put,
            cast(ChainFollowing, self),
        )

    def put(self, lease: LeaseId, instruction: Instruction) -> None:
        self.asked.append((lease, instruction))

    def list_owned(self) -> tuple[ContainerState, ...]:
        return (self.container,)

    def leases(self) -> frozenset[bytes]:
        return frozenset({FIRST})

    def remove(self, lease: bytes) -> None:
        self.removed.append(lease)

    def delete(self, lease: bytes) -> None:
        self.removed.append(lease)

    def lease_of(self, lease: LeaseId) -> Any:
        return _Open() if lease in self.open else None

    def block(self, _which: str) -> BlockRef:
        return BlockRef(number=self.head, hash=b"\x01" * 32, parent=b"\x02" * 32, at=NOW)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            asyncio.run(self.reconciliation.step(T))


class _Open:
    ended_after = None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


def test_a_container_that_another_lease_took_over_is_no_stray(path: Path) -> None:
    world = World(path, running(SECOND, adopted=FIRST))
    world.open = {SECOND}
    world.look()
    assert (world.removed, world.asked) == ([], [(SECOND, Observe())])


def test_a_container_of_a_lease_that_is_over_is_removed(path: Path) -> None:
    world = World(path)
    world.look()
    assert world.removed == [FIRST, FIRST]


def test_an_agent_without_memory_removes_nothing_before_it_has_read_the_chain(path: Path) -> None:
    world = World(path)
    world.caught_up = False
    world.look()
    world.caught_up, world.open = True, {FIRST}
    world.look()
    assert world.removed == []


def test_a_lease_that_the_chain_lacks_has_ended_once_the_events_before_it_were_read(path: Path) -> None:
    world = World(path, running(FIRST))
    world.head, world.read_to = 9, 8
    world.look(3)
    assert world.states.known(FIRST).stage is Stage.RUNNING
    world.read_to = 9
    world.look()
    assert world.states.known(FIRST).stage is Stage.CLEANING


def test_a_lease_that_is_there_again_has_not_ended(path: Path) -> None:
    world = World(path, running(FIRST))
    world.look()
    world.open = {FIRST}
    world.look()
    world.open = set()
    world.look()
    assert world.states.known(FIRST).stage is Stage.RUNNING
