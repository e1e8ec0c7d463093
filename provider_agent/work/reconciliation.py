"""Compares what should be here with what is, so that no missed event strands a container or a payment.

The chain's own word on each lease, the engine's list of containers and the volumes on disk are asked every
few seconds. A container or volume whose lease is neither open nor known is removed.
"""

import asyncio
from collections.abc import Callable

from ledger.chain.client import MarketClient
from ledger.market.identity import LeaseId
from provider_agent.connections.chain_following import ChainFollowing
from provider_agent.lifecycle.instructions import Instruction, Observe
from provider_agent.lifecycle.lease_state import LeaseState, Stage
from provider_agent.lifecycle.stimuli import LeaseEnded, LeaseTerminated
from provider_agent.runtimes.base import Runtime
from provider_agent.storage.base import Volumes
from provider_agent.work.leases import Leases

_LIVE = (Stage.STARTING, Stage.RUNNING, Stage.STOPPING)


class Reconciliation:
    """One look at a time; `put` queues an instruction for a lease, `following` reads the chain's events."""

    def __init__(
        self,
        leases: Leases,
        chain: MarketClient,
        runtime: Runtime,
        volumes: Volumes,
        put: Callable[[LeaseId, Instruction], None],
        following: ChainFollowing,
    ) -> None:
        self._leases = leases
        self._chain = chain
        self._runtime = runtime
        self._volumes = volumes
        self._put = put
        self._following = following
        self._absent: dict[LeaseId, int] = {}

    async def step(self, at: int) -> None:
        """Ask engine and chain, and set right what differs; `at` in milliseconds."""
        found = await asyncio.to_thread(self._runtime.list_owned)
        kept = await asyncio.to_thread(self._volumes.leases)
        used = {state.container for state in self._leases}
        for lease in ({LeaseId(one.lease) for one in found} | {LeaseId(one) for one in kept}) - used:
            state = self._leases.get(lease)
            if state is None or state.stage is Stage.GONE:
                await self._remove_stray(lease, known=state is not None)
        for state in self._leases:
            if state.stage in _LIVE:
                self._put(state.id, Observe())
            await self._ask_chain(state, at)

    async def _remove_stray(self, lease: LeaseId, *, known: bool) -> None:
        # An agent that lost its memory may still have the lease, or one that continues it, before it.
        if not known and not self._following.caught_up:
            return
        if not known and await asyncio.to_thread(self._chain.lease_of, lease) is not None:
            return
        await asyncio.to_thread(self._runtime.remove, lease)
        await asyncio.to_thread(self._volumes.delete, lease)

    async def _ask_chain(self, state: LeaseState, at: int) -> None:
        """An event may be missed, a state cannot. A lease is missing only once the events up to the block
        in which it was first missed were read: they say more, such as that another lease continues it."""
        if state.closed_at is not None or state.unmined_at is not None:
            return
        lease = await asyncio.to_thread(self._chain.lease_of, state.id)
        if lease is None:
            known = state.id in self._absent
            if not known:
                self._absent[state.id] = (await asyncio.to_thread(self._chain.block, "latest")).number
            elif self._following.read_to >= self._absent[state.id]:
                self._leases.feed(state.id, LeaseEnded(at=at))
            return
        self._absent.pop(state.id, None)
        if lease.ended_after is not None and state.ended_after is None:
            self._leases.feed(state.id, LeaseTerminated(at=at, ended_after=lease.ended_after))
