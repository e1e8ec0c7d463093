"""On a running grid: a stranger with an empty folder and an RPC endpoint repeats what the matcher decided."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.short_grid import CHEAP, DEAR, Outcome, ShortGrid, short_grid

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    with short_grid(tmp_path_factory.mktemp("replay"), CHEAP, DEAR) as running:
        jobs = [running.submit(f"echo {number}") for number in range(2)]
        for job in jobs:
            running.await_closed(job)
        yield running


def epochs(grid: ShortGrid) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = httpx.get(f"{grid.node_url}/v1/epochs", trust_env=False).json()["epochs"]
    return listed


def replay(grid: ShortGrid, root: str, *options: str) -> Outcome:
    return grid.command("replay", root, "--rpc", grid.rpc_url, *options, "--json")


def test_every_epoch_is_repeated_from_an_empty_folder(grid: ShortGrid, tmp_path: Path) -> None:
    found = epochs(grid)
    assert len(found) == 2
    for epoch in found:
        outcome = replay(grid, epoch["root"], "--node", grid.node_url, "--save", str(tmp_path))
        assert outcome.code == 0, outcome
        told = outcome.plain
        assert (told["agrees"], told["matches"], told["offers"]) == (True, 1, 2)
        assert told["on_chain"]["leases"] == {"opened as matched": 1}
        assert told["on_chain"]["bids"] == {"signed by the buyer": 1}
        assert told["same_sources"]
        by_transaction = replay(grid, told["transaction"], "--file", str(tmp_path))
        assert by_transaction.plain["root"] == epoch["root"]


def test_a_node_that_lies_by_one_unit_is_refused(grid: ShortGrid) -> None:
    epoch = epochs(grid)[0]
    root, at = epoch["root"], epoch["at"]
    with lying(grid.node_url, b"i%de" % at, b"i%de" % (at + 1)) as liar:
        outcome = replay(grid, root, "--node", liar)
    assert outcome.code == 3
    assert outcome.plain["code"] in ("page-altered", "page-missing")


class lying:  # noqa: N801 - reads as what it does
    """A node that hands on another's answers with some bytes replaced."""

    def __init__(self, url: str, before: bytes, after: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = httpx.get(url + self.path, trust_env=False).content
                if before.hex().encode() in body:
                    body = body.replace(before.hex().encode(), after.hex().encode())
                body = body.replace(before, after)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
