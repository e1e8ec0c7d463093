"""Ranking: the classes of all rows for one shape, kept, with only the rows rescored that changed since."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from matcher.compiled import Numbers, compiled
from matcher.fragmentation.scores import COUNT, FIRST, NOWHERE, ROW, TABLE, TABLES, Tables, class_of

Classes: TypeAlias = NDArray[np.int32]

_MEMO = 1024
"""rows whose class is remembered by their content while all are scored: fresh machines are alike"""


@compiled(f"void(int32[::1], int64, {TABLE}, {ROW}, {TABLES})")
def rank_all(classes: Classes, rows: int, fleet: Numbers, shape: Numbers, tables: Tables) -> None:
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
        classes[row] = class_of(here, shape, tables)


@compiled(f"void(int32[::1], {ROW}, int64, {ROW}, int64, {TABLE}, {ROW}, {TABLES})")
def rank_changed(
    classes: Classes,
    changed: Numbers,
    since: int,
    marks: Numbers,
    mark: int,
    fleet: Numbers,
    shape: Numbers,
    tables: Tables,
) -> None:
    """Score each of `changed[since:]` once; `marks` tells by `mark` which were."""
    for place in range(since, changed.size):
        row = changed[place]
        if marks[row] == mark:
            continue
        marks[row] = mark
        classes[row] = class_of(fleet[row], shape, tables)


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
