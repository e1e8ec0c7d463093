"""A chain of 100,000 blocks, every one sealed by the chain itself, and what it takes to live with it.

Ten thousand events lie spread over it, one in a hundred of them under a topic of its own. The chain is then
served by a fresh process, as an operator's is after a restart: time to its first answer, queries over HTTP,
and the most memory it ever held.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.grid import deploy, open_chain
from ledger.chain.embedded.server import url_of
from scripts.ledger_bench.chains import ours
from scripts.ledger_bench.workload import START

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCKS = 100_000
EVENTS = 10_000
PER_CALL = 20
RARE = 100
"""every so manieth call logs under the topic of its own"""
REPEATS = 5
_START_SECONDS = 120
_SERVE = """
import sys, time
from pathlib import Path
from ledger.chain.embedded.server import run
run(Path(sys.argv[1]), clock=time.time, port=0)
"""
_COMMON, _OWN = 7, 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Seconds for opening, a process's first answer, all events and those of one topic; bytes of memory and
    of the file; seconds a block while it grew."""

    reopened: float
    started: float
    all_logs: float
    one_topic: float
    found: int
    memory: int
    file: int
    sealing: float


def logger() -> bytes:
    """Creation code of a contract that logs `PER_CALL` times under the topic in its call data."""
    body = bytes.fromhex("5f3560205fa1") * PER_CALL + b"\0"  # log1(0, 32, calldataload(0))
    return bytes([0x60, len(body), 0x60, 10, 0x5F, 0x39, 0x60, len(body), 0x5F, 0xF3]) + body


def grow(directory: Path, tick: Callable[[], None], blocks: int = BLOCKS) -> float:
    """Seal them; seconds a block."""
    began = time.perf_counter()
    with ours(directory) as bench:
        chain = bench.chain
        contract = deploy(chain, logger())
        every = blocks // (EVENTS // PER_CALL)
        calls = 0
        while (number := chain.head().number) < blocks:
            if number > calls * every and calls < EVENTS // PER_CALL:
                topic = _OWN if calls % RARE == 0 else _COMMON
                calls += 1
                chain.submit(sign(chain, to=contract, gas=200_000, data=topic.to_bytes(32, "big")))
            chain.seal(empty=True)
            tick()
    return (time.perf_counter() - began) / blocks


def live(directory: Path, sealing: float) -> Life:
    """Open it, then serve it from a fresh process and ask."""
    began = time.perf_counter()
    chain = open_chain(directory, lambda: START)
    head = chain.head().number
    reopened = time.perf_counter() - began
    chain.close()
    began = time.perf_counter()
    with _served(directory) as (url, process), httpx.Client(timeout=60) as client:
        assert int(_ask(client, url, "eth_blockNumber"), 16) >= head
        started = time.perf_counter() - began
        all_logs, found = _timed(client, url, {"fromBlock": "0x0", "toBlock": "latest"})
        topics = [f"0x{_OWN:064x}"]
        one_topic, _ = _timed(client, url, {"fromBlock": "0x0", "toBlock": "latest", "topics": topics})
        memory = _peak_memory(process.pid)
    return Life(
        reopened=reopened,
        started=started,
        all_logs=all_logs,
        one_topic=one_topic,
        found=found,
        memory=memory,
        file=(directory / "chain.sqlite3").stat().st_size,
        sealing=sealing,
    )


@contextmanager
def _served(directory: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    process = subprocess.Popen([sys.executable, "-c", _SERVE, str(directory)], cwd=ROOT)
    try:
        end = time.monotonic() + _START_SECONDS
        while (url := url_of(directory)) is None:
            assert process.poll() is None, "the chain ended"
            assert time.monotonic() < end, "the chain did not start"
            time.sleep(0.005)
        yield url, process
    finally:
        process.terminate()
        process.wait()


def _timed(client: httpx.Client, url: str, wanted: dict[str, Any]) -> tuple[float, int]:
    seconds, found = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = len(_ask(client, url, "eth_getLogs", wanted))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), found


def _ask(client: httpx.Client, url: str, method: str, *parameters: object) -> Any:  # noqa: ANN401 - JSON
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    answer = client.post(url, json=question).raise_for_status().json()
    assert "error" not in answer, answer
    return answer["result"]


def _peak_memory(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
