"""Typical demand is what most tasks ask for, in integers that are the same everywhere."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from matcher.fragmentation.demand import NO_DEMAND, Learnt, Shape, demand_for, demand_of, sigmoid
from matcher.fragmentation.holes import ONE, losses

WHOLE = Shape(cpu=8_000, memory=1, devices=1, share=1000)
HALF = Shape(cpu=4_000, memory=1, devices=1, share=500)
ODD = Shape(cpu=1_000, memory=1, devices=1, share=30)


def test_typical_shapes_cover_most_of_the_tasks_and_no_more() -> None:
    demand = demand_of(Counter({WHOLE: 60, HALF: 38, ODD: 2}))
    assert demand.typical.tolist() == [[8_000, 1000, 1], [4_000, 500, 1]]
    assert demand.popular[0].tolist() == [60, 38, 98]


def test_a_kind_is_popular_where_a_model_may_serve_it() -> None:
    bound = Shape(cpu=8_000, memory=1, devices=1, share=1000, models=0b10)
    demand = demand_of(Counter({WHOLE: 50, bound: 50, Shape(cpu=1, memory=1): 20}))
    assert demand.popular[:3].tolist() == [[50, 120], [100, 120], [50, 120]]


def test_shapes_that_differ_in_memory_alone_count_as_one() -> None:
    other = Shape(cpu=8_000, memory=7, devices=1, share=1000)
    assert demand_of(Counter({WHOLE: 1, other: 1})).popular[0].tolist() == [2, 2]


def test_nothing_asked_prefers_nothing() -> None:
    assert NO_DEMAND.typical.shape == (0, 3)
    assert NO_DEMAND.cpu_worth == 0


def test_work_without_gpus_says_nothing_of_the_balance() -> None:
    assert demand_for([Shape(cpu=5, memory=5)]).cpu_worth == 0


def test_the_worth_of_a_core_is_the_gpu_that_is_asked_beside_nine_tenths_of_it() -> None:
    assert demand_for([WHOLE]).cpu_worth == 10 * 1000 * ONE // (9 * 8_000)


def test_the_order_of_tasks_changes_nothing() -> None:
    tasks = [WHOLE, HALF, HALF, ODD, WHOLE]
    one, other = demand_for(tasks), demand_for(tasks[::-1])
    assert np.array_equal(one.typical, other.typical)
    assert np.array_equal(one.losses, other.losses)


def test_learnt_demand_is_that_of_what_arrived() -> None:
    learnt = Learnt()
    looks = [number for number in range(200) if learnt.arrived((WHOLE, HALF)[number % 2])]
    assert looks[0] == 15
    assert all(later - earlier >= 4 for earlier, later in pairwise(looks))
    assert learnt.demand.popular[0, -1] == looks[-1] + 1


def test_a_share_beyond_ten_bits_is_refused() -> None:
    with pytest.raises(Rejected, match="share"):
        Shape(cpu=1, memory=1, devices=1, share=5_000)


def test_the_sigmoid_is_exact_in_its_middle_and_within_one_elsewhere() -> None:
    table = sigmoid().tolist()
    assert table[8_000] * 2 == ONE
    assert all(abs(table[x + 8_000] - ONE / (1 + math.exp(-x / 1000))) <= 1 for x in range(-8_000, 8_001, 13))


@given(count=st.integers(1, 500), fall=st.integers(-3_000, 3_000))
def test_the_steps_are_the_hundredths_of_a_sigmoid(count: int, fall: int) -> None:
    demand = demand_of(Counter({HALF: count}))
    exact = 100 / (1 + math.exp(-fall / 1000))
    if abs(exact - round(exact)) > 1e-6:
        assert np.searchsorted(demand.steps, fall * count, side="right") == math.floor(exact)


def test_a_hole_that_nothing_fits_is_lost() -> None:
    assert losses(((500, 3), (300, 1)))[299] == 299 * ONE


def test_a_hole_waits_for_the_share_that_fills_it() -> None:
    lost = losses(((500, 1), (300, 1)))
    assert lost[500] < ONE
    assert lost[600] < lost[700] < 300 * ONE


def test_a_rare_filler_saves_little() -> None:
    lost = losses(((810, 1_000), (190, 1)))
    assert 180 * ONE < lost[190] < 190 * ONE


def test_an_idle_device_loses_nothing() -> None:
    assert losses(()).tolist()[1000] == 0


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 50)), unique_by=lambda hole: hole[0], max_size=6)
)
def test_no_hole_loses_more_than_it_has(holes: list[tuple[int, int]]) -> None:
    lost = losses(tuple(sorted(holes)))
    assert all(0 <= lost[free] <= free * ONE for free in range(0, 1001, 7))
