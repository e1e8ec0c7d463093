"""The leases of one agent: each stimulus is handled, committed, and only then acted upon.

This is where the pure machine meets its memory; nothing else changes a lease's state.
"""

import logging
from collections.abc import Callable, Iterator

from ledger.market.errors import Broken
from ledger.market.identity import LeaseId, text
from provider_agent.lifecycle.instructions import Instruction
from provider_agent.lifecycle.lease_state import LeaseState, Pace, Stage
from provider_agent.lifecycle.stimuli import LeaseSeen, Resumed, Stimulus, Tick, Yield
from provider_agent.machine import handle, open_lease
from provider_agent.state_store import StateStore

_log = logging.getLogger(__name__)


class Leases:
    """States by lease id; those that are done with rest in the store alone."""

    def __init__(self, store: StateStore, pace: Pace, put: Callable[[LeaseId, Instruction], None]) -> None:
        self._store = store
        self._pace = pace
        self._put = put
        self._present = store.present()

    def __iter__(self) -> Iterator[LeaseState]:
        return iter(tuple(self._present.values()))

    def get(self, lease: LeaseId) -> LeaseState | None:
        """A lease's state, done with or not; None for one that was never seen."""
        return self._present.get(lease) or self._store.lease(lease)

    def known(self, lease: LeaseId) -> LeaseState:
        """The same of one that must have been seen; `Broken` otherwise."""
        state = self.get(lease)
        if state is None:
            raise Broken("unknown-lease", "An effect names an unknown lease.", "Report this as a defect.")
        return state

    def feed(self, lease: LeaseId, stimulus: Stimulus, block: int | None = None) -> None:
        """Handle what happened; `block` is the number of the block that opened the lease."""
        before = self.get(lease)
        if before is not None:
            after, instructions = handle(before, stimulus, self._pace)
        elif isinstance(stimulus, LeaseSeen):
            after, instructions = self._open(stimulus, block)
        else:
            return
        if after != before or block is not None:
            self._store.save(after, block)
        if before is None or after.stage is not before.stage:
            _log.info("lease %s is %s %s", text(lease)[:12], after.stage, after.explanation.cause)
        if after.stage is Stage.GONE:
            self._present.pop(lease, None)
        else:
            self._present[lease] = after
        for instruction in instructions:
            self._put(lease, instruction)

    def _open(self, seen: LeaseSeen, block: int | None) -> tuple[LeaseState, tuple[Instruction, ...]]:
        """A lease that continues another begins with what the other had; the other is told afterwards."""
        before = None if seen.continues is None else self.get(seen.continues)
        after, instructions = open_lease(seen, before)
        if before is not None and after.adopted:
            self._store.save(after, block)
            self._store.inherit(after.id, before.id)
        return after, instructions

    def yields(self, lease: LeaseId, at: int) -> None:
        """The node says that a higher bid takes the lease's place. It counts for a job that was sold so, with
        the notice that its own document names; `at` in milliseconds."""
        job = self._store.job(lease)
        if job is not None and job.notice:
            self.feed(lease, Yield(at=at, notice=job.notice))

    def resume(self, at: int) -> None:
        """Take up every lease again after a start; `at` in milliseconds."""
        for state in self:
            self.feed(state.id, Resumed(at=at))

    def tick(self, at: int) -> None:
        """Let time pass for every lease; `at` in milliseconds."""
        for state in self:
            self.feed(state.id, Tick(at=at))
