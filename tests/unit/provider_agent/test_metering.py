"""Billed time: from start to exit by the wall clock, within the lease, never going back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from provider_agent.metering import (
    RunTimes,
    UsageReport,
    elapsed_ms,
    evidence,
)

LEASE = bytes(range(32))
MOMENTS = st.integers(min_value=0, max_value=1 << 42)
COUNTERS = st.integers(min_value=0, max_value=(1 << 64) - 1)


def _usage(**changes: int) -> UsageReport:
    values = {"milliseconds": 5, "cpu_ns": 6, "peak_bytes": 7} | changes
    return UsageReport(
        lease=LEASE,
        milliseconds=values["milliseconds"],
        cpu_ns=values["cpu_ns"],
        peak_bytes=values["peak_bytes"],
        last=False,
    )


def test_a_running_job_is_billed_until_now() -> None:
    assert elapsed_ms(RunTimes(started_at=1000), now=3500, limit_seconds=60) == 2500


def test_an_ended_job_is_billed_until_its_exit() -> None:
    times = RunTimes(started_at=1000, finished_at=2200)
    assert elapsed_ms(times, now=9000, limit_seconds=60) == 1200


def test_nothing_beyond_the_duration_is_billed() -> None:
    assert elapsed_ms(RunTimes(started_at=0), now=99_000, limit_seconds=60) == 60_000


def test_a_clock_that_steps_back_bills_nothing() -> None:
    assert elapsed_ms(RunTimes(started_at=5000), now=1000, limit_seconds=60) == 0


@given(start=MOMENTS, now=MOMENTS, limit=st.integers(1, 1 << 31), before=MOMENTS)
def test_billed_time_is_between_the_report_before_and_the_duration(
    start: int, now: int, limit: int, before: int
) -> None:
    at_least = min(before, limit * 1000)
    billed = elapsed_ms(RunTimes(started_at=start), now=now, limit_seconds=limit, at_least=at_least)
    assert at_least <= billed <= limit * 1000


def test_evidence_is_fixed_to_the_byte() -> None:
    assert evidence(_usage()) == (
        b"bingwang/usage/1"
        + LEASE
        + (5).to_bytes(8, "big")
        + (6).to_bytes(8, "big")
        + (7).to_bytes(8, "big")
        + b"\0"
    )


@given(one=st.tuples(COUNTERS, COUNTERS, COUNTERS), other=st.tuples(COUNTERS, COUNTERS, COUNTERS))
def test_different_reports_have_different_evidence(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    def build(values: tuple[int, int, int]) -> UsageReport:
        return _usage(milliseconds=values[0], cpu_ns=values[1], peak_bytes=values[2])

    assert (evidence(build(one)) == evidence(build(other))) == (one == other)


@pytest.mark.parametrize("field", ["milliseconds", "cpu_ns", "peak_bytes"])
@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_a_report_out_of_range_cannot_be_built(field: str, value: int) -> None:
    with pytest.raises(Rejected):
        _usage(**{field: value})
