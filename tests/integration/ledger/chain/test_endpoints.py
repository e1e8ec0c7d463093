"""What an endpoint's own words and silences mean to who asks it for logs."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from ledger.chain.log_ranges import LogRange
from ledger.chain.rpc import Rpc
from ledger.market.errors import MarketError, Rejected, Unavailable


@contextmanager
def refusing(code: int, message: str) -> Iterator[Rpc]:
    """An endpoint that answers every question with this error object."""

    class Refusal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            error = {"code": code, "message": message}
            answer = json.dumps({"jsonrpc": "2.0", "id": question["id"], "error": error}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Refusal)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    rpc = Rpc(f"http://127.0.0.1:{server.server_port}")
    try:
        yield rpc
    finally:
        rpc.close()
        server.shutdown()
        server.server_close()
        thread.join()


def failure_of(rpc: Rpc) -> MarketError:
    with pytest.raises(MarketError) as failure:
        rpc.raw("eth_getLogs", {})
    return failure.value


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "query returned more than 10000 results"),
        (-32600, "eth_getLogs is limited to a 10 block range"),
        (-32602, "Log response size exceeded"),
        (-32000, "block range extends beyond current head block"),
    ],
)
def test_whatever_its_words_a_refusal_is_a_reason_to_ask_for_less(code: int, message: str) -> None:
    with refusing(code, message) as rpc:
        failure = failure_of(rpc)
    assert isinstance(failure, Rejected)
    assert LogRange().halved(failure, 100)


@pytest.mark.parametrize("message", ["request count exceeded, request rate limited", "Too Many Requests"])
def test_who_asks_too_often_is_to_wait_and_not_to_ask_for_less(message: str) -> None:
    with refusing(-32005, message) as rpc:
        failure = failure_of(rpc)
    assert isinstance(failure, Unavailable)
    assert failure.code == "rpc-rate-limited"
    assert not LogRange().halved(failure, 100)


def test_an_answer_that_takes_too_long_is_a_reason_to_ask_for_less() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        rpc = Rpc(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout=0.05)
        failure = failure_of(rpc)
        rpc.close()
    assert failure.code == "rpc-unreachable"
    assert LogRange().halved(failure, 100)


def test_a_port_where_nobody_is_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    rpc = Rpc(f"http://127.0.0.1:{port}")
    failure = failure_of(rpc)
    rpc.close()
    assert failure.code == "rpc-unreachable"
    assert not LogRange().halved(failure, 100)
