"""The measurement's judgement: each class has its own goals, and a bound below the optimum fails."""

from dataclasses import replace

from scripts.bench_welfare import Result, judged

MEDIUM = Result(name="medium-1", bids=60, share=0.9995, first_in=0.8, bound=1.01, milliseconds=50)


def test_goals_hold_for_what_reaches_them_and_fail_for_what_does_not() -> None:
    assert all(figure.holds for figure in judged([MEDIUM]))
    assert not all(figure.holds for figure in judged([replace(MEDIUM, share=0.996)]))
    assert not all(figure.holds for figure in judged([replace(MEDIUM, milliseconds=201)]))
    assert not all(figure.holds for figure in judged([replace(MEDIUM, bound=0.9999)]))


def test_forty_bids_are_held_to_the_optimum_whatever_the_epoch_is_called() -> None:
    assert not all(figure.holds for figure in judged([replace(MEDIUM, bids=40)]))
