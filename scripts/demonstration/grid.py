"""The demo's grid: a node with its embedded chain and two providers, each a process of its own.

Everything is started through the command `bingwang`, as an operator and two owners would do it.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from node.cli.main import run
from scripts.demonstration.failures import DidNotStart

START_SECONDS = 60.0
IDLE_SECONDS = 10.0
PROVIDERS: tuple[Mapping[str, str], ...] = (
    {
        "--name": "harbour",
        "--domain": "harbour-lab/rotterdam",
        "--region": "eu-west",
        "--core-price": "40",
        "--gib-price": "5",
        "--memory": "2GiB",
        "--disk": "2GiB",
    },
    {
        "--name": "summit",
        "--domain": "summit-campus/zurich",
        "--region": "eu-central",
        "--core-price": "90",
        "--gib-price": "10",
        "--memory": "4GiB",
        "--disk": "4GiB",
    },
)


@dataclass
class Grid:
    """A grid below `folder`; `processes` are by name, each leading its own session."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    node_url: str = ""

    @property
    def home(self) -> Path:
        return self.folder / "buyer"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"BINGWANG_HOME": str(self.home), "BINGWANG_PASSWORD": "demo"}

    def start_node(self) -> None:
        """Start the node, which starts its chain, and join its market."""
        self.spawn_node()
        self.await_node()

    def spawn_node(self) -> None:
        """Start the node's process; it answers some seconds later."""
        self._start("node", "node", "run", "--dir", str(self.folder / "node"), "--port", "0")

    def await_node(self) -> None:
        """Join the node's market as soon as it answers."""
        url = self._await_file("node", self.folder / "node" / "node.url")
        self.node_url = url
        self.bingwang("join", url)

    def start_provider(self, which: Mapping[str, str]) -> None:
        """Make a provider and run its agent."""
        name = which["--name"]
        folder = str(self.folder / name)
        options = [text for pair in which.items() for text in pair]
        self.bingwang("provider", "init", "--dir", folder, "--cores", "1", *options)
        self._start(name, "provider", "run", "--dir", folder)

    def await_offers(self, count: int) -> list[dict[str, Any]]:
        """The live offers, once there are `count`."""
        until = time.monotonic() + START_SECONDS
        offers: list[dict[str, Any]] = []
        while len(offers) < count:
            if time.monotonic() > until:
                raise DidNotStart(f"Only {len(offers)} offers are live.\n{self._tails()}")
            self._check_alive()
            time.sleep(0.1)
            offers = httpx.get(f"{self.node_url}/v1/offers?live=true").json()["offers"]
        return offers

    def bingwang(self, *arguments: str) -> Any:  # noqa: ANN401 - the command's JSON
        """Carry out one command line, in this process to spare the imports; its JSON answer."""
        answer = io.StringIO()
        before = os.environ.copy()
        os.environ.update(self.environment)
        try:
            with redirect_stdout(answer):
                code = run([*arguments, "--json"])
        finally:
            os.environ.clear()
            os.environ.update(before)
        if code != 0:
            raise DidNotStart(f"bingwang {' '.join(arguments)}: {answer.getvalue()}")
        return json.loads(answer.getvalue())

    def remember(self) -> None:
        """Write which processes run, for `stop_kept`."""
        pids = {name: process.pid for name, process in self.processes.items()}
        (self.folder / "pids.json").write_text(json.dumps(pids))

    def await_idle(self) -> None:
        """Let the agents put away what their last leases left: containers and mounted volumes."""
        until = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < until and any(map(_has_leases, self.folder.glob("*/status.json"))):
            time.sleep(0.1)

    def stop(self) -> None:
        """End every process, providers first; what does not end in 15 s is killed."""
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "node.cli", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await_file(self, name: str, path: Path) -> str:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if path.exists():
                return path.read_text().strip()
            self._check_alive()
            time.sleep(0.05)
        raise DidNotStart(f"{name} does not answer.\n{self._tails()}")

    def _check_alive(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise DidNotStart(f"{name} ended with {process.returncode}.\n{self._tails()}")

    def _tails(self) -> str:
        logs: Sequence[Path] = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text()[-1500:]}" for log in logs)


def _has_leases(status: Path) -> bool:
    return bool(json.loads(status.read_text())["leases"])


def remove(folder: Path) -> None:
    """Remove a grid's folder; volumes that a killed agent left mounted are unmounted first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in points:
        if Path(point).is_relative_to(folder):
            subprocess.run(["umount", point], check=True)
    shutil.rmtree(folder, ignore_errors=True)


def stop_kept(folder: Path) -> list[str]:
    """End the processes of a grid that was left running; their names."""
    path = folder / "pids.json"
    if not path.exists():
        return []
    stopped = []
    for name, pid in reversed(json.loads(path.read_text()).items()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"node.cli" in command:
            os.kill(pid, signal.SIGTERM)
            _await_end(pid)
            stopped.append(name)
    path.unlink()
    return stopped


def _await_end(pid: int) -> None:
    until = time.monotonic() + 15
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
