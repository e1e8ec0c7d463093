"""Capability: what one device does, by precision, as a measured vector; and the score that a bid makes of it.

A peak rate alone says little about a job, so a bid states floors by precision, or weights: its score of an
offer is the weighted geometric mean of what was measured over the reference, compared exactly, in whole
numbers. The reference of each precision is the dense peak in NVIDIA's data sheet of the H100 SXM, so a
score of 1000 means "as good as an H100's data sheet, by these weights".
"""

from typing import Final, TypeAlias

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned

REFERENCE: Final = {
    "fp64": 34_000,
    "fp32": 67_000,
    "tf32": 494_700,
    "bf16": 989_400,
    "fp16": 989_400,
    "fp8": 1_978_900,
    "int8": 1_978_900,
    "memory-bandwidth": 3_350_000,
}
"""of one device: Gflop/s (int8: Gop/s), memory bandwidth in MB/s"""
SOURCES: Final = ("claimed", "measured", "challenged")
"""where a figure comes from, the least trusted first; the trust words of the traits"""
MOST_WEIGHT: Final = 100
MOST_SCORE: Final = 1_000_000
_BITS: Final = 40

Vector: TypeAlias = tuple[tuple[str, int], ...]
"""figures by precision, sorted by name, each name once"""


def vector(name: str, figures: dict[str, int]) -> Vector:
    """The figures as a vector; `Rejected` for an unknown precision or a figure out of range."""
    return check_vector(name, tuple(sorted(figures.items(), key=lambda one: str(one[0]))))


def check_vector(name: str, figures: Vector) -> Vector:
    """The vector itself; `Rejected` where a name is unknown, repeated, out of order or a figure too large."""
    names = [precision for precision, _ in figures]
    for precision, figure in figures:
        if precision not in REFERENCE:
            raise Rejected(
                "unknown-precision",
                f"{name} names the precision {precision!r}.",
                f"Use one of: {', '.join(REFERENCE)}.",
            )
        unsigned(f"{name}.{precision}", figure, _BITS)
    if names != sorted(set(names)):
        raise Rejected("vector-order", f"{name} is not sorted by name.", "Name each precision once, sorted.")
    return figures


def check_weights(weights: Vector, min_score: int) -> None:
    """`Rejected` where weights are out of range, or given without a least score, or the other way."""
    check_vector("weights", weights)
    unsigned("min_score", min_score, 20)
    if bool(weights) != bool(min_score) or min_score > MOST_SCORE:
        raise Rejected(
            "score-incomplete",
            f"The score has {len(weights)} weights and the minimum {min_score}.",
            f"Give weights and a minimum of 1 to {MOST_SCORE} per mille, or neither.",
        )
    for precision, weight in weights:
        if not 1 <= weight <= MOST_WEIGHT:
            raise Rejected(
                "weight-out-of-range",
                f"The weight of {precision} is {weight}.",
                f"Give whole weights from 1 to {MOST_WEIGHT}.",
            )


def below_floors(measured: Vector, floors: Vector) -> tuple[str, ...]:
    """The precisions in which `measured` is under the floor; what was not measured counts as nothing."""
    have = dict(measured)
    return tuple(precision for precision, least in floors if have.get(precision, 0) < least)


def reaches(measured: Vector, weights: Vector, min_score: int) -> bool:
    """Whether the weighted geometric mean of measured / reference is at least `min_score` per mille."""
    have, left, right = dict(measured), 1, 1
    for precision, weight in weights:
        left *= (have.get(precision, 0) * 1_000) ** weight
        right *= (REFERENCE[precision] * min_score) ** weight
    return left >= right


def score(measured: Vector, weights: Vector) -> int:
    """The weighted geometric mean of measured / reference in whole per mille, rounded down."""
    low, high = 0, MOST_SCORE
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if reaches(measured, weights, middle) else (low, middle - 1)
    return low
