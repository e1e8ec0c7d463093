"""Which pages may ask, and how much they may say."""

import asyncio
from typing import Any, cast

import httpx
import pytest

from ledger.chain.embedded.application import MAX_BODY, is_local, routes
from ledger.chain.embedded.rpc import Dispatcher
from ledger.chain.embedded.websocket import WebSocketSessions


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://localhost",
        "http://LOCALHOST:3000",
        "https://app.localhost",
        "http://127.0.0.1:8545",
        "http://127.9.9.9",
        "http://[::1]:3000",
        "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
    ],
)
def test_programs_extensions_and_pages_of_this_host_may_ask(origin: str | None) -> None:
    assert is_local(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://evil.example#localhost",
        "http://localhost@evil.example",
        "http://10.0.0.1",
        "http://[::ffff:1.2.3.4]",
        "http://[broken",
        "file://",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    assert not is_local(origin)


def post(body: bytes) -> httpx.Response:
    dispatcher = Dispatcher({"ping": lambda: "pong"})
    sessions = WebSocketSessions(dispatcher, cast(Any, None), cast(Any, None))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(routes(dispatcher, sessions))
        async with httpx.AsyncClient(transport=transport, base_url="http://chain") as client:
            return await client.post("/", content=body)

    return asyncio.run(ask())


def test_a_body_up_to_the_limit_is_read_and_a_larger_one_refused() -> None:
    call = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert post(call.ljust(MAX_BODY)).json()["result"] == "pong"
    assert post(call.ljust(MAX_BODY + 1)).status_code == 413


def test_a_notification_has_no_answer() -> None:
    response = post(b'{"jsonrpc":"2.0","method":"ping"}')
    assert (response.status_code, response.content) == (204, b"")
