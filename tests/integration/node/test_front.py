"""A node's address while it follows and while it leads: what it answers itself, and what it hands on."""

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from node.api.forwarding import TRY_AGAIN_LATER, Forwarding
from node.api.front import Front, Served


def echoing(name: str) -> Starlette:
    """An application that says who it is and what it was sent."""

    async def told(request: Request) -> Response:
        body = await request.body()
        return JSONResponse(
            {
                "by": name,
                "target": f"{request.url.path}?{request.url.query}",
                "method": request.method,
                "signature": request.headers.get("bingwang-signature", ""),
                "body": hashlib.sha256(body).hexdigest(),
            },
            status_code=201 if request.method == "POST" else 200,
        )

    async def stream(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first\n"
            await asyncio.sleep(60)
            yield b"never\n"

        return StreamingResponse(pieces())

    async def converse(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                said = await socket.receive_text()
                if said == "leave":
                    await socket.close(4001, "as you wish")
                    return
                await socket.send_text(f"{name}: {said}")
        except WebSocketDisconnect:
            pass

    everything = Route("/{path:path}", told, methods=["GET", "POST", "PUT", "PATCH", "HEAD"])
    return Starlette(routes=[Route("/v1/stream", stream), WebSocketRoute("/v1/agent", converse), everything])


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address, without a scheme, of an application on a socket."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


class Replica:
    """A front whose writer the test names."""

    def __init__(self) -> None:
        self.writer: str | None = None
        reading = Served(application=echoing("replica"), attach=lambda _: None)
        self.front = Front(reading, Forwarding(lambda: self.writer))
        self.address = ""

    def lead(self) -> None:
        self.front.lead(Served(application=echoing("leader"), attach=lambda _: None))

    def ask(self, method: str, target: str, **parts: object) -> httpx.Response:
        return httpx.request(method, f"http://{self.address}{target}", timeout=10, **parts)  # type: ignore[arg-type]

    def dial(self) -> ClientConnection:
        return connect(f"ws://{self.address}/v1/agent?nonce=7", proxy=None)


@pytest.fixture
def replica() -> Iterator[Replica]:
    replica = Replica()
    with served(replica.front) as address:
        replica.address = address
        yield replica


@pytest.fixture
def writer(replica: Replica) -> Iterator[None]:
    """Another node that writes."""
    with served(echoing("writer")) as address:
        replica.writer = f"http://{address}"
        yield


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize(
    ("method", "target", "by"),
    [
        ("GET", "/v1/jobs?buyer=0x00", "replica"),
        ("GET", "/v1/jobs/0x00/logs?follow=true", "replica"),
        ("GET", "/v1/blobs/00", "replica"),
        ("GET", "/v1/accounts/0x00/statement?since=1", "replica"),
        ("GET", "/v1/accounts/0x00", "writer"),
        ("GET", "/docs/static/swagger-ui.css", "replica"),
        ("GET", "/v1/offers?live=true", "writer"),
        ("GET", "/v1/jobs/0x00/other", "writer"),
        ("POST", "/v1/jobs", "writer"),
        ("PUT", "/v1/leases/0x00/logs?offset=3", "writer"),
    ],
)
def test_a_replica_reads_itself_and_hands_on_the_rest(
    replica: Replica, method: str, target: str, by: str
) -> None:
    answer = replica.ask(method, target, headers={"Bingwang-Signature": "0xab"}).json()
    assert (answer["by"], answer["target"].rstrip("?"), answer["method"]) == (by, target, method)
    assert answer["signature"] == "0xab"


@pytest.mark.usefixtures("writer")
def test_a_large_body_arrives_whole(replica: Replica) -> None:
    body = bytes(range(256)) * 20_000
    answer = replica.ask("PATCH", "/v1/blobs/00", content=body)
    assert answer.json()["body"] == hashlib.sha256(body).hexdigest()
    pieces = replica.ask("POST", "/v1/bids", content=iter([body[:7], body[7:]]))
    assert (pieces.status_code, pieces.json()["body"]) == (201, hashlib.sha256(body).hexdigest())


@pytest.mark.usefixtures("writer")
def test_a_stream_is_passed_on_as_it_comes(replica: Replica) -> None:
    with httpx.stream("GET", f"http://{replica.address}/v1/stream", timeout=10) as answer:
        assert next(answer.iter_bytes()) == b"first\n"


@pytest.mark.parametrize("writer_url", [None, "http://127.0.0.1:1"], ids=["none", "gone"])
def test_without_a_writer_the_caller_is_told_to_come_again(replica: Replica, writer_url: str | None) -> None:
    replica.writer = writer_url
    answer = replica.ask("POST", "/v1/bids", json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "no-writer")
    assert (answer.headers["retry-after"], answer.headers["content-type"]) == (
        "1",
        "application/problem+json",
    )
    assert replica.ask("GET", "/v1/jobs").json()["by"] == "replica"
    with pytest.raises(InvalidStatus):
        replica.dial()


def test_a_request_goes_through_one_replica_at_most(replica: Replica) -> None:
    with served(
        Front(Served(application=echoing("second"), attach=lambda _: None), Forwarding(lambda: None))
    ) as second:
        replica.writer = f"http://{second}"
        assert replica.ask("POST", "/v1/bids", json={}).status_code == 503


@pytest.mark.usefixtures("writer")
def test_an_agent_talks_to_the_writer_through_a_replica(replica: Replica) -> None:
    with replica.dial() as socket:
        socket.send("hello")
        assert socket.recv(10) == "writer: hello"
        socket.send("leave")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")


def test_an_agent_is_let_go_when_the_writer_ends(replica: Replica) -> None:
    with ExitStack() as writer:
        replica.writer = f"http://{writer.enter_context(served(echoing('writer')))}"
        with replica.dial() as socket:
            socket.send("hello")
            assert socket.recv(10) == "writer: hello"
            writer.close()
            with pytest.raises(ConnectionClosed):
                socket.recv(10)


@pytest.mark.usefixtures("writer")
def test_who_leads_answers_everything_until_the_term_is_over(replica: Replica) -> None:
    replica.lead()
    assert replica.ask("GET", "/v1/jobs").json()["by"] == "leader"
    assert replica.ask("POST", "/v1/bids").json()["by"] == "leader"
    with replica.dial() as socket:
        socket.send("hello")
        assert socket.recv(10) == "leader: hello"
        replica.front.follow()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == TRY_AGAIN_LATER
    assert replica.ask("GET", "/v1/jobs").json()["by"] == "replica"
    assert replica.ask("POST", "/v1/bids").json()["by"] == "writer"
