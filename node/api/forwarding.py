"""What a replica cannot answer goes to the node that writes, byte for byte: the caller's signature covers it.

A replica forwards once. Where no writer is elected, or it does not answer, the caller is told to try again
in a moment; every call that acts is idempotent, so one whose answer was lost may be sent again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing, suppress

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from ledger.market.errors import MarketError, Unavailable
from node.api.problems import of_error

_log = logging.getLogger(__name__)
FORWARDED = b"bingwang-forwarded"
RETRY_SECONDS = 1
TRY_AGAIN_LATER = 1013
_ABNORMAL = 1006
"""a connection that was lost; nobody may send this code (RFC 6455)"""
_TIMEOUT = httpx.Timeout(60.0, connect=3.0)
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=64)
_OPEN_SECONDS = 5.0
_OWN_TO_A_CONNECTION = frozenset(
    [b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"host"]
)
Headers = Iterable[tuple[bytes, bytes]]
WriterOf = Callable[[], str | None]
"""the URL of the node that writes, None where there is none or it is this one"""


class NoWriter(Unavailable):
    """No node writes at the moment."""

    def __init__(self) -> None:
        super().__init__(
            "no-writer", "No node of this market writes at the moment.", "Try again in a second."
        )


class Forwarding:
    """An ASGI application that is another node's; `writer` is asked for every request."""

    def __init__(self, writer: WriterOf) -> None:
        self._writer = writer
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._forward_socket(scope, receive, send)
            return
        try:
            answer = await self._ask(scope, receive)
        except MarketError as error:
            refusal = of_error(error)
            refusal.headers["Retry-After"] = str(RETRY_SECONDS)
            await refusal(scope, receive, send)
            return
        async with aclosing(answer):
            await _first(_relay(answer, send), _hung_up(receive))

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()

    async def _url(self, scope: Scope, scheme: str) -> str:
        if any(name == FORWARDED for name, _ in scope["headers"]):
            raise NoWriter
        writer = await run_in_threadpool(self._writer)
        if writer is None:
            raise NoWriter
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        return f"{scheme}{writer.removeprefix('http')}{target}"

    async def _ask(self, scope: Scope, receive: Receive) -> httpx.Response:
        url = await self._url(scope, "http")
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT, limits=_LIMITS, trust_env=False)
        try:
            request = self._client.build_request(
                scope["method"], url, headers=_passed_on(scope["headers"]), content=_body(scope, receive)
            )
            return await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("the writer does not answer: %s", error)
            raise NoWriter from error

    async def _forward_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            url = await self._url(scope, "ws")
            upstream = await connect(
                url,
                additional_headers={FORWARDED.decode(): "1"},
                open_timeout=_OPEN_SECONDS,
                proxy=None,
            )
        except (MarketError, OSError, WebSocketException) as error:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": str(error)[:100]})
            return
        async with upstream:
            await send({"type": "websocket.accept"})
            await _join(upstream, receive, send)


def _passed_on(headers: Headers) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() not in _OWN_TO_A_CONNECTION]
    return [*kept, (FORWARDED, b"1")]


def _body(scope: Scope, receive: Receive) -> AsyncIterator[bytes] | None:
    """The request's body as it arrives; None where it announces none."""
    names = {name for name, _ in scope["headers"]}
    if not names & {b"content-length", b"transfer-encoding"}:
        return None
    return _chunks(receive)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.WriteError("the caller hung up")
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first(*works: Coroutine[None, None, None]) -> None:
    """Return once one of them is done, with its failure if it has one; the others are cut off."""
    tasks = [asyncio.create_task(work) for work in works]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


async def _relay(answer: httpx.Response, send: Send) -> None:
    headers = [
        (name, value) for name, value in answer.headers.raw if name.lower() not in _OWN_TO_A_CONNECTION
    ]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    async for chunk in answer.aiter_raw():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _join(upstream: ClientConnection, receive: Receive, send: Send) -> None:
    """Carry messages both ways until either side leaves."""
    await _first(_downwards(upstream, send), _upwards(upstream, receive))


async def _downwards(upstream: ClientConnection, send: Send) -> None:
    try:
        async for message in upstream:
            await send(_message("websocket.send", message))
    except ConnectionClosed:
        pass
    finally:
        code = upstream.close_code
        lost = code is None or code == _ABNORMAL
        with suppress(RuntimeError):
            await send(
                {
                    "type": "websocket.close",
                    "code": TRY_AGAIN_LATER if lost else code,
                    "reason": upstream.close_reason or "",
                }
            )


def _message(kind: str, message: str | bytes) -> Message:
    return {"type": kind, "text": message} if isinstance(message, str) else {"type": kind, "bytes": message}


async def _upwards(upstream: ClientConnection, receive: Receive) -> None:
    with suppress(ConnectionClosed):
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                await upstream.close()
                return
            text = message.get("text")
            await upstream.send(message["bytes"] if text is None else text)
