"""The program's bounds hold whatever its weights are, and its relaxation is never below the optimum."""

from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.welfare.exact import Learnt, Program, prove, relax, weighed
from matcher.welfare.problem import Problem
from matcher.welfare.realise import lesson, realised
from matcher.welfare.solve import solve
from matcher.welfare.tables import canon
from tests.fakes.clearings import Ask, Host, problem, problems


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=2), st.integers(0, 3), st.integers(0, 3))
def test_any_weights_bound_every_point_that_keeps_the_rows(weights: list[float], x: int, y: int) -> None:
    program = Program()
    first, second = program.column(5, 3), program.column(4, 3)
    program.row([(first, 2), (second, 3)], float("-inf"), 10)
    program.row([(first, 1), (second, -1)], 0, 0)
    if 2 * x + 3 * y <= 10 and x == y:
        assert weighed(program, weights[: len(program.rows)]) >= 5 * x + 4 * y


@settings(max_examples=50)
@given(problems())
def test_the_relaxation_is_never_below_the_optimum(made: Problem) -> None:
    table = canon(made)
    assert relax(table).bound * table.unit >= solve(made).welfare


def test_shares_that_only_fit_in_sum_are_learnt_as_a_crowd() -> None:
    host = Host(devices=((1000, 16), (1000, 16)))
    wanted = [
        Ask(value=10, costs=((0, 1),), want=(0, 0), devices=1, share=share)
        for share in (400, 400, 400, 400, 400)
    ]
    table = canon(problem([host], wanted))
    proof = prove(table, Learnt(), 100)
    _, failed = realised(table, proof.taken)
    assert failed == {0: True}
    again = prove(table, lesson(table, Learnt(), proof.taken, failed), 100)
    assert sum(again.taken.values()) == 4


def test_devices_partly_in_use_are_told_apart() -> None:
    host = Host(devices=((500, 16), (500, 16)))
    wanted = [Ask(value=10, costs=((0, 1),), want=(0, 0), devices=1, share=300) for _ in range(3)]
    table = canon(problem([host], wanted))
    learnt = lesson(table, Learnt(), {0: 1, 1: 1, 2: 1}, {0: True})
    assert learnt.split == frozenset({0})
    assert sum(prove(table, learnt, 100).taken.values()) == 2
