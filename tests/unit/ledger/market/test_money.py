"""Money: exact rates, pay rounded down, escrow rounded up, and both equal at the full duration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.money import MILLISECONDS, RATE_DIVISOR, escrow_for, highest_rate, pay_for, rate_of
from ledger.market.resource import Quantities
from tests import strategies as some

rates = some.words(96)
seconds = st.integers(1, (1 << 32) - 1)


def test_an_hour_of_two_cores_and_a_gib_costs_what_it_says() -> None:
    rate = rate_of(Quantities(cpu=1_000_000, memory=250_000), Quantities(cpu=2_000, memory=1_024))
    assert rate == 2_256_000_000
    assert escrow_for(rate, 3_600) == pay_for(rate, 3_600_000, 3_600) == 2_256_000


def test_an_escrow_is_rounded_up_and_pay_down() -> None:
    assert escrow_for(1, 3_600) == 1
    assert pay_for(1, 3_600_000 - 1, 3_600) == 0
    assert pay_for(1, 3_600_000, 3_600) == 1
    assert escrow_for(0, 3_600) == 0


@given(rate=rates, duration=seconds)
def test_the_full_duration_pays_exactly_the_escrow(rate: int, duration: int) -> None:
    assert pay_for(rate, duration * MILLISECONDS, duration) == escrow_for(rate, duration)


@given(rate=rates, duration=seconds, data=st.data())
def test_pay_grows_with_time_and_stays_within_the_escrow(
    rate: int, duration: int, data: st.DataObject
) -> None:
    spans = st.integers(0, duration * MILLISECONDS)
    shorter, longer = sorted((data.draw(spans), data.draw(spans)))
    assert 0 <= pay_for(rate, shorter, duration) <= pay_for(rate, longer, duration)
    assert pay_for(rate, longer, duration) <= escrow_for(rate, duration)


@given(rate=rates, duration=seconds)
def test_an_escrow_is_less_than_one_unit_above_the_exact_price(rate: int, duration: int) -> None:
    exact = rate * duration * MILLISECONDS
    assert 0 <= escrow_for(rate, duration) * RATE_DIVISOR - exact < RATE_DIVISOR


@given(ask=some.quantities, one=some.quantities)
def test_a_rate_is_linear_in_the_want(ask: Quantities, one: Quantities) -> None:
    half = Quantities(**{name: getattr(one, name) // 2 for name in ("cpu", "memory", "disk", "gpu")})
    assert rate_of(ask, half.plus(half)) == 2 * rate_of(ask, half)
    assert rate_of(ask, Quantities()) == 0


@pytest.mark.parametrize(("rate", "duration"), [(1 << 96, 1), (-1, 1), (1, 1 << 32), (1, -1)])
def test_a_rate_or_duration_outside_its_width_is_refused(rate: int, duration: int) -> None:
    with pytest.raises(Rejected):
        escrow_for(rate, duration)


@given(ask=rates, bps=some.words(16))
def test_the_highest_rate_is_the_last_that_the_contract_takes(ask: int, bps: int) -> None:
    highest = highest_rate(ask, bps)
    assert highest * 10_000 <= ask * (10_000 + bps) < (highest + 1) * 10_000
