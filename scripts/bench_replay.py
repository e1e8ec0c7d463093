#!/usr/bin/env python3
"""How well and how fast the engine places a real cluster's tasks, beside FGD, best fit and random places.

    scripts/bench_replay.py FOLDER [--json FILE] [--seeds 10]

FOLDER holds `openb_node_list_gpu_node.csv` and `openb_pod_list_{default,gpuspec33,cpu250}.csv`. They are not
part of the repository: get them from github.com/hkust-adsl/kubernetes-scheduler-simulator, data/csv.
Speeds are in CPU seconds of one core; the command `python -m matcher.replay` tells those of the clock.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ledger.market.errors import MarketError  # noqa: E402 - after the path
from matcher.replay import files  # noqa: E402
from matcher.replay.experiment import POLICIES, SHOWN, Experiment, Outcome  # noqa: E402
from scripts.figures import Figure, at_least, at_most, command_line, report  # noqa: E402
from scripts.replay_bench.mixes import Mix, cluster, drawn  # noqa: E402

MACHINES = "openb_node_list_gpu_node.csv"
TRACES = ("default", "gpuspec33", "cpu250")
MIXES = (
    Mix(name="shares 70", shared=70, multiple=3),
    Mix(name="multi 30, bound 20", shared=20, multiple=30, bound=20),
    Mix(name="shares 40, no CPU-only", shared=40, multiple=10, cpu_only=0),
)
LOAD = Fraction(13, 10)
FIRST_SEED = 42
BELOW_FGD = -0.05
HUGE, HUGE_TASKS = 100_000, 20_000


def main() -> int:
    """Measure, show and write; 0 where all goals hold."""
    arguments = _arguments()
    try:
        machines = files.machines(arguments.folder / MACHINES)
        traces = {name: files.tasks(arguments.folder / f"openb_pod_list_{name}.csv") for name in TRACES}
    except MarketError as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        return error.exit_code
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    return report(measured(machines, traces, seeds), arguments.json, seeds=arguments.seeds)


def measured(
    machines: Sequence[files.Machine], traces: dict[str, tuple[files.Task, ...]], seeds: Sequence[int]
) -> Iterator[Figure]:
    """All figures, as they come."""
    default = traces["default"]
    models = sorted({machine.model for machine in machines})
    everything: dict[str, Sequence[files.Task]] = {**traces}
    everything |= {mix.name: drawn(mix, default, models) for mix in MIXES}
    for name, tasks in everything.items():
        experiment = Experiment(machines, tasks)
        yield from judged(name, {policy: replays(experiment, policy, seeds) for policy in POLICIES})
    experiment = Experiment(machines, default)
    online = replays(experiment, "ours", seeds, online=True)
    yield at_least("default, learnt on line, at 130", mean(online, 130), "%", 95.7)
    yield at_most("  placements", rate(online), "/s", None)
    yield from huge(machines, default)


def judged(name: str, outcomes: dict[str, list[Outcome]]) -> Iterator[Figure]:
    """Ours beside the others on one trace."""
    ours, fgd = outcomes["ours"], outcomes["fgd"]
    for at in SHOWN:
        is_default = name == "default"
        goal = {130: 96.0}.get(at) if is_default else None
        value = mean(ours, at)
        yield at_least(f"{name}, at {at}", value, "%", goal)
        yield at_least("  more than FGD", value - mean(fgd, at), "", 0.0 if is_default else BELOW_FGD)
        for policy in ("fgd", "bestfit", "random"):
            yield at_most(f"  {policy}", mean(outcomes[policy], at), "%", None)
    if name == "default":
        yield at_least("  placements", rate(ours), "/s", 20_000)
        yield at_most("  placements, bestfit", rate(outcomes["bestfit"]), "/s", None)


def huge(machines: Sequence[files.Machine], tasks: Sequence[files.Task]) -> Iterator[Figure]:
    """The first tasks on a hundred thousand machines."""
    experiment = Experiment(cluster(machines, HUGE), tasks)
    order = experiment.order(Fraction(1, 2), FIRST_SEED)[:HUGE_TASKS]
    for policy, goal in (("ours", 3_000), ("bestfit", None)):
        speed = rate([experiment.replay(order, FIRST_SEED, policy, time.thread_time_ns)])
        yield at_least(f"{HUGE:,} machines, {policy}", speed, "/s", goal)


def replays(
    experiment: Experiment, policy: str, seeds: Sequence[int], *, online: bool = False
) -> list[Outcome]:
    """One outcome a seed."""
    return [
        experiment.replay(experiment.order(LOAD, seed), seed, policy, time.thread_time_ns, online=online)
        for seed in seeds
    ]


def mean(outcomes: Sequence[Outcome], at: int) -> float:
    """Of the percent allocated, where so much arrived."""
    return statistics.fmean(found for one in outcomes if (found := one.allocated[at]) is not None)


def rate(outcomes: Sequence[Outcome]) -> float:
    """Of the middle replay."""
    return statistics.median(outcome.per_second for outcome in outcomes)


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("folder", type=Path, help="where the openb files are")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 42 on")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
