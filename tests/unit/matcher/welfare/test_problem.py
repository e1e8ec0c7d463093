"""A clearing problem that does not fit together cannot be made."""

from dataclasses import replace

import pytest

from ledger.market.errors import Rejected
from matcher.welfare.problem import MONEY_LIMIT, Problem, numbers
from tests.fakes.clearings import Ask, Host, problem

MADE = problem([Host(), Host()], [Ask(value=9, costs=((0, 1), (1, 2)))])


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("offers", {"keys": (b"one", b"one")}),
        ("offers", {"device_from": numbers([0, 1, 0])}),
        ("offers", {"capacity": numbers([-1, 0, 0, 0], 2)}),
        ("bids", {"value": numbers([-1])}),
        ("bids", {"value": numbers([MONEY_LIMIT])}),
        ("bids", {"members": numbers([0])}),
        ("bids", {"share": numbers([1001])}),
        ("bids", {"devices": numbers([1])}),
        ("bids", {"distinct": numbers([4])}),
        ("bids", {"seq": numbers([])}),
        ("candidates", {"offer": numbers([0, 2])}),
        ("candidates", {"cost": numbers([2, 1])}),
        ("candidates", {"first": numbers([0, 1])}),
    ],
)
def test_numbers_that_do_not_fit_are_refused(part: str, change: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        replace(MADE, **{part: replace(getattr(MADE, part), **change)})


def test_numbers_that_fit_are_taken_as_they_are() -> None:
    assert isinstance(replace(MADE, purse=numbers([0])), Problem)
