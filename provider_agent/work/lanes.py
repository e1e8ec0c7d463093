"""One thing at a time where order matters: a lease's container is never created and inspected at once.

Each lane carries out its instructions in order, in its own task. The machine asks again and again for what
is not answered; what already waits or runs is therefore not queued a second time.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from enum import StrEnum
from typing import Final

from ledger.market.identity import LeaseId
from provider_agent.lifecycle.instructions import (
    AskContract,
    AskJury,
    Attach,
    Claim,
    Commit,
    Decide,
    Detach,
    FetchDocument,
    Finalize,
    Instruction,
    Observe,
    Release,
    ReportPhase,
    ReportUsage,
    Reveal,
    Settle,
)


class LaneName(StrEnum):
    """Who is talked to; a slow node must not delay the engine."""

    ENGINE = "engine"
    NODE = "node"
    CHAIN = "chain"


_LANES: Final[dict[type[Instruction], LaneName]] = {
    FetchDocument: LaneName.NODE,
    ReportPhase: LaneName.NODE,
    ReportUsage: LaneName.NODE,
    Settle: LaneName.CHAIN,
    Release: LaneName.CHAIN,
    Claim: LaneName.CHAIN,
    Finalize: LaneName.CHAIN,
    Commit: LaneName.CHAIN,
    Reveal: LaneName.CHAIN,
    AskJury: LaneName.CHAIN,
    Decide: LaneName.CHAIN,
    AskContract: LaneName.CHAIN,
}
_HARMLESS: Final = (Attach, Detach)
"""what a look need not wait for"""

Perform = Callable[[LeaseId, Instruction], Awaitable[None]]


class Lanes:
    """The lanes of all leases; `perform` handles its own errors."""

    def __init__(self, perform: Perform) -> None:
        self._perform = perform
        self._waiting: dict[tuple[LeaseId, LaneName], deque[Instruction]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, lease: LeaseId, instruction: Instruction) -> None:
        """Queue it, unless the same is under way; a look is dropped where something else is."""
        lane = (lease, _LANES.get(type(instruction), LaneName.ENGINE))
        waiting = self._waiting.get(lane)
        if waiting is None:
            self._waiting[lane] = deque([instruction])
            task = asyncio.create_task(self._drain(lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        busy = isinstance(instruction, Observe) and any(not isinstance(one, _HARMLESS) for one in waiting)
        if not busy and all(_sameness(one) != _sameness(instruction) for one in waiting):
            waiting.append(instruction)

    def cancel(self) -> None:
        """Stop everything at once, as a kill would."""
        for task in self._tasks:
            task.cancel()

    async def _drain(self, lane: tuple[LeaseId, LaneName]) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                await self._perform(lane[0], waiting[0])
                waiting.popleft()
        finally:
            del self._waiting[lane]


def _sameness(instruction: Instruction) -> Hashable:
    match instruction:
        case ReportUsage(last=last):
            return ("ReportUsage", last)
        case ReportPhase() | Settle():
            return instruction
        case _:
            return type(instruction).__name__
