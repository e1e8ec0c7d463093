"""Sizes, times and counts carry their unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from node.cli.reading.quantities import (
    format_milli,
    format_seconds,
    parse_count,
    parse_milli,
    parse_size,
    parse_time,
    parse_yes,
)


@given(st.integers(1, 10**8))
def test_a_time_that_is_shown_reads_back(seconds: int) -> None:
    assert parse_time(format_seconds(seconds)) == seconds


@given(st.integers(0, 10**8))
def test_a_count_of_cores_that_is_shown_reads_back(milli: int) -> None:
    assert parse_milli(format_milli(milli)) == milli


@pytest.mark.parametrize(
    ("written", "mib"), [("8GiB", 8192), ("512 MiB", 512), ("1.5GiB", 1536), ("1KiB", 1), ("1TiB", 1 << 20)]
)
def test_sizes_become_mib_rounded_up(written: str, mib: int) -> None:
    assert parse_size(written) == mib


@pytest.mark.parametrize("written", ["8", "8GB", "-1GiB", "GiB", "8 gib", "1e3MiB"])
def test_a_size_without_a_binary_unit_is_refused(written: str) -> None:
    with pytest.raises(Rejected):
        parse_size(written)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1d", 86_400), ("0", 0)]
)
def test_times_become_seconds(written: str, seconds: int) -> None:
    assert parse_time(written) == seconds


@pytest.mark.parametrize("written", ["90", "1.5h", "m", "-5m", "1w", ""])
def test_a_time_without_a_known_unit_is_refused(written: str) -> None:
    with pytest.raises(Rejected):
        parse_time(written)


@pytest.mark.parametrize("written", ["0.0001", "two", "-1", ""])
def test_an_odd_count_of_cores_is_refused(written: str) -> None:
    with pytest.raises(Rejected):
        parse_milli(written)


def test_a_choice_is_yes_or_no() -> None:
    assert parse_yes("true")
    assert not parse_yes("No")
    with pytest.raises(Rejected):
        parse_yes("maybe")


def test_a_count_is_whole() -> None:
    assert parse_count("12") == 12
    with pytest.raises(Rejected):
        parse_count("1.5")
