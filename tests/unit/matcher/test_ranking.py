"""Ranking: the first few are those that sorting everything would have put first."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.ranking import first, first_of_each

tables = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=30)


@settings(deadline=None)
@given(table=tables, most=st.integers(0, 12))
def test_the_first_are_those_of_the_whole_order(table: list[tuple[int, int, int]], most: int) -> None:
    columns = np.array(table, dtype=np.uint64).reshape(-1, 3).T
    keys = (columns[0], columns[1])
    whole = sorted(range(len(table)), key=lambda row: (*table[row][:2], -row))
    assert first(np.arange(len(table)), keys, most, lambda row: -row) == whole[:most]


@settings(deadline=None)
@given(table=tables, most=st.integers(1, 4))
def test_of_each_group_its_first_one_is_taken(table: list[tuple[int, int, int]], most: int) -> None:
    columns = np.array(table, dtype=np.uint64).reshape(-1, 3).T
    whole = sorted(range(len(table)), key=lambda row: (*table[row][:2], -row))
    leaders = [
        row for place, row in enumerate(whole) if all(table[row][2] != table[r][2] for r in whole[:place])
    ]
    found = first_of_each(np.arange(len(table)), list(columns[:2]), most, lambda row: -row, columns[2])
    assert found == leaders[:most]


def test_numbers_beyond_64_bits_are_ranked_too() -> None:
    keys = (np.array([1 << 70, 3, 1 << 65, 5], dtype=object),)
    assert first(np.arange(4), keys, 3, lambda row: row) == [1, 3, 2]
