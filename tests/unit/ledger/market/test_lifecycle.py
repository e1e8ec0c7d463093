"""What a user sees of a job, from its facts alone."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.facts import JobPhase
from ledger.market.identity import LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import (
    CANCELLED_BY_BUYER,
    WAIT_OVER,
    JobCourse,
    JobState,
    LeaseCourse,
    LeaseState,
    further,
    standing,
)
from ledger.market.reasons import SkipReason
from tests.factories import a_digest, an_address

A, B = an_address("provider a"), an_address("provider b")


def a_course(**changes: Any) -> LeaseCourse:
    return replace(
        LeaseCourse(lease=LeaseId(a_digest("lease")), provider=A, attempt=0, opened=True), **changes
    )


def state_of(*leases: LeaseCourse, attempts: int = 1, withdrawn: tuple[str, str] | None = None) -> JobState:
    return standing(JobCourse(attempts=attempts, withdrawn=withdrawn, leases=leases)).state


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"opened": False}, JobState.OPENING),
        ({"opened": False, "skipped": SkipReason.FUNDS}, JobState.RESTING),
        ({}, JobState.STARTING),
        ({"phase": JobPhase.PREPARING}, JobState.STARTING),
        ({"phase": JobPhase.STARTING}, JobState.STARTING),
        ({"phase": JobPhase.RUNNING}, JobState.RUNNING),
        ({"phase": JobPhase.RUNNING, "closed": ClosedBecause.LAST_RECEIPT}, JobState.SETTLING),
        ({"phase": JobPhase.SUCCEEDED}, JobState.SUCCEEDED),
        ({"phase": JobPhase.SUCCEEDED, "closed": ClosedBecause.LAST_RECEIPT}, JobState.SUCCEEDED),
        ({"phase": JobPhase.FAILED}, JobState.FAILED),
        ({"phase": JobPhase.REFUSED}, JobState.REFUSED),
        ({"phase": JobPhase.LOST}, JobState.LOST),
        ({"agent_lost": True, "phase": JobPhase.RUNNING}, JobState.LOST),
        ({"closed": ClosedBecause.RELEASED}, JobState.REFUSED),
        ({"closed": ClosedBecause.EXPIRED}, JobState.LOST),
        ({"phase": JobPhase.RUNNING, "terminated": True}, JobState.SETTLING),
        (
            {"phase": JobPhase.FAILED, "terminated": True, "closed": ClosedBecause.LAST_RECEIPT},
            JobState.CANCELLED,
        ),
    ],
)
def test_one_lease_decides_its_job(changes: dict[str, Any], state: JobState) -> None:
    assert state_of(a_course(**changes)) is state


@pytest.mark.parametrize(
    ("code", "state"), [(CANCELLED_BY_BUYER, JobState.CANCELLED), (WAIT_OVER, JobState.LAPSED)]
)
def test_an_order_without_a_lease_rests_until_it_is_withdrawn(code: str, state: JobState) -> None:
    assert state_of() is JobState.RESTING
    assert state_of(withdrawn=(code, "why")) is state


def test_a_withdrawal_does_not_touch_an_open_lease() -> None:
    assert state_of(a_course(phase=JobPhase.RUNNING), withdrawn=(WAIT_OVER, "")) is JobState.RUNNING


@pytest.mark.parametrize(
    "ended",
    [
        {"phase": JobPhase.REFUSED, "closed": ClosedBecause.RELEASED},
        {"phase": JobPhase.LOST, "closed": ClosedBecause.RELEASED},
        {"closed": ClosedBecause.EXPIRED},
        {"agent_lost": True},
    ],
)
def test_a_job_with_attempts_left_rests_again_without_that_provider(ended: dict[str, Any]) -> None:
    now = standing(JobCourse(attempts=2, leases=(a_course(**ended),)))
    assert (now.state, now.next_attempt, now.excluded) == (JobState.RESTING, 1, frozenset([A]))


def test_a_job_without_attempts_left_does_not_rest_again() -> None:
    assert state_of(a_course(phase=JobPhase.REFUSED, closed=ClosedBecause.RELEASED)) is JobState.REFUSED


def test_a_failed_job_is_not_retried() -> None:
    failed = a_course(phase=JobPhase.FAILED, closed=ClosedBecause.LAST_RECEIPT)
    assert state_of(failed, attempts=2) is JobState.FAILED


def test_a_refused_lease_settles_before_the_next_attempt() -> None:
    assert state_of(a_course(phase=JobPhase.REFUSED), attempts=2) is JobState.SETTLING


def test_a_retry_that_lapses_keeps_the_reason_of_its_last_attempt() -> None:
    refused = a_course(
        phase=JobPhase.REFUSED, closed=ClosedBecause.RELEASED, code="no-image", cause="No image."
    )
    now = standing(JobCourse(attempts=2, leases=(refused,), withdrawn=(WAIT_OVER, "late")))
    assert (now.state, now.code) == (JobState.REFUSED, "no-image")


def test_a_late_success_of_a_lost_agent_counts_and_the_second_attempt_does_not_undo_it() -> None:
    first = a_course(agent_lost=True, phase=JobPhase.SUCCEEDED, closed=ClosedBecause.LAST_RECEIPT)
    second = a_course(lease=LeaseId(a_digest("second")), provider=B, attempt=1, phase=JobPhase.FAILED)
    now = standing(JobCourse(attempts=2, leases=(first, second)))
    assert (now.state, now.lease) == (JobState.SUCCEEDED, first.lease)


def test_a_skipped_match_keeps_its_bid_unless_the_nonce_is_spent() -> None:
    skipped = a_course(opened=False, skipped=SkipReason.CAPACITY)
    assert standing(JobCourse(attempts=1, leases=(skipped,))).next_attempt == 0
    spent = replace(skipped, skipped=SkipReason.NONCE_USED)
    assert state_of(spent) is JobState.LAPSED
    now = standing(JobCourse(attempts=2, leases=(spent,)))
    assert (now.state, now.next_attempt) == (JobState.RESTING, 1)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"opened": False}, LeaseState.PLANNED),
        ({"opened": False, "skipped": SkipReason.FUNDS}, LeaseState.SKIPPED),
        ({"skipped": SkipReason.FUNDS}, LeaseState.ACTIVE),
        ({"closed": ClosedBecause.EXPIRED}, LeaseState.CLOSED),
    ],
)
def test_a_leases_state_is_the_chains_where_the_chain_has_spoken(
    changes: dict[str, Any], state: LeaseState
) -> None:
    assert a_course(**changes).state is state


@given(st.sampled_from(JobPhase), st.sampled_from(JobPhase))
def test_a_repeated_or_older_report_is_no_news_and_the_first_final_one_stands(
    known: JobPhase, told: JobPhase
) -> None:
    assert further(None, told)
    assert not further(told, told)
    assert not (further(known, told) and further(told, known))
    if known.final:
        assert not further(known, told)


courses = st.builds(
    LeaseCourse,
    lease=st.sampled_from([LeaseId(a_digest("1")), LeaseId(a_digest("2"))]),
    provider=st.sampled_from([A, B]),
    attempt=st.integers(0, 2),
    skipped=st.none() | st.sampled_from(SkipReason),
    opened=st.booleans(),
    terminated=st.booleans(),
    closed=st.none() | st.sampled_from(ClosedBecause),
    phase=st.none() | st.sampled_from(JobPhase),
    agent_lost=st.booleans(),
)


@given(st.lists(courses, max_size=3), st.integers(1, 3), st.none() | st.just((WAIT_OVER, "late")))
def test_a_resting_job_always_has_a_bid_left_to_open(
    leases: list[LeaseCourse], attempts: int, withdrawn: tuple[str, str] | None
) -> None:
    now = standing(JobCourse(attempts=attempts, leases=tuple(leases), withdrawn=withdrawn))
    if now.state is JobState.RESTING:
        assert now.next_attempt < attempts
        assert withdrawn is None
