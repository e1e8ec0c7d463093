#!/usr/bin/env python3
"""What settling a job costs on chain: the gas of real receipts, beside the goals and the rivals' figures.

A job's whole life is its match and its close by the last receipt, with fee, stake lock and refund, on
accounts in steady use. `--check` compares every measured case with the committed snapshot and fails where one
is more than two percent dearer; `--write` makes the snapshot anew.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from contracts.build import MAX_DEPLOYED_BYTES, compile_contract, deployed_size  # noqa: E402 - after the path
from scripts.figures import Figure, at_most, command_line, report  # noqa: E402
from scripts.gas.cases import Case, measure  # noqa: E402
from scripts.gas.evm import MAX_GAS  # noqa: E402

SNAPSHOT = ROOT / "contracts" / "gas_snapshot.json"
TOLERANCE = 0.02
RIVALS = {
    "iExec PoCo Boost, a job": 731_000,
    "SONM, a job": 1_530_000,
    "Lilypad v2, a job": 1_660_000,
    "Raiden, a channel": 259_000,
}
"""gas as measured from their own sources or published by them; none of them has fee, stake and refund in
one job"""
JOB = "job, one offer, N=32"
GOALS: dict[str, float] = {
    JOB: 70_000,
    "job, 32 offers, N=32": 94_000,
    "job, single": 145_000,
    "interim receipt, N=32": 20_000,
    "registerOffer": 56_000,
    "registerOffers(32)": 32_000,
}
"""the most gas an item may cost"""
CALLDATA_GOAL = 1_150
"""bytes of call data for a job's match and close"""


def main() -> int:
    """Measure, show, and write or compare; 0 where all goals hold and nothing grew."""
    arguments = _arguments()
    cases = measure()
    status = report(judge(cases), arguments.json, decimals=0)
    if arguments.write:
        SNAPSHOT.write_text(text_of(cases), encoding="utf-8")
    grown = dearer(cases, _snapshot()) if arguments.check else []
    for line in grown:
        print(line, file=sys.stderr)
    return 1 if grown else status


def judge(cases: list[Case]) -> list[Figure]:
    """Goals first, then the rivals and how many times as much they take, then every other case."""
    named = {case.name: case for case in cases}
    job = named[JOB]
    figures = [at_most(name, named[name].each, "gas", goal) for name, goal in GOALS.items()]
    figures.append(at_most(f"call data, {JOB}", job.calldata / job.items, "bytes", CALLDATA_GOAL))
    figures.append(at_most("largest call", max(_largest(cases)), "gas", MAX_GAS - 1))
    for contract in ("ComputeMarket", "ReplicaJury"):
        size = deployed_size(compile_contract(contract))
        figures.append(at_most(f"deployed code, {contract}", size, "bytes", MAX_DEPLOYED_BYTES))
    for name, gas in RIVALS.items():
        figures.append(at_most(name, gas, "gas", None))
        figures.append(at_most(f"  times {JOB}", gas / job.each, "", None))
    rest = [case for case in cases if case.name not in GOALS]
    return figures + [at_most(_label(case), case.each, "gas", None) for case in rest]


def _largest(cases: list[Case]) -> list[int]:
    """The gas of each call; a job's life is two."""
    return [case.gas for case in cases if not case.name.startswith("job")]


def _label(case: Case) -> str:
    return case.name if case.items == 1 else f"{case.name}, each"


def dearer(cases: list[Case], before: dict[str, int]) -> list[str]:
    """A line for each case that the snapshot lacks or that costs over two percent more than there."""
    lines = []
    for case in cases:
        if case.name not in before:
            lines.append(f"{case.name}: not in the snapshot; write it anew with --write")
        elif case.gas > before[case.name] * (1 + TOLERANCE):
            percent = 100 * (case.gas / before[case.name] - 1)
            lines.append(f"{case.name}: {case.gas:,} gas, was {before[case.name]:,} (+{percent:.1f} %)")
    return lines


def text_of(cases: list[Case]) -> str:
    """The bytes that are committed: the gas of all items of a case together."""
    return json.dumps({case.name: case.gas for case in cases}, indent=1) + "\n"


def _snapshot() -> dict[str, int]:
    found: dict[str, int] = json.loads(SNAPSHOT.read_text("utf-8"))
    return found


def _arguments() -> argparse.Namespace:
    parser = command_line(__doc__)
    parser.add_argument("--check", action="store_true", help="fail where a case is dearer than its snapshot")
    parser.add_argument("--write", action="store_true", help="write the snapshot")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
