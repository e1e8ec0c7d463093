"""Billed time: from start to exit by the wall clock, within the lease, never going back."""

from hypothesis import given
from hypothesis import strategies as st

from provider_agent.metering import RunTimes, elapsed_ms

MOMENTS = st.integers(min_value=0, max_value=1 << 42)


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
