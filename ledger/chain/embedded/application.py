"""The ways in to a served chain: JSON-RPC over HTTP POST and over WebSocket, both at `/`.

Requests run in threads, since executing and reading block, and a body is limited. A browser names the site
of the page that asks: only pages from this host are answered (and none gets CORS headers), so that a page of
another site can neither read the chain nor act on it.
"""

import ipaddress
import secrets
import time
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ledger.chain.embedded.announcing import Announcer
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.debug_methods import DebugMethods
from ledger.chain.embedded.eth_methods import EthMethods
from ledger.chain.embedded.filters import Filters
from ledger.chain.embedded.grid_methods import GridMethods
from ledger.chain.embedded.pool_methods import PoolMethods
from ledger.chain.embedded.rpc import Dispatcher
from ledger.chain.embedded.subscriptions import Subscriptions
from ledger.chain.embedded.websocket import WebSocketSessions

MAX_BODY = 8 * 1024 * 1024
_POLICY_VIOLATION = 1008


def application(chain: EmbeddedChain, grid: GridMethods, announcer: Announcer) -> Starlette:
    """The ASGI application of one chain; `announcer` is started by who serves it."""
    eth = EthMethods(chain)
    filters = Filters(chain, eth.blocks.logs, time.monotonic, _draw)
    debug = DebugMethods(chain, eth.references, eth.settings)
    tables = (debug, eth, filters, grid, PoolMethods(chain))
    dispatcher = Dispatcher(*(methods.table() for methods in tables))

    def subscriptions() -> Subscriptions:
        return Subscriptions(chain, eth.blocks.transaction_by_hash, _draw)

    return routes(dispatcher, WebSocketSessions(dispatcher, announcer, subscriptions))


def routes(dispatcher: Dispatcher, sessions: WebSocketSessions) -> Starlette:
    """POST and WebSocket at `/`."""

    async def post(request: Request) -> Response:
        if not is_local(request.headers.get("origin")):
            return Response("pages of other sites are not answered", status_code=403)
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return Response("request body too large", status_code=413)
        content = await run_in_threadpool(dispatcher.respond, body)
        if content is None:
            return Response(status_code=204)
        return Response(content, media_type="application/json")

    async def connect(socket: WebSocket) -> None:
        if is_local(socket.headers.get("origin")):
            await sessions.serve(socket)
        else:
            await socket.close(_POLICY_VIOLATION)

    return Starlette(routes=[Route("/", post, methods=["POST"]), WebSocketRoute("/", connect)])


def is_local(origin: str | None) -> bool:
    """Whether a request with this `Origin` is of no page, of a browser's extension, or of this host."""
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme.endswith("-extension"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _body(request: Request) -> bytes | None:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY:
            return None
    return bytes(parts)


def _draw() -> str:
    return f"0x{secrets.token_hex(16)}"
