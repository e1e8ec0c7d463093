"""What time alone brings: deadlines of running jobs, and another try of whatever got no answer.

A message may be lost, a node or an engine away: each stage names here what it asks for again.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ledger.market.facts import JobPhase
from provider_agent.lifecycle.instructions import (
    CollectOutputs,
    FetchDocument,
    Instruction,
    Observe,
    Prepare,
    ReportPhase,
    ReportUsage,
    StopContainer,
)
from provider_agent.lifecycle.lease_state import MS, LeaseState, Pace, Stage
from provider_agent.lifecycle.transitions import (
    DURATION,
    FINISHING,
    OCCUPIED,
    TOO_LATE,
    UNSIGNED,
    VANISHED,
    Step,
    clean,
    cleaning,
    closing,
    closing_step,
    enter,
    give_up,
    out_of_patience,
    stop,
)


def tick(state: LeaseState, at: int, pace: Pace) -> Step:
    """The step that time `at` (milliseconds) brings."""
    if state.stage is Stage.GONE:
        return state, ()
    unmined = state.unmined_at is not None and at - state.unmined_at > pace.unmined_patience
    if state.stage is Stage.RUNNING:
        return _tick_running(state, at, pace, unmined=unmined)
    if unmined and state.stage not in OCCUPIED | FINISHING and state.stage is not Stage.CLEANING:
        return clean(replace(state, ending=state.ending or VANISHED), at)
    if at < state.retry_at:
        return state, ()
    return _RETRIES[state.stage](replace(state, retry_at=at + pace.retry), at, pace)


def _tick_running(state: LeaseState, at: int, pace: Pace, *, unmined: bool) -> Step:
    reasons = (
        (unmined, VANISHED),
        (at >= state.stop_at(pace), DURATION),
        (at - state.receipt_at > 2 * pace.interval + pace.slack, UNSIGNED),
    )
    for holds, why in reasons:
        if holds:
            return stop(state, at, why, pace)
    instructions: list[Instruction] = []
    if state.told is not JobPhase.RUNNING and at >= state.retry_at:
        state = replace(state, retry_at=at + pace.retry)
        instructions.append(ReportPhase(phase=JobPhase.RUNNING))
    if at >= state.usage_at:
        # A report that failed is made again soon; an answered one waits for the next interval.
        pause = pace.interval if state.receipt_at >= state.usage_at - pace.interval else pace.retry
        state = replace(state, usage_at=at + pause)
        instructions.append(ReportUsage(milliseconds=state.billable(at), last=False))
    return state, tuple(instructions)


def _retry_unstarted(state: LeaseState, at: int, pace: Pace) -> Step:
    limit = min(state.start * MS + pace.prepare_limit, state.stop_at(pace))
    if at > limit:
        return give_up(state, at, TOO_LATE)
    tasks: dict[Stage, Instruction] = {
        Stage.SEEN: FetchDocument(),
        Stage.PREPARING: Prepare(),
        Stage.CREATING: Observe(),
    }
    return state, (tasks[state.stage],)


def _retry_starting(state: LeaseState, _at: int, _pace: Pace) -> Step:
    return state, (Observe(),)


def _retry_running(state: LeaseState, _at: int, _pace: Pace) -> Step:
    return state, ()


def _retry_stopping(state: LeaseState, _at: int, _pace: Pace) -> Step:
    return state, (StopContainer(grace=0),)


def _retry_finishing(state: LeaseState, at: int, pace: Pace) -> Step:
    if state.closed_at is not None and at - state.closed_at > pace.closed_patience:
        return clean(state, at)
    # A node that stays away must not cost the provider its pay.
    if at >= state.closable_at(pace.grace) - pace.margin // 4:
        return enter(state, Stage.SETTLING, at), closing(state)
    if state.stage is Stage.COLLECTING:
        return state, (CollectOutputs(),)
    return state, (ReportPhase(phase=state.final_phase),)


def _retry_settling(state: LeaseState, at: int, pace: Pace) -> Step:
    if state.receipt is not None and state.receipt.receipt.last:
        due = at - max(state.since, state.settle_at or 0) >= pace.settle_patience
        return closing_step(state, at) if due else (state, ())
    if out_of_patience(state, at, pace):
        return closing_step(state, at)
    return state, (ReportUsage(milliseconds=state.billable(at), last=True),)


def _retry_releasing(state: LeaseState, _at: int, _pace: Pace) -> Step:
    instructions = closing(state)
    if state.told is None or not state.told.final:
        instructions = (ReportPhase(phase=state.final_phase), *instructions)
    return state, instructions


def _retry_cleaning(state: LeaseState, _at: int, _pace: Pace) -> Step:
    return state, cleaning(state)


def _retry_gone(state: LeaseState, _at: int, _pace: Pace) -> Step:
    return state, ()


_RETRIES: Final[dict[Stage, Callable[[LeaseState, int, Pace], Step]]] = {
    Stage.SEEN: _retry_unstarted,
    Stage.PREPARING: _retry_unstarted,
    Stage.CREATING: _retry_unstarted,
    Stage.STARTING: _retry_starting,
    Stage.RUNNING: _retry_running,
    Stage.STOPPING: _retry_stopping,
    Stage.COLLECTING: _retry_finishing,
    Stage.REPORTING: _retry_finishing,
    Stage.SETTLING: _retry_settling,
    Stage.RELEASING: _retry_releasing,
    Stage.CLEANING: _retry_cleaning,
    Stage.GONE: _retry_gone,
}
