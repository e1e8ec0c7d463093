"""Arrivals follow the published protocol, and the seed alone decides them."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from matcher.replay.arrivals import arrivals, load_of, ranks

requests = st.lists(st.sampled_from((0, 100, 500, 1000, 8000)), min_size=1, max_size=30)


@given(requested=requests, limit=st.integers(0, 40_000), seed=st.integers(0, 9))
def test_the_load_is_met_and_not_exceeded(requested: list[int], limit: int, seed: int) -> None:
    order = arrivals(requested, Fraction(limit), seed)
    total = sum(requested[task] for task in order)
    assert total <= limit
    if 0 < sum(requested) <= limit:
        assert Counter(order) >= Counter(range(len(requested)))
        assert total > limit - max(requested)
    else:
        assert max(Counter(order).values(), default=1) == 1


@given(requested=requests, seed=st.integers(0, 9))
def test_one_seed_draws_the_same_again(requested: list[int], seed: int) -> None:
    assert arrivals(requested, Fraction(20_000), seed) == arrivals(requested, Fraction(20_000), seed)
    assert ranks(len(requested), seed) == ranks(len(requested), seed)


def test_another_seed_draws_another_order() -> None:
    assert arrivals([1] * 50, Fraction(50), 1) != arrivals([1] * 50, Fraction(50), 2)
    assert ranks(50, 1) != ranks(50, 2)


def test_tasks_without_gpus_are_neither_added_nor_removed() -> None:
    assert sorted(arrivals([0, 0, 0], Fraction(5), 1)) == [0, 1, 2]


def test_every_machine_has_one_rank() -> None:
    assert sorted(ranks(100, 7)) == list(range(100))


def test_a_load_is_read_exactly() -> None:
    assert load_of("1.3") == Fraction(13, 10)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "101", "nan", "1/0", "inf", "1e999999999", "1" * 5_000])
def test_a_load_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="The load is"):
        load_of(text)
