#!/usr/bin/env python3
"""What the market adds to a job's start: from the accepted bid to the running process, beside `docker run`.

Both are measured in turn in one session on one engine, image present and nothing to upload. The overhead
counts from the HTTP answer that accepts the bid; `docker run` from its call, with the same flags. Either ends
at the engine's own `StartedAt`. Needs root, or membership of the group docker.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
if find_spec("eth_account") is None:  # started outside an environment that has what the lock names
    subprocess.run(["bash", "-c", "source scripts/setup"], cwd=ROOT, check=True)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606 - no shell is meant
sys.path.insert(0, str(ROOT))

from ledger.market.errors import MarketError  # noqa: E402 - after the path, see above
from ledger.market.identity import LeaseId, from_text  # noqa: E402
from ledger.market.job import Image, Job  # noqa: E402
from node.buying.buyer import Buyer, PreparedJob  # noqa: E402
from node.cli.session import Session  # noqa: E402
from provider_agent.runtimes.base import JOB_GID, JOB_HOME, JOB_UID  # noqa: E402
from provider_agent.runtimes.docker import DockerRuntime, container_name  # noqa: E402
from provider_agent.runtimes.engine import Engine  # noqa: E402
from provider_agent.runtimes.hardening import LOG_MAX_BYTES  # noqa: E402
from scripts.demonstration.failures import DidNotStart  # noqa: E402
from scripts.demonstration.grid import PROVIDERS, Grid  # noqa: E402
from scripts.figures import Figure, at_most, command_line, report  # noqa: E402

RUNS = 30
OVERHEAD_GOAL_S = 2.0
FACTOR_GOAL = 1.5
BLOCK_S = 0.2
"""the embedded chain's longest wait of a transaction for its block"""
_MS = 1000
_PATIENCE_S = 60.0
_LOOK_S = 0.25
"""seldom, since looking costs the engine time; `StartedAt` does not depend on when it is read"""
_COMMAND = ("sleep", "1")
_CPUS, _MEMORY_MIB, _DISK_MIB, _TMPFS_MIB, _PIDS = 500, 64, 16, 64, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A running grid and what both measurements need of it; `volume` is a folder that the job owns."""

    buyer: Buyer
    runtime: DockerRuntime
    image: str
    engine: str
    volume: Path

    def through_the_market(self) -> float:
        """Seconds from the accepted bid to the process running; the job is over and settled after."""
        submitted = self.buyer.submit(PreparedJob(forms=(self._job(),)))
        accepted = time.time()
        lease = LeaseId(from_text(str(submitted.answer["lease"]), 32))
        started = self._started_at(lease)
        ended = self.buyer.wait(submitted.job, _PATIENCE_S)
        until = time.monotonic() + _PATIENCE_S
        while ended["leases"][-1]["state"] != "closed" or self.runtime.inspect(lease) is not None:
            if time.monotonic() > until:
                raise SystemExit(f"{container_name(lease)} was not settled and removed: {ended['cause']}")
            time.sleep(_LOOK_S)
            ended = self.buyer.status(submitted.job)
        return started - accepted

    def with_docker_run(self) -> float:
        """Seconds from the call of `docker run` to the process running."""
        called = time.time()
        name = self._docker("run", "--detach", *self._flags(), self.image, *_COMMAND[1:])
        started = datetime.fromisoformat(self._docker("inspect", "--format", "{{.State.StartedAt}}", name))
        self._docker("wait", name)
        self._docker("rm", name)
        return started.timestamp() - called

    def _started_at(self, lease: LeaseId) -> float:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            found = self.runtime.inspect(lease)
            if found is not None and found.started_at is not None:
                return found.started_at / _MS
            time.sleep(_LOOK_S)
        raise SystemExit(f"{container_name(lease)} was not started.")

    def _job(self) -> Job:
        return Job(
            name="bench",
            image=Image(reference="busybox", config=self.image),
            command=_COMMAND,
            cpu=_CPUS,
            memory=_MEMORY_MIB,
            disk=_DISK_MIB,
            max_rate=10**11,
            max_seconds=60,
        )

    def _flags(self) -> list[str]:
        """The words of `provider_agent.runtimes.hardening` on docker's command line."""
        return [
            *("--user", f"{JOB_UID}:{JOB_GID}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--read-only", "--network", "none", "--ipc", "private", "--cgroupns", "private"),
            *("--memory", f"{_MEMORY_MIB}m", "--memory-swap", f"{_MEMORY_MIB}m", "--cpus", str(_CPUS / _MS)),
            *("--pids-limit", str(_PIDS), "--oom-score-adj", "500", "--shm-size", f"{_MEMORY_MIB}m"),
            *("--tmpfs", f"/tmp:rw,nosuid,nodev,exec,mode=1777,size={_TMPFS_MIB}m"),  # noqa: S108 - inside
            *("--ulimit", "nofile=16384:16384", "--ulimit", "core=0:0", "--no-healthcheck"),
            *(
                "--log-driver",
                "json-file",
                "--log-opt",
                f"max-size={LOG_MAX_BYTES}",
                "--log-opt",
                "max-file=2",
            ),
            *("--mount", f"type=bind,source={self.volume},target={JOB_HOME},bind-propagation=rprivate"),
            *("--hostname", "job", "--workdir", JOB_HOME, "--entrypoint", _COMMAND[0]),
        ]

    def _docker(self, *arguments: str) -> str:
        command = ["docker", "--host", self.engine, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main() -> int:
    """Measure, show and write; 0 where all goals hold."""
    arguments = _arguments()
    with (
        _engine() as engine,
        tempfile.TemporaryDirectory(prefix="bingwang-bench-") as folder,
        _bench(Path(folder), engine, _script("base_image", "busybox").split()[1]) as bench,
    ):
        bench.through_the_market()
        bench.with_docker_run()
        market, docker = [], []
        for run in range(arguments.runs):
            market.append(bench.through_the_market())
            docker.append(bench.with_docker_run())
            print(f"{run + 1:3d}  {market[-1]:.3f} s  docker run {docker[-1]:.3f} s", file=sys.stderr)
    return report(judge(market, docker), arguments.json, decimals=3)


@contextmanager
def _engine() -> Iterator[str]:
    """The URL of an engine that answers; one that was started here is stopped."""
    found = subprocess.run([ROOT / "scripts" / "engine", "url"], capture_output=True, check=False)
    os.environ["DOCKER_HOST"] = engine = _script("engine", "start")
    try:
        yield engine
    finally:
        if found.returncode != 0:
            _script("engine", "stop")


def judge(market: list[float], docker: list[float]) -> list[Figure]:
    """The figures of both series, in seconds."""
    overhead, bare = statistics.median(market), statistics.median(docker)
    bound = FACTOR_GOAL * bare + BLOCK_S
    return [
        at_most("bid accepted to process running, median", overhead, "s", OVERHEAD_GOAL_S),
        at_most("the same, beside docker run", overhead, "s", bound),
        at_most("the same, longest", max(market), "s", None),
        at_most("docker run with the same flags, median", bare, "s", None),
        Figure(name="runs of each", value=len(market), unit="", goal=None, holds=True),
    ]


@contextmanager
def _bench(folder: Path, engine: str, image: str) -> Iterator[Bench]:
    grid = Grid(folder=folder)
    provider: Mapping[str, str] = PROVIDERS[0]
    volume = folder / "volume"
    volume.mkdir()
    os.chown(volume, JOB_UID, JOB_GID) if os.getuid() == 0 else volume.chmod(0o777)
    try:
        grid.start_node()
        grid.start_provider(provider)
        grid.bingwang("wallet", "create")
        grid.bingwang("wallet", "faucet")
        grid.bingwang("wallet", "deposit", "25")
        (offer,) = grid.await_offers(1)
        os.environ |= {key: grid.environment[key] for key in ("BINGWANG_HOME", "BINGWANG_PASSWORD")}
        with Session() as session, closing(Engine(engine)) as opened:
            runtime = DockerRuntime(opened, agent=str(offer["offer"]["provider"]))
            yield Bench(buyer=session.buyer, runtime=runtime, image=image, engine=engine, volume=volume)
    finally:
        grid.stop()


def _script(name: str, *arguments: str) -> str:
    command = [str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="how many of each (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (MarketError, DidNotStart) as failure:
        sys.exit(f"The measurement failed: {failure}")
