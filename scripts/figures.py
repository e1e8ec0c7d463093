"""What every measurement leaves: figures with their goals, as one JSON document that a machine can judge."""

import json
from collections.abc import Sequence
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


def at_least(name: str, value: float, unit: str, goal: float) -> Figure:
    """A figure that may not fall below its goal."""
    return Figure(name=name, value=value, unit=unit, goal=goal, holds=value >= goal)


def write(path: Path, figures: Sequence[Figure], **details: object) -> None:
    """The document; `details` are what a figure is made of, in their own keys."""
    plain = {"figures": [asdict(figure) for figure in figures]} | details
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
