"""The second EVM: anvil (revm), a process of its own on a free port, fetched by `scripts/anvil` at first."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0


@cache
def anvil_binary() -> str:
    """Where it lies; a host that cannot reach the npm registry fails here, with the reason."""
    found = subprocess.run([ROOT / "scripts" / "anvil"], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@contextmanager
def anvil(*options: str) -> Iterator[str]:
    """The JSON-RPC URL of a new chain; `options` are anvil's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [anvil_binary(), "--port", str(port), "--silent", "--accounts", "1", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _await(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def ask(url: str, method: str, *params: object) -> Any:
    """One JSON-RPC call; its result."""
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    answer = httpx.post(url, json=question, timeout=60).json()
    assert "error" not in answer, answer
    return answer["result"]


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "anvil ended"
        try:
            ask(url, "eth_chainId")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("anvil does not answer")
