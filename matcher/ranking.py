"""Ranking: the first few of very many offers, by several keys, without sorting the rest."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matcher.columns import Numbers

Rows: TypeAlias = NDArray[np.intp]
"""numbers of rows"""


def first(rows: Rows, keys: Sequence[Numbers], most: int, settle: Callable[[int], Any]) -> list[int]:
    """The `most` first of `rows`, in order: by `keys`, the weightiest first, and between equals by
    `settle`, which is asked about those few alone. A key has one number for every row there is."""
    chosen = _some(rows, keys, most).tolist()
    return sorted(chosen, key=lambda row: (*(key[row] for key in keys), settle(row)))[:most]


def first_of_each(
    rows: Rows, keys: Sequence[Numbers], most: int, settle: Callable[[int], Any], groups: Numbers
) -> list[int]:
    """The first of `rows` as `first` has them, of each group (`groups` has one number for every row) its
    first one alone."""
    looked = 4 * most
    while True:
        ranked = first(rows, keys, looked, settle)
        leaders: dict[int, int] = {}
        for row in ranked:
            leaders.setdefault(int(groups[row]), row)
        if len(leaders) >= most or looked >= len(rows):
            return list(leaders.values())[:most]
        looked *= 8


def _some(rows: Rows, keys: Sequence[Numbers], most: int) -> Rows:
    """The first ones, and whatever is equal in all keys to the last of them."""
    if len(rows) <= most or not keys or most <= 0:
        return rows if most > 0 else rows[:0]
    values = keys[0][rows]
    last = np.partition(values, most - 1)[most - 1]
    sure, tied = rows[values < last], rows[values == last]
    return np.concatenate((sure, _some(tied, keys[1:], most - len(sure))))
