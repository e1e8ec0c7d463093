"""Mutates the market's contracts everywhere and counts how many of the mutants the tests notice.

    scripts/mutate [--json FILE] [--jobs N] [--file NAME.vy] [--every N] [--minutes M]
                   [--trace FILE] [--verdicts FILE]

The contract tests run once, traced; then each mutant is compiled and the traced steps are taken again with
its code, until an answer, a revert's reason or a log differs. What survives must stand in `survivors.json`
with the reason why no test can, or need, notice it. Exit code 0: all were tried (within `--minutes`), at
least 95 % are noticed, and every survivor has its reason.
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from queue import Empty
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from contracts.build import SOURCES
from scripts.figures import Figure, at_least, at_most, write
from scripts.mutation.mutants import Mutant, mutants_of
from scripts.mutation.trial import Court, Trial, Verdict
from scripts.mutation.verdicts import Verdicts

GOAL_PERCENT = 95.0
SHUFFLE = 4
"""a seed, so that a run that is cut short has tried mutants of everything, the same ones each time"""
SUITE = ("tests/integration/contracts", "tests/machines/test_market_machine.py")
LEFT_OUT = ("TestToken.vy", "events.vy")
"""no part of the market's decisions: a token of tests, declarations"""
MOST_LEFT_OUT = 0.01
"""of the suite's scenes: what another EVM cannot repeat"""
SURVIVORS = Path(__file__).with_name("survivors.json")


def main(arguments: Sequence[str]) -> int:
    """Trace, mutate, try, report; the exit code."""
    options = _options(arguments)
    mutants = [
        mutant
        for path in sorted(SOURCES.glob("*.vy"))
        if path.name not in LEFT_OUT and options.file in (None, path.name)
        for mutant in mutants_of(path)
    ][:: options.every]
    random.Random(SHUFFLE).shuffle(mutants)  # noqa: S311 - an order, not a secret
    with tempfile.TemporaryDirectory() as folder:
        trace = options.trace or Path(folder) / "trace"
        if not trace.exists():
            _trace_suite(trace)
        until = time.monotonic() + 60 * options.minutes
        verdicts = Verdicts(options.verdicts or Path(folder) / "verdicts")
        trials = _try(mutants, verdicts, trace, Path(folder), options.jobs, until)
    survivors = _survivors(trials, json.loads(SURVIVORS.read_text("utf-8")))
    figures = _figures(trials, survivors, len(mutants))
    if options.json:
        write(options.json, figures, survivors=survivors)
    _show(figures, survivors)
    return 0 if all(figure.holds for figure in figures) else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="where the figures and survivors are written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--file", help="only mutants of this source")
    parser.add_argument("--trace", type=Path, help="the suite's steps, taken from here or kept here")
    parser.add_argument("--verdicts", type=Path, help="kept here; later only survivors are tried anew")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so long")
    parser.add_argument("--every", type=int, default=1, help="only each Nth mutant, for a quick look")
    return parser.parse_args(arguments)


def _trace_suite(trace: Path) -> None:
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "scripts.mutation.tracing",
        "-p",
        "no:cacheprovider",
    ]
    subprocess.run([*pytest, "--evm-trace", str(trace), *SUITE], check=True, stdout=sys.stderr)


def _try(
    mutants: Sequence[Mutant], verdicts: Verdicts, trace: Path, folder: Path, jobs: int, until: float
) -> list[Trial]:
    trials = verdicts.known(mutants)
    done = {trial.mutant for trial in trials}
    left = [mutant for mutant in mutants if mutant not in done]
    queue: multiprocessing.Queue[Trial | str] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(
            target=_work, args=(left[first::jobs], trace, folder / f"sources-{first}", queue)
        )
        for first in range(jobs)
    ]
    for worker in workers:
        worker.start()
    columns = (TextColumn("mutants"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("mutants", total=len(mutants), completed=len(trials))
        while len(trials) < len(mutants):
            try:
                found = queue.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                break
            if isinstance(found, str):
                sys.exit(found)
            trials.append(found)
            verdicts.keep(found)
            bar.advance(task)
            _report(found, bar.console, len(trials))
    for worker in workers:
        worker.terminate()
        worker.join()
    return trials


def _report(found: Trial, console: Console, tried: int) -> None:
    if found.verdict is Verdict.SURVIVED:
        mutant = found.mutant
        console.print(f"survived: {mutant.file}:{mutant.line}  {mutant.after}", markup=False, soft_wrap=True)
    if tried % 50 == 0 and not console.is_terminal:
        console.print(f"{tried} mutants tried")


def _work(
    share: Sequence[Mutant], trace: Path, folder: Path, queue: "multiprocessing.Queue[Trial | str]"
) -> None:
    court = Court(trace, folder)
    left_out = court.set_aside()
    if left_out > MOST_LEFT_OUT:
        queue.put(f"{left_out:.0%} of the suite cannot be repeated: the real contracts answer otherwise.")
        return
    for trial in court.trials(share):
        queue.put(trial)


def _figures(trials: Sequence[Trial], survivors: Sequence[dict[str, Any]], mutants: int) -> list[Figure]:
    count = Counter(trial.verdict for trial in trials)
    tried = count[Verdict.KILLED] + count[Verdict.SURVIVED]
    score = 100 * count[Verdict.KILLED] / tried if tried else 0.0
    unexplained = sum(entry["reason"] is None for entry in survivors)
    return [
        at_least("mutants noticed", score, "%", GOAL_PERCENT),
        at_most("survivors without a reason", unexplained, "mutants", 0),
        at_most("not tried in the time", mutants - len(trials), "mutants", 0),
        *(at_most(verdict.value, count[verdict], "mutants", None) for verdict in Verdict),
    ]


def _survivors(trials: Sequence[Trial], reasons: dict[str, str]) -> list[dict[str, Any]]:
    found = [_entry(trial, reasons) for trial in trials if trial.verdict is Verdict.SURVIVED]
    return sorted(found, key=lambda entry: (entry["file"], entry["line"], entry["after"]))


def _entry(trial: Trial, reasons: dict[str, str]) -> dict[str, Any]:
    mutant = trial.mutant
    key = f"{mutant.file}: {mutant.before} -> {mutant.after}"
    return {
        "file": mutant.file,
        "line": mutant.line,
        "kind": mutant.kind,
        "before": mutant.before,
        "after": mutant.after,
        "reason": reasons.get(key),
    }


def _show(figures: Sequence[Figure], survivors: Sequence[dict[str, Any]]) -> None:
    console = Console()
    table = Table("figure", "value", "unit", "goal", "holds")
    for figure in figures:
        goal = "" if figure.goal is None else str(figure.goal)
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, goal, str(figure.holds))
    console.print(table)
    for entry in survivors:
        console.print(f"{entry['file']}:{entry['line']}  {entry['after']}", markup=False, soft_wrap=True)
        console.print(f"    {entry['reason'] or 'NO REASON GIVEN'}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
