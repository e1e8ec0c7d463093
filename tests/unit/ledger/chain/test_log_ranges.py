"""A long history is taken in bit by bit, whole and once."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.log_ranges import RANGE_BLOCKS, pieces


@given(st.integers(0, 10 * RANGE_BLOCKS), st.integers(0, 10 * RANGE_BLOCKS))
def test_the_pieces_are_all_the_blocks_in_their_order(first: int, last: int) -> None:
    found = list(pieces(first, last))
    assert [block for start, end in found for block in range(start, end + 1)] == list(range(first, last + 1))
    assert all(end - start < RANGE_BLOCKS for start, end in found)


def test_before_the_first_block_there_is_none() -> None:
    assert list(pieces(5, 4)) == []
    assert list(pieces(5, 5)) == [(5, 5)]
