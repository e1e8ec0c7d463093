"""A lease that was sold as interruptible yields: warned, given its notice, paid meanwhile, then cut off."""

from dataclasses import replace
from typing import Any

import pytest

from ledger.market.facts import JobPhase
from ledger.market.identity import LeaseId
from provider_agent.lifecycle.instructions import (
    Cleanup,
    CollectOutputs,
    Instruction,
    Observe,
    Release,
    ReportPhase,
    StopContainer,
    Warn,
)
from provider_agent.lifecycle.lease_state import LeaseState, Pace, Replica, Stage
from provider_agent.lifecycle.stimuli import (
    ContainerCreated,
    ContainerObserved,
    DocumentJudged,
    LeaseSeen,
    LeaseTerminated,
    Observed,
    PhaseReported,
    Prepared,
    Resumed,
    Stimulus,
    Tick,
    Warned,
    Yield,
)
from provider_agent.lifecycle.transitions import OUTBID, TERMINATED
from provider_agent.machine import handle, open_lease
from provider_agent.runtimes.base import Phase
from tests.factories import NOW, a_digest, some_terms

MS = 1_000
T = NOW * MS
TOLD = T + 5 * MS
SEEN = LeaseSeen(at=T, id=LeaseId(a_digest("lease")), terms=some_terms(), start=NOW, escrow=600)
PACE = Pace(interval=10 * MS, grace=60 * MS)
RUNNING = ContainerObserved(at=T, container=Observed(phase=Phase.RUNNING, started_at=T))
ACCEPTED = (DocumentJudged(at=T, refusal=None), Prepared(at=T), ContainerCreated(at=T))
UP = (*ACCEPTED, RUNNING, PhaseReported(at=T, phase=JobPhase.RUNNING))
YIELD = Yield(at=TOLD, notice=8)


def exited(at: int, code: int = 0) -> ContainerObserved:
    container = Observed(phase=Phase.EXITED, started_at=T, finished_at=at, exit_code=code)
    return ContainerObserved(at=at, container=container)


def after(*stimuli: Stimulus, seen: LeaseSeen = SEEN) -> tuple[LeaseState, tuple[Instruction, ...]]:
    """The state after these, and what the last one asked for."""
    state, asked = open_lease(seen)
    for stimulus in stimuli:
        state, asked = handle(state, stimulus, PACE)
    return state, asked


def test_a_running_job_is_asked_to_end_and_runs_on() -> None:
    state, asked = after(*UP, YIELD)
    assert asked == (Warn(),)
    assert (state.stage, state.yields_until) == (Stage.RUNNING, TOLD + 8 * MS)


def test_a_second_word_neither_warns_again_nor_moves_the_end() -> None:
    once, _ = after(*UP, YIELD, Warned(at=TOLD))
    twice, asked = after(*UP, YIELD, Warned(at=TOLD), replace(YIELD, at=TOLD + MS), Warned(at=TOLD + MS))
    assert (twice, asked) == (once, ())


def test_a_job_that_was_not_warned_for_sure_is_asked_again() -> None:
    _, asked = after(*UP, YIELD, Tick(at=TOLD + 1))
    assert Warn() in asked
    _, asked = after(*UP, YIELD, Warned(at=TOLD), Tick(at=TOLD + 1))
    assert Warn() not in asked


def test_a_job_that_starts_is_warned_once_it_runs() -> None:
    state, asked = after(*ACCEPTED, YIELD)
    assert (state.stage, asked) == (Stage.STARTING, ())
    _, asked = after(*ACCEPTED, YIELD, RUNNING, Tick(at=TOLD + 1))
    assert Warn() in asked


def test_what_still_runs_after_its_notice_is_killed() -> None:
    up = (*UP, YIELD, Warned(at=TOLD))
    _, asked = after(*up, Tick(at=TOLD + 8 * MS - 1))
    assert StopContainer(grace=0) not in asked
    state, asked = after(*up, Tick(at=TOLD + 8 * MS))
    assert (state.stage, asked) == (Stage.STOPPING, (StopContainer(grace=0),))
    ended, _ = after(*up, Tick(at=TOLD + 8 * MS), exited(TOLD + 8 * MS + 5, 137))
    assert (ended.explanation, ended.final_phase) == (OUTBID, JobPhase.FAILED)


@pytest.mark.parametrize("code", [0, 143])
def test_a_job_that_ends_within_its_notice_was_preempted_however_it_ended(code: int) -> None:
    state, asked = after(*UP, YIELD, exited(TOLD + MS, code))
    assert asked == (CollectOutputs(),)
    assert (state.explanation, state.final_phase) == (OUTBID, JobPhase.FAILED)


def test_it_is_paid_for_its_notice() -> None:
    state, _ = after(*UP, YIELD, exited(TOLD + MS))
    assert state.billable(TOLD + 2 * MS) == 6 * MS


@pytest.mark.parametrize(("code", "phase"), [(0, JobPhase.SUCCEEDED), (3, JobPhase.FAILED)])
def test_a_job_that_had_ended_before_it_was_told_is_what_it_was(code: int, phase: JobPhase) -> None:
    state, _ = after(*UP, YIELD, exited(TOLD - 1, code))
    assert state.final_phase is phase
    assert state.ending is None


def test_an_exit_within_the_notice_that_nobody_saw_before_its_end_counts_too() -> None:
    state, _ = after(*UP, YIELD, Tick(at=TOLD + 8 * MS), exited(TOLD + MS))
    assert state.ending == OUTBID


def test_a_lease_that_does_not_run_yet_is_given_back() -> None:
    for before in ((), ACCEPTED[:1], ACCEPTED[:2]):
        state, asked = after(*before, YIELD)
        assert asked == (Cleanup(), ReportPhase(phase=JobPhase.FAILED), Release())
        assert (state.stage, state.ending) == (Stage.RELEASING, OUTBID)


def test_a_lease_whose_job_is_over_does_not_yield_any_more() -> None:
    over, _ = after(*UP, exited(T + MS))
    assert after(*UP, exited(T + MS), YIELD) == (over, ())


def test_a_replica_never_yields() -> None:
    replica = replace(SEEN, replica=Replica(agree=2, members=(SEEN.terms,) * 3))
    up, _ = after(*UP, seen=replica)
    assert after(*UP, YIELD, seen=replica) == (up, ())


def test_a_restart_in_the_middle_goes_on_with_the_same_end() -> None:
    state, asked = after(*UP, YIELD, Resumed(at=TOLD + 2 * MS))
    assert asked == (Observe(),)
    _, asked = after(*UP, YIELD, Resumed(at=TOLD + 2 * MS), RUNNING, Tick(at=TOLD + 3 * MS))
    assert Warn() in asked
    late = TOLD + 20 * MS
    _, asked = after(*UP, YIELD, Resumed(at=late), RUNNING, Tick(at=late))
    assert asked == (StopContainer(grace=0),)
    assert state.yields_until == TOLD + 8 * MS


def test_a_buyer_may_still_end_it_sooner() -> None:
    state, asked = after(*UP, YIELD, LeaseTerminated(at=TOLD + MS, ended_after=6))
    assert (state.stage, state.ending) == (Stage.STOPPING, TERMINATED)
    assert any(isinstance(one, StopContainer) for one in asked)


def test_usage_is_reported_while_the_notice_runs() -> None:
    up: tuple[Any, ...] = (*UP, Yield(at=TOLD, notice=60), Warned(at=TOLD))
    _, asked = after(*up, Tick(at=T + 10 * MS))
    assert [type(one).__name__ for one in asked] == ["ReportUsage"]
