#!/usr/bin/env python3
"""What one bid costs among 100,000 live offers, beside a numpy scan and sorted Python lists in the same call.

    scripts/bench_matcher.py [--json FILE] [--offers N] [--bids N] [--clock wall|cpu]

Every goal is for one quiet core. Where other work shares the machine, `--clock cpu` leaves out the time that
this process waited. Nothing is compiled while it measures: kernels are compiled when they are imported.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from matcher.book import BidPlaced, BidRemoved, Book  # noqa: E402 - after the path
from matcher.clearing import clear  # noqa: E402
from matcher.orders import BidOrder  # noqa: E402
from scripts.figures import Figure, at_least, at_most, command_line, report  # noqa: E402
from scripts.matcher_bench.churn import Clock, Times, through, through_book, timed  # noqa: E402
from scripts.matcher_bench.market import (  # noqa: E402
    Market,
    any_model,
    impossible,
    listed,
    never_together,
    too_cheap,
)
from scripts.matcher_bench.rivals import FullScan, SortedLists  # noqa: E402
from tests.factories import NOW  # noqa: E402

SEED = 7
HELD = 4_000
"""leases that hold capacity at a time"""
WARM = 2_000
RIVAL_BIDS = 150
LONE = 300
CANDIDATES = 64
MEBI = 1024 * 1024
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter_ns, "cpu": time.process_time_ns}
SPECIAL: dict[str, Callable[[BidOrder], BidOrder]] = {
    "any model, any region": any_model,
    "never feasible: a feature nobody has": impossible,
    "never feasible: below every ask": too_cheap,
    "never feasible: no offer has it all": never_together,
}


def main() -> int:
    """Measure, show and write; 0 where all goals hold."""
    arguments = _arguments()
    clock = CLOCKS[arguments.clock]
    market, figures, empty = Market(SEED), list[Figure](), _resident()
    offers = market.offers(arguments.offers)
    gc.collect()
    gc.freeze()
    before = clock()
    book = listed(offers)
    seconds = (clock() - before) / 1e9
    figures.append(at_most("offers listed", seconds, "s", 5))
    figures.append(at_most("memory of the process", _resident() / MEBI, "MiB", 500))
    bids = market.bids(arguments.bids)
    through_book(book, market.bids(WARM), HELD, clock)
    matched = through_book(book, bids, HELD, clock, waiting=True)
    figures += judge("match, commit, release", matched, 50_000, tail=True)
    figures += judge("the same with placing", through_book(book, bids, HELD, clock), 30_000, tail=True)
    figures.append(at_most("memory before any offer", empty / MEBI, "MiB", None))
    special = bids[: max(1, len(bids) // 10)]
    for name, change in SPECIAL.items():
        times = through_book(book, [change(order) for order in special], HELD, clock)
        figures += judge(name, times, 10_000, tail=False)
    figures += judge("64 candidates", candidates(book, special[:LONE], clock), 1_000, tail=False)
    figures += judge("clear of a lone bid", lone(book, special[:LONE], clock), 1_000, tail=False)
    few = special[:RIVAL_BIDS]
    figures.append(baseline("numpy scan", through(FullScan(book.offers()), few, clock)))
    lists = SortedLists(offers)
    figures.append(baseline("sorted lists", through(lists, special, clock)))
    wide = [any_model(order) for order in few]
    figures.append(baseline("sorted lists, any model", through(lists, wide, clock)))
    return report(figures, arguments.json, decimals=1, offers=arguments.offers, clock=arguments.clock)


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("--offers", type=int, default=100_000, help="live offers (default: 100,000)")
    parser.add_argument("--bids", type=int, default=60_000, help="bids of the churn (default: 60,000)")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help="what is measured")
    return parser.parse_args()


def judge(name: str, times: Times, goal: float, *, tail: bool) -> list[Figure]:
    """Rate and spread of one kind of bid; the spread has goals where `tail` says so."""
    return [
        at_least(f"{name}: rate", times.rate, "bids/s", goal),
        at_most(f"{name}: p50", times.at(50), "us", None),
        at_most(f"{name}: p99", times.at(99), "us", 100 if tail else None),
        at_most(f"{name}: p99.9", times.at(99.9), "us", 1_000 if tail else None),
        at_most(f"{name}: matched", 100 * times.matched, "%", None),
    ]


def baseline(name: str, times: Times) -> Figure:
    """A rival's rate, which only informs."""
    return at_most(f"baseline, {name}: rate", times.rate, "bids/s", None)


def candidates(book: Book, bids: Sequence[BidOrder], clock: Clock) -> Times:
    """The cheapest places of each bid, as a clearing of many asks for."""
    return timed(bids, clock, lambda order: bool(book.cheapest(order, NOW, CANDIDATES)))


def lone(book: Book, bids: Sequence[BidOrder], clock: Clock) -> Times:
    """A clearing for each bid alone."""

    def serve(order: BidOrder) -> bool:
        book.apply(BidPlaced(order=order))
        matches = clear(book, NOW).matches
        book.apply(BidRemoved(bid=order.id))
        return bool(matches)

    return timed(bids, clock, serve)


def _resident() -> int:
    """Bytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
