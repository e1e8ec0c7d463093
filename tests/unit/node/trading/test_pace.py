import pytest

from node.trading.pace import WINDOW_SECONDS, Pace, TooOften
from tests.factories import NOW, an_address

ONE, OTHER = an_address("one"), an_address("other")


def test_an_account_that_asks_too_often_is_told_when_to_come_back() -> None:
    pace = Pace(each=2, all_together=10)
    pace.take(ONE, NOW)
    pace.take(ONE, NOW + 10)
    with pytest.raises(TooOften) as caught:
        pace.take(ONE, NOW + 20)
    assert caught.value.http_status == 429
    assert caught.value.facts["retry_after"] == WINDOW_SECONDS - 20
    pace.take(OTHER, NOW + 20)
    pace.take(ONE, NOW + WINDOW_SECONDS)


def test_what_was_refused_does_not_count() -> None:
    pace = Pace(each=1, all_together=10)
    pace.take(ONE, NOW)
    for second in range(1, WINDOW_SECONDS):
        with pytest.raises(TooOften):
            pace.take(ONE, NOW + second)
    pace.take(ONE, NOW + WINDOW_SECONDS)


def test_many_accounts_together_are_limited_too() -> None:
    pace = Pace(each=5, all_together=2)
    pace.take(ONE, NOW)
    pace.take(OTHER, NOW)
    with pytest.raises(TooOften):
        pace.take(an_address("third"), NOW)


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    pace = Pace(each=1, all_together=1)
    pace.take(ONE, NOW)
    pace.take(ONE, NOW - 1)
