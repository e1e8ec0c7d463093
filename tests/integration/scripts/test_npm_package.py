"""An outside tool comes whole and as it was published, or not at all."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.npm_tools import ROOT, npm_tool

SCRIPT = ROOT / "scripts" / "npm_package"


def run(*words: object, registry: str = "http://127.0.0.1:1") -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "npm_config_registry": registry, "no_proxy": "127.0.0.1"}
    command = [str(word) for word in (SCRIPT, *words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


class _Junk(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"not what was published")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def junk() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Junk", (_Junk,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
        server.shutdown()
        thread.join()


def test_what_is_there_is_not_fetched_again() -> None:
    path = npm_tool("ws")
    again = run("ws")
    assert (again.returncode, again.stdout.strip()) == (0, path)
    assert Path(path).with_name("package.json").is_file()


def test_a_tarball_that_is_not_the_published_one_is_refused(
    junk: tuple[str, list[str]], tmp_path: Path
) -> None:
    registry, asked = junk
    refused = run("ws", tmp_path / "ws", registry=registry)
    assert refused.returncode == 4
    assert "is not the published ws" in refused.stderr
    assert asked == ["/ws/-/ws-8.18.3.tgz"]
    assert not (tmp_path / "ws").exists()


def test_one_name_of_a_known_tool_is_wanted() -> None:
    for words in ((), ("left-pad",), ("ws", "a", "b")):
        refused = run(*words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "anvil|cast|ethers|ws" in refused.stderr
