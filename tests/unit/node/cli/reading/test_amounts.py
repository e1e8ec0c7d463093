"""Money is read and shown exactly, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.resource import Quantities
from node.cli.reading.amounts import ask_prices, format_amount, format_rate, parse_amount, parse_price


@given(st.integers(0, 2**96), st.integers(0, 18))
def test_an_amount_that_is_shown_reads_back_to_the_base_unit(amount: int, decimals: int) -> None:
    assert parse_amount(format_amount(amount, decimals), decimals) == amount


@given(st.integers(0, 2**96 - 1), st.integers(0, 18))
def test_a_rate_that_is_shown_reads_back_exactly(rate: int, decimals: int) -> None:
    assert parse_price(format_rate(rate, decimals), decimals) == rate


@pytest.mark.parametrize(
    ("written", "decimals", "units"),
    [("12.5", 6, 12_500_000), ("0.000001", 6, 1), ("1.50", 1, 15), ("7", 0, 7), ("0", 6, 0)],
)
def test_tokens_are_read_in_base_units(written: str, decimals: int, units: int) -> None:
    assert parse_amount(written, decimals) == units


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("0.0000001", "too-precise"),
        ("-1", "malformed-amount"),
        ("1e6", "malformed-amount"),
        ("1,5", "malformed-amount"),
        ("", "malformed-amount"),
        ("NaN", "malformed-amount"),
        ("٣", "malformed-amount"),
    ],
)
def test_an_inexact_or_odd_amount_is_refused(written: str, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_amount(written, 6)
    assert refused.value.code == code


def test_half_a_token_an_hour_is_half_a_billion_milli_base_units() -> None:
    assert parse_price("0.50/h", 6) == 500_000_000


@pytest.mark.parametrize("written", ["0.50", "0.50/d", "/h", "0.0000000001/h", "free/h"])
def test_a_price_without_its_hour_or_too_fine_is_refused(written: str) -> None:
    with pytest.raises(Rejected):
        parse_price(written, 6)


def test_an_ask_for_1000_mib_is_shown_for_1024() -> None:
    prices = ask_prices(Quantities(cpu=20_000, memory=1_000, gpu=3_000_000), 6)
    assert prices["core"] == "0.02"
    assert prices["memory_gib"] == "0.001024"
    assert prices["gpu"] == "3"
