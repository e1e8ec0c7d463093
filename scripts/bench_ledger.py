#!/usr/bin/env python3
"""What the embedded chain carries: matches beside eth-tester and anvil, and life with 100,000 blocks.

    scripts/bench_ledger.py [--json FILE] [--blocks N] [--dir FOLDER]

Every goal is for one quiet core; other work on the machine shows at once, in the rivals' figures too.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.figures import Figure, at_least, at_most, command_line, report  # noqa: E402 - after the path
from scripts.ledger_bench import long_chain, throughput  # noqa: E402
from scripts.ledger_bench.chains import Bench, EthTester, anvils, ours, warm_up  # noqa: E402
from scripts.ledger_bench.throughput import AUTOMINED, BATCHES_PER_BLOCK, PER_BLOCK, Plan, Rates  # noqa: E402
from scripts.ledger_bench.workload import Workload, workload  # noqa: E402

SINGLES, BATCHES = 6 * PER_BLOCK, 8 * BATCHES_PER_BLOCK
WARM_SINGLES, WARM_BATCHES = 2 * PER_BLOCK, BATCHES_PER_BLOCK
MEBI = 1024 * 1024
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a folder is made in it, not a file of a known name
"""where the long chain grows by default: 100,000 syncs of a disk would measure the disk"""


def main() -> int:
    """Measure, show and write; 0 where all goals hold."""
    arguments = _arguments()
    work = workload()
    plan = planned(work)
    fast = SHARED_MEMORY if arguments.dir is None and Path(SHARED_MEMORY).is_dir() else arguments.dir
    with (
        tempfile.TemporaryDirectory(dir=arguments.dir) as folder,
        tempfile.TemporaryDirectory(dir=fast) as long,
    ):
        with ours(Path(folder) / "short") as chain:
            own = run("ours", chain, work, plan)
            grown = Path(folder, "short", "chain.sqlite3").stat().st_size
        tester = run("eth-tester", EthTester(), work, plan)
        with anvils() as rival:
            native = run("anvil", rival, work, plan)
        bar = Bar(f"{arguments.blocks:,} blocks", arguments.blocks)
        sealing = long_chain.grow(Path(long), bar.tick, arguments.blocks)
        bar.end()
        life = long_chain.live(Path(long), sealing)
    figures = judge_rates(own, tester, native) + judge_life(life)
    figures.append(at_most("file of the short chain", grown / MEBI, "MiB", None))
    return report(figures, arguments.json, blocks=arguments.blocks)


def planned(work: Workload) -> Plan:
    """The same bytes for all chains."""
    return Plan(
        warm=work.singles(WARM_SINGLES),
        singles=work.singles(SINGLES),
        warm_batches=work.batches(WARM_BATCHES),
        batches=work.batches(BATCHES),
        automined=work.singles(AUTOMINED),
    )


def run(name: str, chain: Bench, work: Workload, plan: Plan) -> Rates:
    """Found the market on a chain and measure it, with a bar."""
    warm_up(chain, work.founding)
    singles, batches = len(plan.warm) + len(plan.singles), len(plan.warm_batches) + len(plan.batches)
    bar = Bar(name, singles // PER_BLOCK + batches // BATCHES_PER_BLOCK + len(plan.automined))
    rates = throughput.measure(chain, plan, bar.tick)
    bar.end()
    return rates


def judge_rates(own: Rates, tester: Rates, native: Rates) -> list[Figure]:
    """Goals, and each figure as a ratio to the rivals' in the same run."""
    return [
        at_least("single matches, 128 a block", own.singles, "tx/s", 250),
        at_least("  times eth-tester", own.singles / tester.singles, "", 4),
        at_most("  times anvil", own.singles / native.singles, "", None),
        at_least("jobs in batches of 32", own.jobs, "jobs/s", 400),
        at_most("  times eth-tester", own.jobs / tester.jobs, "", None),
        at_most("  times anvil", own.jobs / native.jobs, "", None),
        at_most("automine commit p50", own.commit * 1_000, "ms", 10),
        at_most("  times eth-tester", own.commit / tester.commit, "", None),
        at_most("  times anvil", own.commit / native.commit, "", None),
        at_most("eth-tester, single matches", tester.singles, "tx/s", None),
        at_most("eth-tester, jobs in batches", tester.jobs, "jobs/s", None),
        at_most("anvil, single matches", native.singles, "tx/s", None),
        at_most("anvil, jobs in batches", native.jobs, "jobs/s", None),
    ]


def judge_life(life: long_chain.Life) -> list[Figure]:
    """What a long chain costs its operator."""
    return [
        at_most("eth_getLogs, 10,000 logs", life.all_logs * 1_000, "ms", 250),
        at_least("  logs returned", life.found, "", long_chain.EVENTS),
        at_most("eth_getLogs by one topic", life.one_topic * 1_000, "ms", 20),
        at_most("restart: chain open", life.reopened, "s", 1),
        at_most("restart: process to first answer", life.started, "s", None),
        at_most("memory, at most", life.memory / MEBI, "MiB", 400),
        at_most("file", life.file / MEBI, "MiB", None),
        at_most("sealing an empty block", life.sealing * 1_000, "ms", None),
    ]


class Bar:
    """A progress bar on standard error; silent where that is no terminal."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._show: Callable[[str], object] = sys.stderr.write if sys.stderr.isatty() else len

    def tick(self) -> None:
        """One step more."""
        self._done += 1
        if self._done % max(1, self._total // 200) == 0:
            filled = "█" * (30 * self._done // self._total)
            self._show(f"\r{self._name:16} {filled:30} {self._done:,}/{self._total:,}")

    def end(self) -> None:
        """Leave the line."""
        self._show("\n")


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("--blocks", type=int, default=long_chain.BLOCKS, help="length of the long chain")
    parser.add_argument("--dir", metavar="FOLDER", help="where the chains' files go, instead of /tmp")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
