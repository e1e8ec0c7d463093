"""The command line of the fuzzing: shares the steps out to processes, adds up what they say, shows it."""

import argparse
import json
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.figures import Figure, at_least, at_most, write
from tests.anvil import anvil_binary

ROOT = Path(__file__).resolve().parent.parent.parent
COUNTS = ("runs", "steps", "calls", "anvil_steps", "anvil_calls")
LINE_SECONDS = 30.0
"""how often progress is told where nobody watches a bar"""
console = Console()


@dataclass(slots=True)
class Report:
    """What came of it, added up."""

    seed: int
    evm: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTS, 0)))
    happened: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, told: dict[str, Any]) -> None:
        """One line of a worker."""
        self.happened.update(told.get("happened", {}))
        if "violation" in told:
            self.violations.append(str(told["violation"]))
        self.counts.update({name: told[name] for name in COUNTS if name in told})

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.counts["steps"] / self.seconds if self.seconds else 0.0

    def line(self) -> str:
        """For people."""
        counts = self.counts
        return (
            f"{counts['steps']:,} steps ({counts['calls']:,} calls) on py-evm, "
            f"{counts['anvil_steps']:,} steps ({counts['anvil_calls']:,} calls) replayed on anvil, "
            f"{self.rate:.1f} steps/s, "
            f"{len(self.violations)} violations"
        )

    def figures(self, steps: int) -> list[Figure]:
        """What was asked for against what was done."""
        return [
            at_least("steps on py-evm", self.counts["steps"], "steps", steps),
            at_most("violations", len(self.violations), "", 0),
        ]

    def to_plain(self) -> dict[str, object]:
        """What else `--json` tells."""
        told: dict[str, object] = {"seed": self.seed, "evm": self.evm, "seconds": round(self.seconds, 1)}
        told |= {"steps_per_second": round(self.rate, 2), **self.counts}
        return told | {"violations": self.violations, "happened": dict(self.happened.most_common())}


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What was asked for; wrong ones exit with 2."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description="Random calls against the model, on two EVMs."
    )
    parser.add_argument("--steps", type=int, required=True, help="how many steps to make in all")
    parser.add_argument("--seed", type=int, help="of the first round; chosen at random otherwise")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--evm", choices=("both", "py-evm"), default="both")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--violations", type=Path, metavar="FOLDER", help="where failing sequences go")
    parser.add_argument("--called-from", type=Path, default=Path(), help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    if asked.steps < 1 or asked.jobs < 1:
        parser.error("--steps and --jobs are at least 1")
    if asked.seed is None:
        asked.seed = secrets.randbelow(2**32)
    asked.violations = asked.called_from / (asked.violations or ROOT / ".bingwang" / "fuzz")
    return asked


def start(asked: argparse.Namespace) -> list[subprocess.Popen[str]]:
    """One process a job, each with seeds of its own."""
    steps = -(-asked.steps // asked.jobs)
    shares = [
        {
            "seed": asked.seed + job,
            "stride": asked.jobs,
            "steps": steps,
            "anvil": asked.evm == "both",
            "folder": str(asked.violations.absolute()),
        }
        for job in range(asked.jobs)
    ]
    command = [sys.executable, "-m", "scripts.fuzzing.worker"]
    return [
        subprocess.Popen([*command, json.dumps(share)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for share in shares
    ]


def listen(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    """Pass a worker's lines on; None is the last."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def gather(workers: Sequence[subprocess.Popen[str]], report: Report, steps: int) -> None:
    """Add up until all workers have ended."""
    lines: queue.Queue[str | None] = queue.Queue()
    for worker in workers:
        assert worker.stdout
        threading.Thread(target=listen, args=(worker.stdout, lines), daemon=True).start()
    started = told = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=steps)
        going = len(workers)
        while going:
            line = lines.get()
            if line is None:
                going -= 1
                continue
            report.add(json.loads(line))
            report.seconds = time.monotonic() - started
            progress.update(task, completed=report.counts["steps"], description=report.line())
            if not console.is_terminal and time.monotonic() - told > LINE_SECONDS:
                told = time.monotonic()
                console.print(report.line(), soft_wrap=True)


def run(workers: Sequence[subprocess.Popen[str]], report: Report, steps: int) -> None:
    """Until all is done, or somebody has seen enough and interrupts; a worker that breaks down is a
    violation."""
    try:
        gather(workers, report, steps)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
        return
    for worker in workers:
        if worker.wait():
            report.violations.append(f"a worker ended with {worker.returncode}; see its traceback above")


def main(given: Sequence[str]) -> int:
    """The exit code."""
    asked = arguments(given)
    if asked.evm == "both":
        try:
            anvil_binary()
        except AssertionError as exc:
            console.print(str(exc))
            return 4
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = Report(seed=asked.seed, evm=asked.evm)
    console.print(f"Seed {asked.seed}, {asked.jobs} processes.")
    run(start(asked), report, asked.steps)
    console.print(report.line(), soft_wrap=True)
    for violation in report.violations:
        console.print(violation, soft_wrap=True)
    if asked.json:
        write(asked.called_from / asked.json, report.figures(asked.steps), **report.to_plain())
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
