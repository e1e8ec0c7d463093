"""The one connection that the agent keeps: it says that it lives, and is told when to look at the chain.

The agent dials out, so it may sit behind any router. A nudge is not a proof: it only makes the agent poll
its own RPC endpoint at once.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import websockets
from websockets.asyncio.client import ClientConnection, connect

from ledger.market.errors import Unavailable

BEAT_SECONDS = 2.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


class Heartbeat:
    """Beats until it is cancelled. `url` gives a freshly signed address for each connection, `beat` the
    message; `nudged`, `connected` and `failed` are told what happens."""

    def __init__(
        self,
        *,
        url: Callable[[], str],
        beat: Callable[[], dict[str, object]],
        nudged: Callable[[], None],
        connected: Callable[[], Awaitable[None]],
        failed: Callable[[Unavailable], None],
    ) -> None:
        self._url = url
        self._beat = beat
        self._nudged = nudged
        self._connected = connected
        self._failed = failed

    async def run(self) -> None:
        """Connect, beat, and connect again after every loss, ever more slowly."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with connect(self._url(), proxy=None, open_timeout=5) as socket:
                    pause = _FIRST_PAUSE
                    await self._connected()
                    await self._converse(socket)
            except (OSError, TimeoutError, websockets.WebSocketException) as exc:
                self._failed(
                    Unavailable(
                        "node-unreachable",
                        f"The node's agent socket does not answer ({type(exc).__name__}).",
                        "Check that the node runs; the agent tries again.",
                    )
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _converse(self, socket: ClientConnection) -> None:
        beating = asyncio.create_task(self._keep_beating(socket))
        try:
            async for message in socket:
                if _is_nudge(message):
                    self._nudged()
        finally:
            beating.cancel()

    async def _keep_beating(self, socket: ClientConnection) -> None:
        while True:
            await socket.send(json.dumps(self._beat()))
            await asyncio.sleep(BEAT_SECONDS)


def _is_nudge(message: str | bytes) -> bool:
    try:
        plain = json.loads(message)
    except ValueError:
        return False
    return isinstance(plain, dict) and plain.get("kind") == "lease"
