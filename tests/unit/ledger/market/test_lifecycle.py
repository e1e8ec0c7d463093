"""What a user sees of a job, from its facts alone."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.facts import JobPhase, LeaseYields
from ledger.market.identity import BidId, LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import (
    CANCELLED_BY_BUYER,
    NO_QUORUM,
    PREEMPTED,
    WAIT_OVER,
    YIELDING,
    JobCourse,
    JobStanding,
    JobState,
    LeaseCourse,
    LeaseState,
    Verdict,
    further,
    standing,
)
from ledger.market.reasons import SkipReason
from tests.factories import NOW, a_digest, an_address

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


YIELDS = LeaseYields(lease=LeaseId(a_digest("lease")), by=BidId(a_digest("higher")), at=NOW, until=NOW + 60)
GAVE_WAY: dict[str, Any] = {"yields": YIELDS, "phase": JobPhase.FAILED, "code": PREEMPTED}


def test_a_job_that_is_told_to_yield_says_so_while_it_runs() -> None:
    now = standing(JobCourse(attempts=1, leases=(a_course(phase=JobPhase.RUNNING, yields=YIELDS),)))
    assert (now.state, now.code) == (JobState.RUNNING, YIELDING)
    assert now.cause.endswith("told to end at 2027-01-15 08:00:00 UTC, with 60 s of notice.")


def test_a_job_that_yielded_was_preempted_and_another_attempt_may_go_to_the_same_provider() -> None:
    gone = a_course(**GAVE_WAY, closed=ClosedBecause.LAST_RECEIPT)
    now = standing(JobCourse(attempts=1, leases=(gone,)))
    assert (now.state, now.code, now.state.final) == (JobState.PREEMPTED, PREEMPTED, True)
    again = standing(JobCourse(attempts=2, leases=(gone,)))
    assert (again.state, again.code, again.next_attempt) == (JobState.RESTING, PREEMPTED, 1)
    assert again.excluded == frozenset()


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"yields": None}, JobState.FAILED),
        ({"code": "exit-code"}, JobState.FAILED),
        ({"phase": JobPhase.SUCCEEDED, "code": ""}, JobState.SUCCEEDED),
        ({"phase": JobPhase.LOST}, JobState.LOST),
    ],
    ids=["nobody told it to", "it had failed before", "it had succeeded before", "it was lost"],
)
def test_only_a_job_that_was_told_and_gave_way_was_preempted(
    changes: dict[str, Any], state: JobState
) -> None:
    assert state_of(a_course(**(GAVE_WAY | changes), closed=ClosedBecause.LAST_RECEIPT)) is state


def test_a_gang_of_which_a_member_yielded_was_preempted_whatever_its_peers_say() -> None:
    closed = {"closed": ClosedBecause.LAST_RECEIPT}
    members = [
        a_course(lease=LeaseId(a_digest(f"member {number}")), member=number, **closed, **said)
        for number, said in enumerate(({"phase": JobPhase.FAILED, "code": "exit-code"}, GAVE_WAY))
    ]
    assert state_of(*members) is JobState.PREEMPTED


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


def a_gang(*changes: dict[str, Any], attempt: int = 0) -> list[LeaseCourse]:
    """One lease a member, each at a provider of its own."""
    return [
        a_course(
            lease=LeaseId(a_digest(f"{attempt}.{member}")),
            provider=an_address(f"provider {attempt}.{member}"),
            member=member,
            attempt=attempt,
            **change,
        )
        for member, change in enumerate(changes)
    ]


RUNS = {"phase": JobPhase.RUNNING}
DONE = {"phase": JobPhase.SUCCEEDED, "closed": ClosedBecause.LAST_RECEIPT}
FAILED = {"phase": JobPhase.FAILED, "closed": ClosedBecause.LAST_RECEIPT, "cause": "Exit 1."}
GONE = {"phase": JobPhase.REFUSED, "closed": ClosedBecause.RELEASED}
LOST = {"agent_lost": True, "closed": ClosedBecause.LAST_RECEIPT}


@pytest.mark.parametrize(
    ("members", "state"),
    [
        ([{"opened": False}, {"opened": False}], JobState.OPENING),
        ([{}, RUNS], JobState.RUNNING),
        ([DONE, RUNS], JobState.RUNNING),
        ([FAILED, RUNS], JobState.RUNNING),
        ([{}, DONE], JobState.STARTING),
        ([DONE, {"phase": JobPhase.RUNNING, "closed": ClosedBecause.LAST_RECEIPT}], JobState.SETTLING),
        ([DONE, DONE], JobState.SUCCEEDED),
        ([DONE, FAILED], JobState.FAILED),
        ([FAILED, LOST], JobState.LOST),
        ([LOST, GONE], JobState.REFUSED),
        ([DONE, {"terminated": True, "closed": ClosedBecause.LAST_RECEIPT}], JobState.CANCELLED),
    ],
)
def test_the_members_of_a_gang_decide_together(members: list[dict[str, Any]], state: JobState) -> None:
    assert state_of(*a_gang(*members)) is state
    assert state_of(*reversed(a_gang(*members))) is state


def test_a_gang_names_the_member_that_decides_and_all_that_stand() -> None:
    gang = a_gang(DONE, FAILED)
    now = standing(JobCourse(attempts=1, leases=tuple(gang)))
    assert (now.lease, now.cause) == (gang[1].lease, "Member 1 of 2: Exit 1.")
    assert now.members == tuple(lease.lease for lease in gang)


def test_a_further_attempt_replaces_the_whole_gang_once_every_member_is_over() -> None:
    half = a_gang(GONE, RUNS)
    assert state_of(*half, attempts=2) is JobState.RUNNING
    refused = a_gang(GONE, {"agent_lost": True})
    now = standing(JobCourse(attempts=2, leases=tuple(refused)))
    assert (now.state, now.next_attempt) == (JobState.RESTING, 1)
    assert now.excluded == {lease.provider for lease in refused}
    second = a_gang(RUNS, RUNS, attempt=1)
    now = standing(JobCourse(attempts=2, leases=(*refused, *second)))
    assert (now.state, now.members) == (JobState.RUNNING, tuple(lease.lease for lease in second))


def test_a_gang_of_which_a_member_may_still_be_settled_waits_before_its_next_attempt() -> None:
    assert state_of(*a_gang(GONE, {"phase": JobPhase.REFUSED}), attempts=2) is JobState.SETTLING


def test_a_skipped_gang_rests_again_and_a_later_plan_stands_for_it() -> None:
    skipped = a_gang(*[{"opened": False, "skipped": SkipReason.CAPACITY}] * 3)
    assert state_of(*skipped) is JobState.RESTING
    now = standing(JobCourse(attempts=1, leases=(*skipped, a_course(phase=JobPhase.RUNNING))))
    assert (now.state, now.members) == (JobState.RUNNING, (LeaseId(a_digest("lease")),))


def replicas(*changes: dict[str, Any], attempts: int = 1) -> JobStanding:
    course = JobCourse(attempts=attempts, leases=tuple(a_gang(*({"agree": 2} | one for one in changes))))
    return standing(course)


WAITS = DONE | {"closed": None, "undecided": True}
AGREED = DONE | {"verdict": Verdict.AGREED}
GUILTY = {"phase": JobPhase.SUCCEEDED, "closed": ClosedBecause.JUDGED, "verdict": Verdict.GUILTY}
DIFFERED = DONE | {"verdict": Verdict.UNDETERMINED}
SILENT = {"closed": ClosedBecause.EXPIRED, "verdict": Verdict.SILENT}


def test_replicas_say_nothing_for_sure_before_their_results_are_compared() -> None:
    assert replicas(WAITS, WAITS, {"undecided": True, **RUNS}).state is JobState.RUNNING
    now = replicas(WAITS, WAITS, WAITS)
    assert (now.state, now.code) == (JobState.SETTLING, "comparing-results")
    assert replicas(LOST | {"closed": None, "undecided": True}, WAITS, WAITS).state is JobState.SETTLING


def test_agreeing_replicas_speak_for_their_job() -> None:
    now = replicas(GUILTY, AGREED, AGREED)
    assert (now.state, now.lease) == (JobState.SUCCEEDED, a_gang({}, {})[1].lease)
    assert now.excluded == {an_address("provider 0.0")}
    failed = AGREED | {"phase": JobPhase.FAILED, "cause": "Exit 1."}
    now = replicas(failed, failed, SILENT)
    assert (now.state, now.cause) == (JobState.FAILED, "Exit 1.")


def test_different_results_fail_the_job_and_nobody_is_blamed() -> None:
    now = replicas(DIFFERED, DIFFERED, DIFFERED, attempts=2)
    assert (now.state, now.code) == (JobState.FAILED, NO_QUORUM)
    assert "not deterministic" in now.cause
    assert "Nobody was slashed" in now.cause
    assert now.excluded == frozenset()


def test_too_few_results_are_the_providers_failing_and_worth_another_attempt() -> None:
    members = (DIFFERED, SILENT, SILENT)
    assert replicas(*members).state is JobState.LOST
    now = replicas(*members, attempts=2)
    assert (now.state, now.code) == (JobState.RESTING, NO_QUORUM)
    assert now.excluded == {an_address("provider 0.1"), an_address("provider 0.2")}
    assert replicas(DIFFERED, SILENT, {"verdict": Verdict.SILENT}, attempts=2).state is JobState.SETTLING


def test_replicas_that_the_buyer_ended_are_cancelled() -> None:
    ended = SILENT | {"terminated": True}
    assert replicas(ended, ended, ended, attempts=2).state is JobState.CANCELLED


def continued(**changes: Any) -> tuple[LeaseCourse, LeaseCourse]:
    """A lease and the one that takes its place."""
    first = a_course(phase=JobPhase.RUNNING, closed=ClosedBecause.CONTINUED, code="", cause="")
    second = a_course(lease=LeaseId(a_digest("next")), continues=first.lease, **changes)
    return first, second


def test_a_continued_lease_does_not_end_its_job_and_the_next_one_goes_on() -> None:
    first, second = continued()
    now = standing(JobCourse(attempts=1, leases=(first, second)))
    assert (now.state, now.lease, now.members) == (JobState.RUNNING, second.lease, (second.lease,))
    assert state_of(first) is JobState.RUNNING


def test_a_continuation_that_is_not_open_changes_nothing() -> None:
    first, second = continued(opened=False)
    running = replace(first, closed=None)
    for state in (second, replace(second, skipped=SkipReason.FUNDS)):
        now = standing(JobCourse(attempts=1, leases=(running, state)))
        assert (now.state, now.lease) == (JobState.RUNNING, running.lease)


def test_a_chain_of_continuations_ends_as_its_last_lease_does() -> None:
    first, second = continued(closed=ClosedBecause.CONTINUED)
    third = a_course(lease=LeaseId(a_digest("third")), continues=second.lease, phase=JobPhase.SUCCEEDED)
    assert state_of(first, second, third) is JobState.SUCCEEDED
    lost = replace(third, phase=None, agent_lost=True, closed=ClosedBecause.LAST_RECEIPT)
    assert state_of(first, second, lost) is JobState.LOST


def test_a_job_that_its_buyer_had_ended_settles_and_is_cancelled_whatever_its_agent_says() -> None:
    by_buyer = (CANCELLED_BY_BUYER, "The buyer ended the job.")
    assert state_of(a_course(phase=JobPhase.RUNNING), withdrawn=by_buyer) is JobState.SETTLING
    for phase in (JobPhase.RUNNING, JobPhase.FAILED):
        over = a_course(phase=phase, closed=ClosedBecause.LAST_RECEIPT)
        now = standing(JobCourse(attempts=2, withdrawn=by_buyer, leases=(over,)))
        assert (now.state, now.code) == (JobState.CANCELLED, CANCELLED_BY_BUYER)
    assert state_of(a_course(phase=JobPhase.SUCCEEDED), withdrawn=by_buyer) is JobState.SUCCEEDED


courses = st.builds(
    LeaseCourse,
    lease=st.sampled_from([LeaseId(a_digest(str(number))) for number in range(4)]),
    provider=st.sampled_from([A, B]),
    attempt=st.integers(0, 2),
    skipped=st.none() | st.sampled_from(SkipReason),
    opened=st.booleans(),
    terminated=st.booleans(),
    closed=st.none() | st.sampled_from(ClosedBecause),
    phase=st.none() | st.sampled_from(JobPhase),
    agent_lost=st.booleans(),
    member=st.integers(0, 2),
    continues=st.none() | st.just(LeaseId(a_digest("0"))),
    agree=st.sampled_from([0, 0, 2]),
    verdict=st.none() | st.sampled_from(Verdict),
)


@given(
    st.lists(courses, max_size=5, unique_by=lambda course: course.lease),
    st.integers(1, 3),
    st.none() | st.sampled_from([(WAIT_OVER, "late"), (CANCELLED_BY_BUYER, "enough")]),
)
def test_a_resting_job_always_has_a_bid_left_to_open(
    leases: list[LeaseCourse], attempts: int, withdrawn: tuple[str, str] | None
) -> None:
    now = standing(JobCourse(attempts=attempts, withdrawn=withdrawn, leases=tuple(leases)))
    if now.state is JobState.RESTING:
        assert now.next_attempt < attempts
        assert withdrawn is None


@given(st.lists(courses, max_size=5, unique_by=lambda course: course.lease), st.integers(1, 3))
def test_what_decides_is_among_the_members_or_nothing_stands(
    leases: list[LeaseCourse], attempts: int
) -> None:
    now = standing(JobCourse(attempts=attempts, leases=tuple(leases)))
    assert not now.members or now.lease in now.members
    assert set(now.members) <= {lease.lease for lease in leases}
