"""One address, two roles: a node that writes serves everything, a replica reads and passes the rest on.

The role can change while callers are connected. A term's sockets are closed with it, so that every agent
dials again and reaches the node that writes by then.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.forwarding import TRY_AGAIN_LATER, Forwarding

_READ = re.compile(
    rb"/v1/(market|health|events|events/stream|jobs|jobs/[^/]+|jobs/[^/]+/logs|leases|leases/[^/]+"
    rb"|leases/[^/]+/usage|leases/[^/]+/usage/[^/]+|documents/[^/]+|blobs/[^/]+|accounts/[^/]+/statement"
    rb"|epochs|epochs/[^/]+|epochs/[^/]+/[^/]+)"
    rb"|/docs.*|/openapi.json"
)
"""what the books and the shared directory answer without the writer's memory"""
Attach = Callable[[asyncio.AbstractEventLoop], None]
"""told of the event loop once it runs"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An application, and who must know the loop that it runs in."""

    application: ASGIApp
    attach: Attach


class Front:
    """The ASGI application of a node that may lead or follow; `lead` and `follow` may be called from any
    thread. `reading` serves what the books alone can answer."""

    def __init__(self, reading: Served, forwarding: Forwarding) -> None:
        self._reading = reading
        self._forwarding = forwarding
        self._term: _Term | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def lead(self, served: Served) -> None:
        """Serve everything by this application from now on."""
        self._term = _Term(served)
        if self._loop is not None:
            served.attach(self._loop)

    def follow(self) -> None:
        """Only read from now on, and let go of the sockets of the term that is over."""
        term, self._term = self._term, None
        if term is None or self._loop is None:
            return
        with suppress(RuntimeError):  # the loop may have ended, and its sockets with it
            self._loop.call_soon_threadsafe(term.end)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        term = self._term
        if term is not None:
            await term(scope, receive, send)
        elif _is_read(scope):
            await self._reading.application(scope, receive, send)
        else:
            await self._forwarding(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        self._loop = asyncio.get_running_loop()
        self._reading.attach(self._loop)
        if self._term is not None:
            self._term.served.attach(self._loop)
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        await self._forwarding.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Term:
    """The application of one term, whose sockets hear of its end."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self._over: set[asyncio.Future[None]] = set()
        self._ended = False

    def end(self) -> None:
        self._ended = True
        for over in self._over:
            if not over.done():
                over.set_result(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.served.application(scope, receive, send)
            return
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._over.add(over)
        if self._ended:
            over.set_result(None)
        try:
            await self.served.application(scope, _until(over, receive, send), send)
        finally:
            self._over.discard(over)


def _until(over: "asyncio.Future[None]", receive: Receive, send: Send) -> Receive:
    """`receive` of a socket that its node closes when the term is over."""

    async def next_message() -> Message:
        message = asyncio.ensure_future(receive())
        await asyncio.wait((message, over), return_when=asyncio.FIRST_COMPLETED)
        if message.done():
            return message.result()
        message.cancel()
        await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": "another node writes now"})
        return {"type": "websocket.disconnect", "code": TRY_AGAIN_LATER}

    return next_message


def _is_read(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and _READ.fullmatch(scope["raw_path"]) is not None
    )
