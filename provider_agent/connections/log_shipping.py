"""A job's log reaches the node byte by byte and once, because the node says where it goes on.

Nothing of it is kept here: after a restart the node's offset and the engine's own log are enough. The
engine's stream is read in a thread of its own that a stopping agent does not wait for.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import LeaseId
from provider_agent.connections.node_client import NodeClient
from provider_agent.runtimes.base import LogChunk, Runtime

_BATCH = 256 << 10
_MOST = 4 << 20
_END_S = 5.0


class LogShipping:
    """Follows the logs of running leases; `container` is the lease that the container is named after."""

    def __init__(self, node: NodeClient, runtime: Runtime) -> None:
        self._node = node
        self._runtime = runtime
        self._following: dict[LeaseId, asyncio.Task[None]] = {}

    def follow(self, lease: LeaseId, container: LeaseId, failed: Callable[[MarketError], None]) -> None:
        """Ship the log while the job runs; of no effect where that is under way."""
        task = self._following.get(lease)
        if task is None or task.done():
            self._following[lease] = asyncio.create_task(self._follow(lease, container, failed))

    async def finish(self, lease: LeaseId, container: LeaseId) -> None:
        """Ship what is left of the log of a job that ended."""
        task = self._following.pop(lease, None)
        if task is not None:
            await asyncio.wait({task}, timeout=_END_S)
            task.cancel()
        # A container that is lost has no log to read.
        with contextlib.suppress(Rejected):
            await self._ship(lease, container, follow=False)

    def forget(self, lease: LeaseId) -> None:
        """Stop following."""
        task = self._following.pop(lease, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Stop following everything."""
        for lease in list(self._following):
            self.forget(lease)

    async def _follow(
        self, lease: LeaseId, container: LeaseId, failed: Callable[[MarketError], None]
    ) -> None:
        try:
            await self._ship(lease, container, follow=True)
        except MarketError as exc:
            failed(exc)

    async def _ship(self, lease: LeaseId, container: LeaseId, *, follow: bool) -> None:
        offset = await self._node.append_log(lease, 0, b"")
        buffer = _Buffer(asyncio.get_running_loop())

        def read() -> None:
            buffer.fill(self._runtime.logs(container, offset=offset, follow=follow))

        threading.Thread(target=read, daemon=True, name=f"log-{lease.hex()[:8]}").start()
        try:
            while batch := await buffer.take():
                offset = await self._node.append_log(lease, offset, batch)
        finally:
            buffer.abandon()


class _Buffer:
    """Bytes on their way from a reading thread to the loop; a full one makes the thread wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready = asyncio.Event()
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._ended = False
        self._problem: MarketError | None = None

    def fill(self, chunks: Iterator[LogChunk]) -> None:
        """For the thread: pass on chunks until they end or nobody wants them."""
        try:
            for chunk in chunks:
                with self._changed:
                    self._changed.wait_for(lambda: self._ended or len(self._bytes) < _MOST)
                    if self._ended:
                        return
                    self._bytes += chunk.data
                self._signal()
        except MarketError as exc:
            self._problem = exc
        self.abandon()
        self._signal()

    def abandon(self) -> None:
        """Nothing more will be put in or taken out."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def take(self) -> bytes:
        """What came since, b"" at the end; a failure of the log is raised when all before it is taken."""
        while True:
            with self._changed:
                batch = bytes(self._bytes[:_BATCH])
                del self._bytes[: len(batch)]
                ended = self._ended
                self._changed.notify_all()
                self._ready.clear()
            if batch or (ended and self._problem is None):
                return batch
            if self._problem is not None:
                raise self._problem
            await self._ready.wait()

    def _signal(self) -> None:
        # A loop that has ended wants nothing any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ready.set)
