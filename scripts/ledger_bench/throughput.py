"""How many matches a second a chain takes in, from signed bytes to a sealed block.

Every chain gets the same bytes, made before the clock starts. A first part runs unmeasured, so that caches
and compiled code are what they are in service. The events are counted afterwards: failing matches have no
rate.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.ledger_bench.chains import Bench
from scripts.ledger_bench.workload import BATCH

PER_BLOCK = 128
BATCHES_PER_BLOCK = 4
AUTOMINED = 60
Tick = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The matches for one chain: a warm-up and what is measured, of each kind; then one a block."""

    warm: Sequence[bytes]
    singles: Sequence[bytes]
    warm_batches: Sequence[bytes]
    batches: Sequence[bytes]
    automined: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Matches a second singly and in batches, and the median of a block with one match, in seconds."""

    singles: float
    jobs: float
    commit: float


def measure(chain: Bench, plan: Plan, tick: Tick) -> Rates:
    """Run the plan; `tick` is called after every block."""
    _timed(chain, plan.warm, PER_BLOCK, tick)
    singles = _timed(chain, plan.singles, PER_BLOCK, tick)
    assert chain.logs() >= len(_last(plan.singles, PER_BLOCK)), "a match was skipped"
    _timed(chain, plan.warm_batches, BATCHES_PER_BLOCK, tick)
    batches = _timed(chain, plan.batches, BATCHES_PER_BLOCK, tick)
    assert chain.logs() >= BATCH * len(_last(plan.batches, BATCHES_PER_BLOCK)), "a match was skipped"
    commits = _timed(chain, plan.automined, 1, tick)
    return Rates(
        singles=len(plan.singles) / sum(singles),
        jobs=BATCH * len(plan.batches) / sum(batches),
        commit=statistics.median(commits),
    )


def _timed(chain: Bench, raws: Sequence[bytes], per_block: int, tick: Tick) -> list[float]:
    seconds = []
    for start in range(0, len(raws), per_block):
        began = time.perf_counter()
        chain.block(raws[start : start + per_block])
        seconds.append(time.perf_counter() - began)
        tick()
    return seconds


def _last(raws: Sequence[bytes], per_block: int) -> Sequence[bytes]:
    return raws[(len(raws) - 1) // per_block * per_block :]
