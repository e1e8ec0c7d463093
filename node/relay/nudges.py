"""Nudges: telling connected agents and log readers that something is new, without making them poll.

A nudge proves nothing and may be lost; whoever gets one looks at the chain or the books. Threads publish,
the event loop delivers.
"""

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Nudges:
    """Subscribers by topic (a provider's address, "events"); a slow subscriber's queue stays bounded."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, set[asyncio.Queue[str]]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on nudges are delivered in this loop."""
        self._loop = loop

    def publish(self, topic: Hashable, message: str) -> None:
        """Tell the subscribers of `topic`; callable from any thread, and without a loop a no-op."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._deliver, topic, message)

    @contextmanager
    def subscription(self, topic: Hashable) -> Iterator[asyncio.Queue[str]]:
        """A queue of the nudges of `topic`, for as long as the block lasts."""
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=64)
        self._queues[topic].add(queue)
        try:
            yield queue
        finally:
            self._queues[topic].discard(queue)
            if not self._queues[topic]:
                del self._queues[topic]

    def _deliver(self, topic: Hashable, message: str) -> None:
        for queue in self._queues.get(topic, ()):
            if not queue.full():
                queue.put_nowait(message)
