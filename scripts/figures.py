"""What every measurement leaves: figures with their goals, a line each, and one JSON document that a machine
can judge."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure; `goal` is None where it only informs."""

    name: str
    value: float
    unit: str
    goal: float | None
    holds: bool


def at_most(name: str, value: float, unit: str, goal: float | None) -> Figure:
    """A figure that may not exceed its goal."""
    return Figure(name=name, value=value, unit=unit, goal=goal, holds=goal is None or value <= goal)


def at_least(name: str, value: float, unit: str, goal: float | None) -> Figure:
    """A figure that may not fall below its goal."""
    return Figure(name=name, value=value, unit=unit, goal=goal, holds=goal is None or value >= goal)


def percentile(values: Iterable[float], percent: int) -> float:
    """The value that so many of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def command_line(description: str | None) -> argparse.ArgumentParser:
    """A measurement's options: `--json FILE`, and those that it adds."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser


def report(figures: Iterable[Figure], file: Path | None, *, decimals: int = 2, **details: object) -> int:
    """Show each figure as it comes, and write all where `--json` names a file; 0 where all goals hold."""
    told = []
    for figure in figures:
        print(shown(figure, decimals), flush=True)
        told.append(figure)
    if file:
        write(file, told, **details)
    return 0 if all(figure.holds for figure in told) else 1


def shown(figure: Figure, decimals: int) -> str:
    """One line."""
    goal = (
        "" if figure.goal is None else f"  goal {figure.goal:,.{decimals}f}  {'✓' if figure.holds else '✗'}"
    )
    return f"{figure.name:48} {figure.value:14,.{decimals}f} {figure.unit}{goal}"


def write(path: Path, figures: Sequence[Figure], **details: object) -> None:
    """The document; `details` are what a figure is made of, in their own keys."""
    plain = {"figures": [asdict(figure) for figure in figures]} | details
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
