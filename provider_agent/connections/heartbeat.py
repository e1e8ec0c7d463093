"""The one connection that the agent keeps: it says that it lives, and is told when to look at the chain.

The agent dials out, so it may sit behind any router. A nudge is not a proof: it only makes the agent poll
its own RPC endpoint at once. That a lease is to yield is the node's word too; what it may do to a job stands
in the job's own document.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import websockets
from websockets.asyncio.client import ClientConnection, connect

from ledger.market.errors import MarketError, Unavailable
from ledger.market.identity import LeaseId, from_text

BEAT_SECONDS = 2.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


class Heartbeat:
    """Beats until it is cancelled. `url` gives a freshly signed address for each connection, `beat` the
    message; `nudged`, `yields` (a lease), `connected` and `failed` are told what happens."""

    def __init__(
        self,
        *,
        url: Callable[[], str],
        beat: Callable[[], dict[str, object]],
        nudged: Callable[[], None],
        yields: Callable[[LeaseId], None],
        connected: Callable[[], Awaitable[None]],
        failed: Callable[[Unavailable], None],
    ) -> None:
        self._url = url
        self._beat = beat
        self._nudged = nudged
        self._yields = yields
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
                self.hear(message)
        finally:
            beating.cancel()

    def hear(self, message: str | bytes) -> None:
        """Take one message of the node; what is none that we know is left alone."""
        kind, lease = _read(message)
        if kind == "lease":
            self._nudged()
        elif kind == "yield" and lease is not None:
            self._yields(lease)

    async def _keep_beating(self, socket: ClientConnection) -> None:
        while True:
            await socket.send(json.dumps(self._beat()))
            await asyncio.sleep(BEAT_SECONDS)


def _read(message: str | bytes) -> tuple[object, LeaseId | None]:
    """The kind of a message and the lease that it names; a later release may send others."""
    try:
        plain = json.loads(message)
        if not isinstance(plain, dict):
            return None, None
        named = plain.get("lease")
        return plain.get("kind"), LeaseId(from_text(named, 32)) if isinstance(named, str) else None
    except (ValueError, MarketError):
        return None, None
