"""JSON-RPC over WebSocket: requests as over HTTP, and notifications of what a client subscribed to.

A connection that does not take a message within `patience` seconds is cut off. Until then its news stay in
the chain's file, where its cursors point, and not in memory.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from ledger.chain.embedded.announcing import Announcer
from ledger.chain.embedded.rpc import Dispatcher
from ledger.chain.embedded.rpc_error import RpcError
from ledger.chain.embedded.subscriptions import Subscriptions

MAX_CONNECTIONS = 256
PATIENCE_SECONDS = 20.0
_BREATH = 0.01  # seconds between two looks: a burst of changes is one look
_TRY_AGAIN_LATER = 1013
_POLICY_VIOLATION = 1008
_log = logging.getLogger(__name__)


class WebSocketSessions:
    """Serves the connections of one chain."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        announcer: Announcer,
        subscriptions: Callable[[], Subscriptions],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._dispatcher = dispatcher
        self._announcer = announcer
        self._subscriptions = subscriptions
        self._patience = patience
        self._count = 0

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from its acceptance to its end."""
        await socket.accept()
        if self._count >= MAX_CONNECTIONS:
            await socket.close(_TRY_AGAIN_LATER, "too many connections")
            return
        self._count += 1
        try:
            await self._converse(socket)
        finally:
            self._count -= 1

    async def _converse(self, socket: WebSocket) -> None:
        subscriptions, news = self._subscriptions(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop may just have been closed
                loop.call_soon_threadsafe(news.set)

        with self._announcer.waking(wake):
            tasks = {
                asyncio.create_task(self._answer(socket, subscriptions, news)),
                asyncio.create_task(self._announce(socket, subscriptions, news)),
            }
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self._part(socket, ended)

    async def _answer(self, socket: WebSocket, subscriptions: Subscriptions, news: asyncio.Event) -> None:
        own = subscriptions.table()
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            body = message.get("text") or message.get("bytes") or b""
            answer = await run_in_threadpool(self._dispatcher.respond, body, own)
            if answer is not None:
                await self._send(socket, answer.decode())
            subscriptions.activate()
            news.set()

    async def _announce(self, socket: WebSocket, subscriptions: Subscriptions, news: asyncio.Event) -> None:
        while True:
            await news.wait()
            news.clear()
            while messages := await run_in_threadpool(subscriptions.poll):
                for message in messages:
                    await self._send(socket, message)
            await asyncio.sleep(_BREATH)

    async def _send(self, socket: WebSocket, message: str) -> None:
        async with asyncio.timeout(self._patience):
            await socket.send_text(message)

    async def _part(self, socket: WebSocket, ended: list[BaseException | None]) -> None:
        for end in ended:
            if isinstance(end, TimeoutError):
                _log.warning("a WebSocket client did not keep up and was cut off")
            elif isinstance(end, RpcError):
                with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
                    async with asyncio.timeout(self._patience):
                        await socket.close(_POLICY_VIOLATION, end.message)
            elif isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
                raise end
