"""A whole grid of real processes for acceptance tests: the demo's, with short windows.

Its chain is a process of its own, found by the node where its embedded one would be, so that a test may
end and start each part alone. Everything else goes through the command `bingwang`.
"""

import json
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from ledger.chain.client import MarketClient
from ledger.chain.embedded import genesis
from ledger.chain.embedded.server import url_of
from ledger.chain.keys import open_keystore
from ledger.chain.typed_data import Domain
from ledger.market.identity import Address, from_text, text
from ledger.market.lifecycle import JobState
from node.buying.buyer import Buyer
from node.buying.client import Identity, NodeClient
from node.buying.nonces import NonceCounter
from node.buying.profile import read_profile
from scripts.demonstration.grid import Grid
from tests.books_url import POSTGRESQL, drop_database, grid_kind, make_database
from tests.engine import busybox_image, engine_url

PATIENCE_SECONDS = 60.0
CHEAP = {
    "--name": "cheap",
    "--domain": "cheap-lab/rotterdam",
    "--region": "eu-west",
    "--core-price": "36",
    "--gib-price": "3.6",
    "--memory": "1GiB",
    "--disk": "1GiB",
}
DEAR = CHEAP | {"--name": "dear", "--domain": "dear-lab/zurich", "--core-price": "72", "--gib-price": "7.2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def plain(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@dataclass
class ShortGrid(Grid):
    """Receipts every 2 s, some seconds of grace; a silent agent is passed over after 3 s and lost after 6 s.

    `foreign`: the node is told of the chain by --rpc, and so does not start it again where it ends.
    """

    options: tuple[str, ...] = ("--heartbeat-timeout", "3", "--lost-after", "6")
    foreign: bool = False
    grace: int = 5
    challenge_window: int = 4
    chain_port: int = 0
    providers: dict[str, str] = field(default_factory=dict)
    """accounts by the provider's name"""
    database_url: str = ""
    """where the node's books are on PostgreSQL, once it was started; "" where they are a file"""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"DOCKER_HOST": engine_url()}

    @property
    def chain_folder(self) -> Path:
        return self.folder / "node" / "chain"

    @property
    def books_url(self) -> str:
        """Where the node's books are."""
        return self.database_url or str(self.folder / "node" / "books.sqlite3")

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.chain_port}"

    def start_chain(self) -> None:
        """Start the chain, again at its port where it ran before."""
        limits = ("--faucet-limit", "20", "--receipt-interval", "2", "--grace", str(self.grace))
        windows = ("--challenge-window", str(self.challenge_window), "--arbitration-window", "6")
        delay = ("--unstake-delay", str(self.grace + 3))
        (self.chain_folder / "rpc.url").unlink(missing_ok=True)
        where = ("--dir", str(self.chain_folder), "--port", str(self.chain_port))
        self._start("chain", "chain", "run", *where, *limits, *windows, *delay)
        url = self.until("the chain answers", lambda: answering(url_of(self.chain_folder)))
        self.chain_port = urlsplit(url).port or 0

    def start_node(self) -> None:
        """Start the node (again at its port), and join its market."""
        port = str(urlsplit(self.node_url).port if self.node_url else 0)
        (self.folder / "node" / "node.url").unlink(missing_ok=True)
        where = ("--dir", str(self.folder / "node"), "--port", port)
        self._start("node", "node", "run", *where, *self._books(), *self._chain_options(), *self.options)
        self.node_url = self._await_file("node", self.folder / "node" / "node.url")
        self.bingwang("join", self.node_url)
        if self.foreign:
            with self.chain() as client:
                client.faucet(read_profile(self.home / "profiles" / "default.json").node)

    def start_provider(self, which: Mapping[str, str], settings: Callable[[str], str] = str) -> None:
        """Make a provider, its settings file rewritten by `settings`, and run its agent."""
        name = which["--name"]
        folder = self.folder / name
        options = [text for pair in which.items() for text in pair]
        made = self.bingwang("provider", "init", "--dir", str(folder), "--cores", "1", *options)
        self.providers[name] = made["address"]
        file = folder / "provider.yaml"
        file.write_text(settings(file.read_text()))
        self.run_provider(name)

    def run_provider(self, name: str) -> None:
        """Run the agent of a provider that was made before."""
        self._start(name, "provider", "run", "--dir", str(self.folder / name))

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """Signal one process and wait for its end; the exit status."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(30)

    def command(self, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = 90) -> Outcome:
        """Run one command to its end, whatever it says."""
        done = subprocess.run(
            [sys.executable, "-m", "node.cli", *arguments],
            env=self.environment | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)

    def open_wallet(self, name: str = "default", deposit: str = "100") -> str:
        """Make a wallet with money in the market; its address."""
        made = self.bingwang("wallet", "create", name)
        self.bingwang("wallet", "faucet", name)
        if deposit:
            self.bingwang("wallet", "deposit", deposit, "--wallet", name)
        return str(made["address"])

    def job_file(self, script: str, **keys: object) -> Path:
        """A job file (JSON is YAML) that runs a shell script in the busybox image; `keys` are its own."""
        plain: dict[str, object] = {
            "name": "job",
            "image": busybox_image(),
            "command": ["sh", "-c", script],
            "resources": {"cpus": "100m", "memory": "64MiB", "disk": "16MiB"},
            "max_price": "20/h",
            "max_duration": "1m",
        }
        path = self.folder / f"job-{time.monotonic_ns()}.yaml"
        path.write_text(
            json.dumps({key: value for key, value in (plain | keys).items() if value is not None})
        )
        return path

    def submit(self, script: str, *options: str, **keys: object) -> str:
        """Submit a job that must be accepted; its id."""
        return str(self.bingwang("submit", str(self.job_file(script, **keys)), *options)["job"])

    def job(self, job: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.node_url}/v1/jobs/{job}", timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def await_state(self, job: str, *states: str) -> dict[str, Any]:
        """The job, once it is in one of the states; a final state that was not asked for fails."""

        def look() -> dict[str, Any] | None:
            found = self.job(job)
            if found["state"] in states:
                return found
            assert not JobState(found["state"]).final, (found["state"], found["code"], found["cause"])
            return None

        found: dict[str, Any] = self.until(f"{job} is {' or '.join(states)}", look)
        return found

    def await_closed(self, job: str) -> dict[str, Any]:
        """The job, once it is final and all its leases are closed."""

        def look() -> dict[str, Any] | None:
            found = self.job(job)
            closed = all(lease["state"] in ("closed", "skipped") for lease in found["leases"])
            return found if JobState(found["state"]).final and closed else None

        ended: dict[str, Any] = self.until(f"{job} is closed", look)
        return ended

    def until(self, what: str, look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """The first answer of `look` that is not None."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = look()
            if found is not None:
                return found
            self._check_alive()
            time.sleep(0.1)
        raise AssertionError(f"In vain waited until {what}.\n{self._tails()}")

    @contextmanager
    def chain(self) -> Iterator[MarketClient]:
        """The market through a client of the test's own."""
        profile = read_profile(self.home / "profiles" / "default.json")
        with closing(MarketClient(self.rpc_url, profile.market)) as client:
            yield client

    @contextmanager
    def buyer(
        self,
        wallet: str = "default",
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> Iterator[Buyer]:
        """A wallet's buyer in this process; `transport` carries its calls to the node."""
        profile = read_profile(self.home / "profiles" / "default.json")
        key = open_keystore(self.home / "wallets" / f"{wallet}.json", "demo")
        identity = Identity(domain=Domain(chain_id=profile.chain_id, market=profile.market), key=key)
        with (
            closing(MarketClient(self.rpc_url, profile.market)) as chain,
            closing(
                NodeClient(self.node_url, clock, secrets.randbits, identity, transport=transport)
            ) as node,
        ):
            name = f"{profile.chain_id}-{profile.market.hex()}-{key.address.hex()}"
            path = self.home / "nonces" / name
            counter = NonceCounter(path, lambda count, first: chain.next_nonces(key.address, count, first))
            yield Buyer(profile=profile, key=key, node=node, chain=chain, nonces=counter, clock=clock)

    def balances(self, *accounts: str) -> list[int]:
        """What each account holds in the market, as the chain has it."""
        with self.chain() as client:
            return [client.balance_of(Address(from_text(account, 20))) for account in accounts]

    def clean(self) -> None:
        """Stop everything; remove containers, mounts and loop devices that killed agents left."""
        self.stop()
        if self.database_url:
            drop_database(self.database_url)
        for account in self.providers.values():
            mine = docker("ps", "-aq", "--filter", f"label=bingwang.agent={account}").split()
            if mine:
                docker("rm", "-f", "-v", *mine)
        mounts = re.findall(r"^\S+ (\S+)", Path("/proc/mounts").read_text(), re.MULTILINE)
        for mount in mounts:
            if mount.startswith(str(self.folder)):
                subprocess.run(["umount", mount], check=True)

    def readable_books(self, copy: Path) -> str:
        """The node's books for an auditor, while the node writes them: a file is copied to `copy`."""
        if self.database_url:
            return self.database_url
        with closing(sqlite3.connect(self.books_url)) as node, closing(sqlite3.connect(copy)) as kept:
            node.backup(kept)
        return str(copy)

    def _books(self) -> tuple[str, ...]:
        if grid_kind() != POSTGRESQL:
            return ()
        self.database_url = self.database_url or make_database()
        return ("--books", self.database_url)

    def _chain_options(self) -> tuple[str, ...]:
        if not self.foreign:
            return ()
        market = genesis.read(self.chain_folder).contracts["market"]
        return "--rpc", self.rpc_url, "--market", text(market)


def answering(url: str | None) -> str | None:
    """The URL of a chain, once one answers there."""
    if url is None:
        return None
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    try:
        return url if httpx.post(url, json=question).is_success else None
    except httpx.TransportError:
        return None


def docker(*arguments: str) -> str:
    """What the engine's own command prints."""
    return subprocess.run(
        ["docker", "--host", engine_url(), *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


@contextmanager
def short_grid(folder: Path, *providers: Mapping[str, str], **settings: Any) -> Iterator[ShortGrid]:
    """A running grid with these providers' offers live, and a wallet with 100 tokens in the market."""
    grid = ShortGrid(folder=folder, **settings)
    try:
        grid.start_chain()
        grid.start_node()
        for which in providers:
            grid.start_provider(which)
        grid.open_wallet()
        grid.await_offers(len(providers))
        yield grid
    finally:
        grid.clean()
