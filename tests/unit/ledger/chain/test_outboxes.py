import pytest

from ledger.chain.outboxes import Outboxes
from ledger.market.errors import Unavailable


class Doing:
    def __init__(self, does: int, failing: str = "") -> None:
        self.does = does
        self.failing = failing
        self.steps: list[int] = []

    def step(self, at: int) -> int:
        self.steps.append(at)
        if self.failing:
            raise Unavailable(self.failing, "Away.", "Try again.")
        return self.does


def test_all_are_stepped_and_what_they_did_is_counted() -> None:
    own, former = Doing(2), Doing(3)
    assert Outboxes([own, former]).step(7) == 5
    assert own.steps == former.steps == [7]


def test_one_that_fails_does_not_keep_the_others_from_going_on() -> None:
    first, second, third = Doing(0, "first"), Doing(0, "second"), Doing(1)
    with pytest.raises(Unavailable) as failure:
        Outboxes([first, second, third]).step(7)
    assert failure.value.code == "first"
    assert third.steps == [7]
