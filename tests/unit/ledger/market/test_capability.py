"""The score is exact: no figure is rounded before it is compared."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.capability import REFERENCE, below_floors, check_vector, reaches, score, vector
from ledger.market.errors import Rejected
from tests import strategies as some


def test_a_device_like_the_reference_scores_a_thousand() -> None:
    assert score(vector("capability", dict(REFERENCE)), (("bf16", 3), ("fp64", 1))) == 1_000


def test_the_mean_is_geometric_and_weighted() -> None:
    measured = (("bf16", REFERENCE["bf16"] * 4), ("fp64", REFERENCE["fp64"]))
    assert score(measured, (("bf16", 1), ("fp64", 1))) == 2_000
    assert reaches(measured, (("bf16", 1), ("fp64", 3)), 1_414)
    assert not reaches(measured, (("bf16", 1), ("fp64", 3)), 1_415)


def test_what_was_not_measured_counts_as_nothing() -> None:
    assert below_floors((("bf16", 5),), (("bf16", 5), ("fp8", 1))) == ("fp8",)
    assert not reaches((("bf16", 1 << 30),), (("bf16", 99), ("fp8", 1)), 1)


@given(measured=some.figures(1 << 30), weights=some.figures(9, least=1, some=1), least=st.integers(1, 5_000))
def test_reaching_is_the_inequality_of_fractions(
    measured: tuple[tuple[str, int], ...], weights: tuple[tuple[str, int], ...], least: int
) -> None:
    have, product, total = dict(measured), Fraction(1), 0
    for precision, weight in weights:
        product *= Fraction(have.get(precision, 0), REFERENCE[precision]) ** weight
        total += weight
    assert reaches(measured, weights, least) == (product >= Fraction(least, 1_000) ** total)
    assert reaches(measured, weights, score(measured, weights))


@pytest.mark.parametrize(
    "figures", [(("fp12", 1),), (("fp64", -1),), (("fp64", 1), ("bf16", 1)), (("bf16", 1), ("bf16", 1))]
)
def test_a_vector_that_is_none_is_refused(figures: tuple[tuple[str, int], ...]) -> None:
    assert check_vector("floors", (("bf16", 1), ("fp64", 1)))
    with pytest.raises(Rejected):
        check_vector("floors", figures)
