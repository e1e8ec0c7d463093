"""Command: `python -m matcher.replay`, a cluster's trace through the engine's placement, or one epoch.

python -m matcher.replay --nodes N.csv --tasks T.csv [--load 1.3] [--seed 42] [--order FILE]
    [--policy ours|fgd|bestfit|random|all] [--demand trace|online] [--json]
python -m matcher.replay --epoch FILE [--json]
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ledger.market.errors import MarketError, Rejected
from matcher.replay import epoch, files
from matcher.replay.arrivals import load_of
from matcher.replay.experiment import POLICIES, SHOWN, Experiment, Outcome

_ALL = "all"
_SEED_BITS = 64


def main(words: Sequence[str] | None = None) -> int:
    """Replay and print; 0, or the exit code of the error that a line on standard error tells."""
    arguments = _arguments(words)
    if arguments.epoch is not None:
        return epoch.main(arguments.epoch, arguments.json)
    try:
        outcomes = _outcomes(arguments)
    except MarketError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return error.exit_code
    print(_line(arguments.policy, outcomes) if arguments.json else _table(outcomes))
    return 0


def _outcomes(arguments: argparse.Namespace) -> dict[str, Outcome]:
    """By policy."""
    if arguments.nodes is None or arguments.tasks is None:
        raise Rejected(
            "trace-missing",
            "Machines and tasks are not both given.",
            "Name them by --nodes and --tasks, or --epoch.",
        )
    if not 0 <= arguments.seed < 1 << _SEED_BITS:
        raise Rejected("seed-out-of-range", f"The seed is {arguments.seed}.", "Give 0 to 2^64 - 1.")
    load, tasks = load_of(arguments.load), files.tasks(arguments.tasks)
    experiment = Experiment(files.machines(arguments.nodes), tasks)
    if arguments.order is None:
        order: Sequence[int] = experiment.order(load, arguments.seed)
    else:
        order = files.order(arguments.order, len(tasks))
    online = arguments.demand == "online"
    names = POLICIES if arguments.policy == _ALL else (arguments.policy,)
    return {
        name: experiment.replay(order, arguments.seed, name, time.perf_counter_ns, online=online)
        for name in names
    }


def figures(outcome: Outcome) -> dict[str, object]:
    """What `--json` tells of one policy."""
    return {
        "allocated_percent": {str(at): _rounded(outcome.allocated[at], 4) for at in SHOWN},
        "dropped": outcome.dropped,
        "placements_per_second": round(outcome.per_second, 1),
        "p50_us": round(outcome.microseconds(50), 2),
        "p99_us": round(outcome.microseconds(99), 2),
    }


def _line(policy: str, outcomes: dict[str, Outcome]) -> str:
    told = {name: figures(outcome) for name, outcome in outcomes.items()}
    return json.dumps({"policies": told} if policy == _ALL else told[policy])


def _table(outcomes: dict[str, Outcome]) -> str:
    shown = "".join(f"{f'at {at} %':>10}" for at in SHOWN)
    lines = [f"{'policy':8}{shown}{'dropped':>9}{'placed/s':>10}{'p50 µs':>9}{'p99 µs':>9}"]
    for name, outcome in outcomes.items():
        percents = "".join(f"{_percent(outcome.allocated[at]):>10}" for at in SHOWN)
        lines.append(
            f"{name:8}{percents}{outcome.dropped:9}{outcome.per_second:10,.0f}"
            f"{outcome.microseconds(50):9.1f}{outcome.microseconds(99):9.1f}"
        )
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m matcher.replay",
        description="Replay a cluster's trace through the engine, or clear one epoch from a file.",
    )
    parser.add_argument("--nodes", type=Path, metavar="FILE", help="machines, in the openb format")
    parser.add_argument("--tasks", type=Path, metavar="FILE", help="tasks, in the openb format")
    parser.add_argument(
        "--load", default="1.3", help="GPU milli that arrive, as a share of the capacity (1.3)"
    )
    parser.add_argument("--seed", type=int, default=42, help="of shuffle, draws and machines' ranks (42)")
    parser.add_argument("--order", type=Path, metavar="FILE", help="arrivals as task numbers from 0, instead")
    parser.add_argument("--policy", choices=(*POLICIES, _ALL), default="ours")
    parser.add_argument("--demand", choices=("trace", "online"), default="trace", help="known, or learnt")
    parser.add_argument("--epoch", type=Path, metavar="FILE", help="clear this epoch and print its welfare")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args(words)
