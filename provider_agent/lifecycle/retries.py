"""What time alone brings: deadlines of running jobs, and another try of whatever got no answer.

A message may be lost, a node or an engine away: each stage names here what it asks for again.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ledger.market.facts import JobPhase
from provider_agent.lifecycle import judging, yielding
from provider_agent.lifecycle.claiming import retry_claiming
from provider_agent.lifecycle.instructions import (
    CollectOutputs,
    FetchDocument,
    Instruction,
    Observe,
    Prepare,
    Release,
    ReportPhase,
    ReportUsage,
    Resize,
    StopContainer,
    Warn,
)
from provider_agent.lifecycle.lease_state import MS, LeaseState, Pace, Stage
from provider_agent.lifecycle.transitions import (
    DURATION,
    FINISHING,
    OCCUPIED,
    OUTBID,
    TOO_LATE,
    UNSIGNED,
    VANISHED,
    Step,
    clean,
    cleaning,
    closing_step,
    cut_off,
    enter,
    give_up,
    out_of_patience,
    stop,
    unpaid,
)


def tick(state: LeaseState, at: int, pace: Pace) -> Step:
    """The step that time `at` (milliseconds) brings."""
    if state.stage is Stage.GONE:
        return state, ()
    state, case = judging.tick(state, at, pace)
    state, others = _tick(state, at, pace)
    return state, (*case, *others)


def _tick(state: LeaseState, at: int, pace: Pace) -> Step:
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
        (not state.undecided and at - state.receipt_at > 2 * pace.interval + pace.slack, UNSIGNED),
    )
    for holds, why in reasons:
        if holds:
            return stop(state, at, why, pace)
    if yielding.over(state, at):
        return cut_off(state, at, OUTBID)
    state, again = _retry_told(state, at, pace)
    if at < state.usage_at:
        return state, again
    # A report that failed is made again soon; an answered one, or one that nobody signs while a replica
    # runs, waits for the next interval.
    answered = state.undecided or state.receipt_at >= state.usage_at - pace.interval
    state = replace(state, usage_at=at + (pace.interval if answered else pace.retry))
    return state, (*again, ReportUsage(milliseconds=state.billable(at), last=False))


def _retry_told(state: LeaseState, at: int, pace: Pace) -> Step:
    """What a running job's lease still owes to the node, the job, or the container that it took over."""
    wanted: tuple[tuple[bool, Instruction], ...] = (
        (state.told is not JobPhase.RUNNING, ReportPhase(phase=JobPhase.RUNNING)),
        (yielding.unwarned(state), Warn()),
        (state.unread, FetchDocument()),
        (state.unsized and not state.unread, Resize()),
    )
    instructions = tuple(one for needed, one in wanted if needed)
    if not instructions or at < state.retry_at:
        return state, ()
    return replace(state, retry_at=at + pace.retry), instructions


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
    # A node that stays away must not cost the provider its pay; a replica is judged before it is paid.
    waits = state.undecided or state.closed_at is not None
    if not waits and out_of_patience(state, at, pace):
        return closing_step(enter(state, Stage.SETTLING, at), at, pace)
    if state.stage is Stage.COLLECTING:
        return state, (CollectOutputs(),)
    return state, (ReportPhase(phase=state.final_phase),)


def _retry_settling(state: LeaseState, at: int, pace: Pace) -> Step:
    if state.receipt is not None and state.receipt.receipt.last:
        due = at - max(state.since, state.settle_at or 0) >= pace.settle_patience
        return closing_step(state, at, pace) if due else (state, ())
    if out_of_patience(state, at, pace):
        return closing_step(state, at, pace)
    return state, (ReportUsage(milliseconds=state.billable(at), last=True),)


def _retry_judging(state: LeaseState, _at: int, _pace: Pace) -> Step:
    return state, ()


def _retry_releasing(state: LeaseState, _at: int, _pace: Pace) -> Step:
    instructions: tuple[Instruction, ...] = () if state.undecided else unpaid(state) or (Release(),)
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
    Stage.JUDGING: _retry_judging,
    Stage.SETTLING: _retry_settling,
    Stage.CLAIMING: retry_claiming,
    Stage.RELEASING: _retry_releasing,
    Stage.CLEANING: _retry_cleaning,
    Stage.GONE: _retry_gone,
}
