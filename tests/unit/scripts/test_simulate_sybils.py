"""The simulation of a thousand sybils: every bound holds, and it would tell if one did not."""

from dataclasses import replace

import pytest

from scripts.simulate_sybils import SYBILS, Standing, figures_of, simulate


@pytest.fixture(scope="module")
def standings() -> list[Standing]:
    return simulate()


def named(standings: list[Standing], name: str) -> Standing:
    return next(one for one in standings if one.name == name)


def test_no_attacker_gets_more_than_its_burned_fees_buy_honestly(standings: list[Standing]) -> None:
    figures = figures_of(standings)
    assert len(figures) > 20
    assert all(figure.holds and figure.goal is not None and figure.value <= figure.goal for figure in figures)


def test_a_thousand_sybils_with_a_matcher_of_their_own_are_a_newcomer(standings: list[Standing]) -> None:
    free = [one for one in standings if not one.honest and one.burned == 0]
    assert len(free) == 1 + 1 + 1 + 10
    assert {one.score for one in free} == {standings[0].score} == {0}


def test_a_thousand_sybils_at_the_node_buy_a_quarter_of_what_they_burn(standings: list[Standing]) -> None:
    attacker = named(standings, "1,000 sybil buyers")
    assert attacker.burned == SYBILS * 200
    assert attacker.volume == attacker.burned // 4


def test_honest_trade_earns_all_that_its_fees_can(standings: list[Standing]) -> None:
    honest = [one for one in standings if one.honest and one.burned]
    assert len(honest) == 10
    assert all(one.score == one.bound > 0 for one in honest)


def test_a_score_above_its_bound_would_be_told(standings: list[Standing]) -> None:
    attacker = named(standings, "1,000 sybil buyers and a sybil matcher")
    figures = figures_of([standings[0], replace(attacker, score=1)])
    assert [figure.holds for figure in figures] == [False, True]
