#!/usr/bin/env python3
"""How much welfare a clearing reaches: share of the proven optimum, beside first-in-cheapest-offer.

Epochs with a known optimum are read from a folder (`optimum.welfare` in each JSON file); more are made up
from seeds, and their optimum proven in the same call. Times are of this process alone, without compilation.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - after the path

from matcher.replay import epoch as file  # noqa: E402
from matcher.welfare import kernels  # noqa: E402
from matcher.welfare.problem import Problem  # noqa: E402
from matcher.welfare.solve import solve  # noqa: E402
from matcher.welfare.tables import canon  # noqa: E402
from scripts.figures import Figure, at_least, at_most, command_line, report  # noqa: E402
from scripts.welfare.check import welfare_of  # noqa: E402
from scripts.welfare.epochs import epoch  # noqa: E402

MADE = {"small": (20, 40, 8), "medium": (30, 75, 8)}
"""offers, bids and how many epochs"""
GOALS = {"small": (1.0, 1.0, None), "medium": (0.999, 0.997, 200), "large": (0.990, 0.970, 1_000)}
"""least mean, least of all, most milliseconds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One epoch: shares of the optimum, and the bound as a multiple of it."""

    name: str
    bids: int
    share: float
    first_in: float
    bound: float
    milliseconds: float

    @property
    def size(self) -> str:
        """The class whose goals hold; up to 40 bids always small ones."""
        return "small" if self.bids <= 40 else self.name.split("-")[0]


def main() -> int:
    """Measure, show and write; 0 where all goals hold."""
    arguments = _arguments()
    results = [_measured(*each) for each in (*_read(arguments.folder), *_made(arguments.seed))]
    for result in results:
        print(
            f"{result.name:22} {result.bids:4} bids  welfare {result.share:.5f}"
            f"  first-in {result.first_in:.3f}  bound {result.bound:.5f}  {result.milliseconds:7.1f} ms"
        )
    epochs = [asdict(result) for result in results]
    return report(judged(results), arguments.json, decimals=5, epochs=epochs)


def judged(results: list[Result]) -> list[Figure]:
    """Mean and worst share, slowest time and least bound of each class, beside their goals."""
    figures: list[Figure] = [
        at_least("least bound, multiple of the optimum", min(r.bound for r in results), "", 1.0)
    ]
    for size, (mean, worst, slowest) in GOALS.items():
        here = [result for result in results if result.size == size]
        if not here:
            continue
        shares = [result.share for result in here]
        figures.append(at_least(f"{size} epochs ({len(here)}), mean share", fmean(shares), "", mean))
        figures.append(at_least(f"{size} epochs, worst share", min(shares), "", worst))
        figures.append(at_most(f"{size} epochs, slowest", max(r.milliseconds for r in here), "ms", slowest))
        figures.append(at_most(f"{size} epochs, first-in", fmean(r.first_in for r in here), "", None))
    return figures


def _measured(name: str, document: dict[str, Any], optimum: int | None) -> Result:
    offers, bids = file.parsed(document, name)
    problem = file.problem_of(offers, bids)
    started = time.process_time()
    solution = solve(file.problem_of(offers, bids))
    milliseconds = (time.process_time() - started) * 1_000
    places = zip(bids, file.allocated(offers, bids, solution), strict=True)
    allocation: Any = {str(bid.id): entries for bid, entries in places if entries}
    found = welfare_of(document["offers"], document["bids"], allocation)
    best = optimum if optimum is not None else solve(problem, to_proof=True).bound
    return Result(
        name=name,
        bids=len(bids),
        share=found / best,
        first_in=_first_in(problem) / best,
        bound=solution.bound / best,
        milliseconds=milliseconds,
    )


def _first_in(problem: Problem) -> int:
    """Welfare where each bid in turn takes the cheapest offer that has room."""
    table = canon(problem)
    room, held = table.state()
    kernels.construct(table.tables, room, held, np.arange(table.bids), table.words())
    return int(held[5][0]) * table.unit


def _read(folder: Path | None) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    for path in sorted(folder.glob("*.json")) if folder else ():
        document = json.loads(path.read_text(encoding="utf-8"))
        yield path.stem, document, document["optimum"]["welfare"]


def _made(seed: int) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    for size, (offers, bids, count) in MADE.items():
        for number in range(count):
            yield f"{size}-made-{seed + number}", dict(epoch(seed + number, offers, bids)), None


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="epochs with a known optimum, one JSON file each"
    )
    parser.add_argument("--seed", type=int, default=9_000, help="the first seed of the made-up epochs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
