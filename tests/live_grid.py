"""A grid whose processes a test can kill, freeze and start again at any moment, and the outside's view of it.

What ran is counted by the engine's own event stream, what was paid by the chain's own events; nothing that
our processes say of themselves decides a test.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ledger.books.books import open_books
from ledger.books.compare import compare
from ledger.chain.audit import audit
from ledger.chain.client import ChainLease
from ledger.chain.embedded import genesis
from ledger.chain.embedded.grid import GridPolicy
from ledger.chain.embedded.server import url_of
from ledger.market.events import LeaseClosed, LeaseOpened, UsageSettled
from ledger.market.identity import Address, LeaseId, from_text, text
from node.cli.commands.grid import found
from node.embedded_chain import PORT_FILE
from tests.books_url import database_of, make_copy, make_database
from tests.engine import engine_url
from tests.short_grid import ShortGrid, answering, docker

AGENT = "cheap"
NODE = "node"
CHAIN = "chain"
WINDOWS = ("--heartbeat-timeout", "10", "--lost-after", "20")
"""a frozen agent is still matched, and one that is started again in time has lost nothing"""
RESTART_SECONDS = 60.0
"""how long after a restart a job may take to its end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """What the engine said of a container; `at` in nanoseconds since 1970."""

    action: str
    lease: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What the chain's events say of one lease."""

    opened: tuple[LeaseOpened, ...]
    settled: tuple[UsageSettled, ...]
    closed: tuple[LeaseClosed, ...]


@dataclass
class LiveGrid(ShortGrid):
    """One provider, one buyer. `supervised`: the node runs the chain; else it is a process of its own."""

    options: tuple[str, ...] = WINDOWS
    supervised: bool = False
    on_demand: bool = False
    sealing: bool = True
    """whether waiting for something seals a chain that seals on demand"""
    events: "subprocess.Popen[bytes] | None" = None

    def start_chain(self) -> None:
        """Start the chain at its port, sealing as `on_demand` says."""
        (self.chain_folder / "rpc.url").unlink(missing_ok=True)
        how = ("--on-demand",) if self.on_demand else ()
        self._start(
            CHAIN, "chain", "run", "--dir", str(self.chain_folder), "--port", str(self.chain_port), *how
        )
        self.until("the chain answers", lambda: answering(url_of(self.chain_folder)))

    def start_node(self) -> None:
        """Start the node at its port: on the chain that is a process of its own, or else on its own."""
        if not self.supervised:
            market = text(Address(genesis.read(self.chain_folder).contracts["market"]))
            self.options = (*WINDOWS, "--rpc", self.rpc_url, "--market", market)
        super().start_node()

    def kill(self, *names: str) -> None:
        """Kill -9 each of them, all before any is waited for."""
        for name in names:
            self.processes[name].send_signal(signal.SIGKILL)
        for name in names:
            self.processes.pop(name).wait()

    def kill_all(self) -> None:
        """Kill -9 everything at once, also the chain that the node started."""
        _kill_naming(self.folder)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def kill_supervised_chain(self) -> None:
        """Kill -9 the chain that the node started, and wait until the node has started it again."""
        (self.chain_folder / "rpc.url").unlink()
        _kill_naming(self.chain_folder)
        self.until("the chain answers", lambda: answering(url_of(self.chain_folder)))

    def start(self, *names: str) -> None:
        """Start what was killed, in the order given."""
        for name in names:
            {CHAIN: self.start_chain, NODE: self.start_node}.get(name, lambda: self.run_provider(AGENT))()

    def freeze(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Of no effect on one that was killed meanwhile."""
        if name in self.processes:
            self.processes[name].send_signal(signal.SIGCONT)

    def waiting(self) -> int:
        """How many transactions wait for a block."""
        return int(self._rpc("bingwang_status")["waiting"])

    def mine(self) -> None:
        """Seal what waits."""
        self._rpc("evm_mine")

    def until(self, what: str, look: Callable[[], Any], seconds: float = RESTART_SECONDS) -> Any:
        """The first answer of `look` that is neither None nor False."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.on_demand and self.sealing and CHAIN in self.processes and self.waiting():
                self.mine()
            with suppress(httpx.TransportError):
                if (answer := look()) is not None and answer is not False:
                    return answer
            self._check_alive()
            time.sleep(0.05)
        raise AssertionError(f"In vain waited until {what}.\n{self._tails()}")

    def record(self) -> None:
        """Write down from now on what the engine says of leases' containers."""
        with (self.folder / "engine.events").open("wb") as file:
            where = ("docker", "--host", engine_url(), "events", "--since", str(int(time.time())))
            which = ("--filter", "type=container", "--filter", "label=bingwang.lease")
            self.events = subprocess.Popen([*where, *which, "--format", "{{json .}}"], stdout=file)

    def recorded(self, lease: str, action: str) -> list[EngineEvent]:
        """What the engine said of a lease's container so far."""
        lines = (self.folder / "engine.events").read_bytes().split(b"\n")[:-1]
        said = [json.loads(line) for line in lines]
        events = [
            EngineEvent(
                action=one["Action"], lease=one["Actor"]["Attributes"]["bingwang.lease"], at=one["timeNano"]
            )
            for one in said
        ]
        return [one for one in events if (one.lease, one.action) == (lease.removeprefix("0x"), action)]

    def await_event(self, lease: str, action: str) -> None:
        self.until(f"the engine says {action}", lambda: bool(self.recorded(lease, action)))

    def container_state(self, lease: str) -> str:
        """The engine's own word, "" where there is no container."""
        name = f"name=bingwang-{lease.removeprefix('0x')[:40]}"
        return docker("ps", "-a", "--filter", name, "--format", "{{.State}}").strip()

    def containers(self) -> list[str]:
        """Names of all containers of our provider."""
        label = f"label=bingwang.agent={self.providers[AGENT]}"
        return docker("ps", "-a", "--filter", label, "--format", "{{.Names}}").split()

    def lease_on_chain(self, lease: str) -> ChainLease | None:
        with self.chain() as client:
            return client.lease_of(LeaseId(from_text(lease, 32)))

    def await_lease(self, lease: str) -> None:
        self.until(f"lease {lease} is open", lambda: self.lease_on_chain(lease))

    def await_end(self, job: str) -> dict[str, Any]:
        """The job, once it is final, its leases are closed and its provider has cleared the host."""
        ended = self.await_closed(job)
        self.until("the host is cleared", lambda: not self.containers())
        return ended

    def payment(self, lease: str) -> Payment:
        """What the chain's events say of a lease, read from the first block."""
        name = LeaseId(from_text(lease, 32))
        with self.chain() as client:
            events = [logged.event for logged in client.logs(0, client.block("latest").number)]
        return Payment(
            opened=tuple(one for one in events if isinstance(one, LeaseOpened) and one.id == name),
            settled=tuple(one for one in events if isinstance(one, UsageSettled) and one.lease == name),
            closed=tuple(one for one in events if isinstance(one, LeaseClosed) and one.lease == name),
        )

    def findings(self) -> list[object]:
        """What the auditor finds wrong: in the market by its events alone, and in the node's books."""
        self.until("the node has read the chain", self._has_caught_up)
        self.kill(*(name for name in (AGENT, NODE) if name in self.processes))
        with self.chain() as client:
            report = audit(client, 0)
        with open_books(self.books_url) as books:
            return [*report.findings, *compare(books, report.state)]

    def _has_caught_up(self) -> bool:
        chain = httpx.get(f"{self.node_url}/v1/health", timeout=10).json()["parts"]["chain"]
        return bool(chain["ok"]) and chain["lag"] == 0

    def clean(self) -> None:
        """Kill whatever was ever started here, and remove what it left."""
        if self.events is not None:
            self.events.kill()
            self.events.wait()
        self.kill_all()
        super().clean()

    def _rpc(self, method: str) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": []}
        return httpx.post(self.rpc_url, json=question, timeout=10).json()["result"]


def _kill_naming(folder: Path) -> None:
    """Kill -9 every process whose command line names the folder or what lies below it."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(folder) in line.read_bytes():
                os.kill(int(line.parent.name), signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A grid's folder as a kill -9 of everything left it: one provider with an offer, a buyer with money."""

    folder: Path
    chain_port: int
    node_url: str
    providers: Mapping[str, str]
    database: str
    """the books' database on PostgreSQL, "" where they are a file"""


def make_template(folder: Path, provider: Mapping[str, str]) -> Template:
    """Make the grid that every test begins with a copy of."""
    grid = LiveGrid(folder=folder, supervised=True)
    try:
        grid.chain_folder.mkdir(parents=True)
        found(
            grid.chain_folder,
            GridPolicy(receipt_interval=2, grace=5, challenge_window=4, arbitration_window=6),
        )
        grid.start_node()
        grid.chain_port = int((grid.chain_folder / PORT_FILE).read_text())
        grid.start_provider(provider)
        grid.open_wallet()
        grid.await_offers(1)
        grid.kill_all()
        return Template(
            folder=folder,
            chain_port=grid.chain_port,
            node_url=grid.node_url,
            providers=grid.providers,
            database=database_of(make_copy(grid.database_url)) if grid.database_url else "",
        )
    finally:
        grid.clean()


@contextmanager
def live_grid(
    template: Template,
    folder: Path,
    *,
    agent: bool = True,
    engine: str = "",
    on_demand: bool = False,
    supervised: bool = False,
) -> Iterator[LiveGrid]:
    """A running copy of the template, the engine recorded. `agent`: whether the provider is there from the
    beginning; `engine`: where its agent finds the engine, if not directly; `supervised`: the node runs the
    chain, which otherwise is a process of its own."""
    grid = LiveGrid(
        folder=shutil.copytree(template.folder, folder / "grid"),
        on_demand=on_demand,
        sealing=not on_demand,
        supervised=supervised,
        chain_port=template.chain_port,
        node_url=template.node_url,
        providers=dict(template.providers),
        database_url=make_database(template.database) if template.database else "",
    )
    try:
        grid.record()
        if engine:
            with (grid.folder / AGENT / "provider.yaml").open("a") as settings:
                settings.write(f"engine: {engine}\n")
        grid.start(*([] if supervised else [CHAIN]), *([AGENT] if agent else []), NODE)
        if agent:
            grid.await_offers(1)
        yield grid
    finally:
        grid.clean()
