"""A node of several processes on one PostgreSQL, beside a chain of its own; each can be killed any time."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from ledger.books.books import open_books
from ledger.chain.client import MarketClient
from ledger.chain.embedded import genesis
from ledger.chain.embedded.server import url_of
from ledger.market.identity import Address, from_text, text
from tests.books_url import POSTGRESQL, fresh_books
from tests.short_grid import answering

T = TypeVar("T")
PATIENCE_SECONDS = 120.0
WINDOWS = ("--heartbeat-timeout", "20", "--lost-after", "60")
"""nobody is lost while a writer is replaced, however slow the machine is"""
_CHAIN = "chain"


@dataclass
class ReplicatedNode:
    """Processes by name; `urls` is where each replica listens."""

    folder: Path
    books_url: str
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    rpc_url: str = ""

    @property
    def market(self) -> Address:
        return Address(genesis.read(self.folder / _CHAIN).contracts["market"])

    def start_chain(self) -> None:
        limits = ("--faucet-limit", "20", "--receipt-interval", "2", "--grace", "30")
        self._spawn(_CHAIN, "chain", "run", "--dir", str(self.folder / _CHAIN), "--port", "0", *limits)
        self.rpc_url = self.until("the chain answers", lambda: answering(url_of(self.folder / _CHAIN)))

    def start(self, *names: str) -> None:
        """Start these replicas, each on a free port, and wait until they answer."""
        market = ("--rpc", self.rpc_url, "--market", text(self.market))
        for name in names:
            where = ("--dir", str(self.folder / "shared"), "--books", self.books_url, "--port", "0")
            self._log(name, "out").unlink(missing_ok=True)
            self._spawn(name, "node", "run", *where, *market, *WINDOWS, "--json")
        for name in names:
            self.urls[name] = self.until(f"{name} answers", partial(self._announced, name))

    def kill(self, name: str) -> None:
        """End one process as a power cut would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def running_urls(self) -> list[str]:
        """Where the replicas that run now listen."""
        return [self.urls[name] for name in list(self.processes) if name in self.urls]

    def term(self) -> int:
        """How many elections there were."""
        with open_books(self.books_url) as books:
            return books.term()

    def writer(self) -> str | None:
        """The name of the replica that says it writes."""
        for name in self.urls.keys() & self.processes.keys():
            with suppress(httpx.TransportError):
                if self.health(name)["role"] == "writer":
                    return name
        return None

    def await_writer(self) -> str:
        return self.until("somebody writes", self.writer)

    def health(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.urls[name]}/v1/health", timeout=10).json()
        return found

    @contextmanager
    def chain(self) -> Iterator[MarketClient]:
        """The market through a client of the test's own."""
        with closing(MarketClient(self.rpc_url, self.market)) as client:
            yield client

    def operator(self) -> Address:
        """The account that every replica signs and sends with."""
        name = self.await_writer()
        return Address(from_text(httpx.get(f"{self.urls[name]}/v1/market", timeout=10).json()["node"], 20))

    def until(self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
        """The first answer of `look` that is not None."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = look()
            if found is not None:
                return found
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended with {process.returncode}.\n{self._tails()}"
            time.sleep(0.05)
        raise AssertionError(f"In vain waited until {what}.\n{self._tails()}")

    def stop(self) -> None:
        """End every process; what does not end in 15 s is killed."""
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def _spawn(self, name: str, *arguments: str) -> None:
        with self._log(name, "out").open("ab") as out, self._log(name, "log").open("ab") as log:
            command = [sys.executable, "-m", "node.cli", *arguments]
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True
            )

    def _announced(self, name: str) -> str | None:
        said = self._log(name, "out").read_text()
        with suppress(ValueError):
            return str(json.loads(said)["url"])
        return None

    def _log(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"

    def _tails(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs)


@contextmanager
def replicated_node(folder: Path, *names: str) -> Iterator[ReplicatedNode]:
    """A chain and these replicas, one of them writing, and coin for what they send."""
    with fresh_books(POSTGRESQL, folder) as url:
        node = ReplicatedNode(folder=folder, books_url=url)
        try:
            node.start_chain()
            node.start(*names)
            operator = node.operator()
            with node.chain() as client:
                client.faucet(operator)
            yield node
        finally:
            node.stop()
