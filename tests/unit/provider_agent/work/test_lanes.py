import asyncio

from ledger.market.facts import JobPhase
from ledger.market.identity import LeaseId
from provider_agent.lifecycle.instructions import (
    Attach,
    CreateContainer,
    Instruction,
    Observe,
    Prepare,
    ReportPhase,
    ReportUsage,
    StartContainer,
)
from provider_agent.work.lanes import Lanes
from tests.factories import a_digest

LEASE, OTHER = LeaseId(a_digest("lease")), LeaseId(a_digest("other"))


class Scene:
    """Lanes whose instructions end when the test says so."""

    def __init__(self) -> None:
        self.began: list[tuple[LeaseId, Instruction]] = []
        self.go = asyncio.Semaphore(0)
        self.lanes = Lanes(self._perform)

    async def _perform(self, lease: LeaseId, instruction: Instruction) -> None:
        self.began.append((lease, instruction))
        await self.go.acquire()

    async def settle(self, done: int = 0) -> list[Instruction]:
        """What has begun so far, after `done` more were allowed to end."""
        for _ in range(done):
            self.go.release()
        for _ in range(10):
            await asyncio.sleep(0)
        return [instruction for _, instruction in self.began]


def test_one_engine_instruction_at_a_time_for_each_lease() -> None:
    async def scene() -> None:
        stage = Scene()
        stage.lanes.put(LEASE, CreateContainer())
        stage.lanes.put(LEASE, StartContainer())
        stage.lanes.put(OTHER, CreateContainer())
        assert await stage.settle() == [CreateContainer(), CreateContainer()]
        assert await stage.settle(2) == [CreateContainer(), CreateContainer(), StartContainer()]
        await stage.settle(1)

    asyncio.run(scene())


def test_a_slow_node_does_not_delay_the_engine() -> None:
    async def scene() -> None:
        stage = Scene()
        stage.lanes.put(LEASE, ReportUsage(milliseconds=1, last=False))
        stage.lanes.put(LEASE, Prepare())
        assert await stage.settle() == [ReportUsage(milliseconds=1, last=False), Prepare()]
        await stage.settle(2)

    asyncio.run(scene())


def test_what_is_under_way_is_not_queued_again_but_another_report_is() -> None:
    async def scene() -> None:
        stage = Scene()
        for instruction in (
            ReportUsage(milliseconds=1, last=False),
            ReportUsage(milliseconds=2, last=False),
            ReportUsage(milliseconds=2, last=True),
            ReportPhase(phase=JobPhase.RUNNING),
            ReportPhase(phase=JobPhase.RUNNING),
            ReportPhase(phase=JobPhase.FAILED),
        ):
            stage.lanes.put(LEASE, instruction)
        await stage.settle(4)
        assert await stage.settle() == [
            ReportUsage(milliseconds=1, last=False),
            ReportUsage(milliseconds=2, last=True),
            ReportPhase(phase=JobPhase.RUNNING),
            ReportPhase(phase=JobPhase.FAILED),
        ]

    asyncio.run(scene())


def test_nobody_looks_while_a_container_is_made() -> None:
    async def scene() -> None:
        stage = Scene()
        stage.lanes.put(LEASE, CreateContainer())
        stage.lanes.put(LEASE, Observe())
        assert await stage.settle(1) == [CreateContainer()]
        stage.lanes.put(LEASE, Attach())
        stage.lanes.put(LEASE, Observe())
        assert await stage.settle(2) == [CreateContainer(), Attach(), Observe()]

    asyncio.run(scene())
