#!/usr/bin/env python3
"""What the engine's door carries: from signed bid to journalled match, among 100,000 live offers.

    scripts/bench_door.py [--json FILE] [--offers N] [--bids N] [--submitters N] [--dir FOLDER]

Books on disk (SQLite, `synchronous=FULL`), documents and signatures are real, and every bid is recovered,
hashed, checked, cleared and committed before its submitter hears of it. Signing is not timed. Beside it, in
the same process, the way without a memory: everything is read anew for each bid. Goals are for a quiet core.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from node.trading.admission import Proposal  # noqa: E402 - after the path
from scripts.door_bench.market import Door  # noqa: E402
from scripts.figures import Figure, at_least, at_most, command_line, percentile, report  # noqa: E402

_WARM = 64
_LONE = 200
_ANEW = 2


def main() -> int:
    """Measure, show and write; 0 where all goals hold."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        door = Door(Path(folder), arguments.offers)
        figures = measure(door, arguments.bids, arguments.submitters)
        door.close()
    return report(figures, arguments.json, offers=arguments.offers, submitters=arguments.submitters)


def measure(door: Door, bids: int, submitters: int) -> list[Figure]:
    """The door under load, with one submitter, and without a memory."""
    _timed(door, door.signed(_WARM), submitters)
    signed, asked = door.signed(bids), door.asked
    wall, cpu = time.perf_counter(), time.process_time()
    latencies = _timed(door, signed, submitters)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    asked = door.asked - asked
    assert door.planned() >= bids, "a bid did not match"
    lone = _timed(door, door.signed(_LONE), 1)
    anew = [_anew(door, one) for one in door.signed(_ANEW)]
    return [
        at_least("bids a second", bids / wall, "bids/s", 1_000),
        at_most("  p50", 1_000 * percentile(latencies, 50), "ms", None),
        at_most("  p99", 1_000 * percentile(latencies, 99), "ms", 50),
        at_most("  processor time a bid", 1_000 * cpu / bids, "ms", None),
        at_most("  questions to the chain a bid", asked / bids, "", 0.01),
        at_most("a lone bid, p50", 1_000 * percentile(lone, 50), "ms", None),
        at_most("  p99", 1_000 * percentile(lone, 99), "ms", 50),
        at_most("reading the market anew for each bid", 1_000 * sum(anew) / len(anew), "ms", None),
        at_most("the market taken up after a restart", door.restarted, "s", None),
    ]


def _timed(door: Door, signed: list[Proposal], submitters: int) -> list[float]:
    """Seconds of each bid from the proposal to its answer, with so many submitters at once."""

    def submit(one: Proposal) -> float:
        started = time.perf_counter()
        door.submit(one)
        return time.perf_counter() - started

    with ThreadPoolExecutor(submitters) as pool:
        return list(pool.map(submit, signed))


def _anew(door: Door, one: Proposal) -> float:
    started = time.perf_counter()
    door.restart()
    door.submit(one)
    return time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("--offers", type=int, default=100_000, help="live offers")
    parser.add_argument("--bids", type=int, default=2_000, help="bids under load")
    parser.add_argument("--submitters", type=int, default=24, help="submitters at once")
    parser.add_argument("--dir", metavar="FOLDER", help="where the books go, instead of /tmp")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
