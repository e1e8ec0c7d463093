"""Moments in words: what is written is what a job file may say, and no number is too large to tell."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.moments import moment
from node.cli.reading.moments import parse_moment


@given(st.integers(min_value=1, max_value=253_402_300_799))
def test_a_moment_is_written_as_a_job_file_reads_it(seconds: int) -> None:
    assert parse_moment(moment(seconds), 0) == seconds


def test_a_second_that_no_date_names_is_told_by_its_number() -> None:
    assert moment(253_402_300_799) == "9999-12-31T23:59:59Z"
    assert moment(253_402_300_800) == "second 253402300800"
    assert moment(-1) == "second -1"
