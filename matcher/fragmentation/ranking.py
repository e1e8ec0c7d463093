"""Ranking: the classes of all rows for one shape, kept, with only the rows rescored that changed since."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from matcher.compiled import compiled
from matcher.fragmentation.scores import COUNT, FIRST, NOWHERE, TABLES, class_of

Numbers: TypeAlias = NDArray[np.int64]
Classes: TypeAlias = NDArray[np.int32]

_MEMO = 1024
"""rows whose class is remembered by their content while all are scored: fresh machines are alike"""

_ROW = "int64[::1]"
_TABLE = "int64[:, ::1]"


@compiled(f"void(int32[::1], int64, {_TABLE}, {_ROW}, {TABLES})")
def rank_all(
    classes: Classes,
    rows: int,
    fleet: Numbers,
    shape: Numbers,
    typical: Numbers,
    popular: Numbers,
    found: Numbers,
    losses: Numbers,
    sigmoid: Numbers,
    steps: Numbers,
    cpu_worth: int,
    policy: int,
    chosen: Numbers,
    after: Numbers,
) -> None:
    """Score the first `rows` rows."""
    memo = np.full(_MEMO, -1, dtype=np.int64)
    for row in range(rows):
        here = fleet[row]
        mixed = np.uint64(0)
        for column in range(FIRST + here[COUNT]):
            mixed = (mixed ^ np.uint64(here[column])) * np.uint64(0x9E3779B97F4A7C15)
        slot = np.int64(mixed >> np.uint64(54))
        twin = memo[slot]
        if twin >= 0:
            for column in range(FIRST + here[COUNT]):
                if fleet[twin, column] != here[column]:
                    twin = -1
                    break
        if twin >= 0:
            classes[row] = classes[twin]
            continue
        memo[slot] = row
        classes[row] = class_of(
            here, shape, typical, popular, found, losses, sigmoid, steps, cpu_worth, policy, chosen, after
        )


@compiled(f"void(int32[::1], {_ROW}, int64, {_ROW}, int64, {_TABLE}, {_ROW}, {TABLES})")
def rank_changed(
    classes: Classes,
    changed: Numbers,
    since: int,
    marks: Numbers,
    mark: int,
    fleet: Numbers,
    shape: Numbers,
    typical: Numbers,
    popular: Numbers,
    found: Numbers,
    losses: Numbers,
    sigmoid: Numbers,
    steps: Numbers,
    cpu_worth: int,
    policy: int,
    chosen: Numbers,
    after: Numbers,
) -> None:
    """Score each of `changed[since:]` once; `marks` tells by `mark` which were."""
    for place in range(since, changed.size):
        row = changed[place]
        if marks[row] == mark:
            continue
        marks[row] = mark
        classes[row] = class_of(
            fleet[row],
            shape,
            typical,
            popular,
            found,
            losses,
            sigmoid,
            steps,
            cpu_worth,
            policy,
            chosen,
            after,
        )


@compiled("int64(int32[::1], int64)")
def first_best(classes: Classes, rows: int) -> int:
    """The first row of the best class, -1 where none fits."""
    most = NOWHERE
    for row in range(rows):
        most = max(most, classes[row])
    if most == NOWHERE:
        return -1
    row = 0
    while classes[row] != most:
        row += 1
    return row
