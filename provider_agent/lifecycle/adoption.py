"""A lease that continues another takes its running container over, untouched, with its name and its files.

Usage of the new lease counts from its own start, and never from a moment that the old one has paid for.
What was not running yet, or is over, is brought to its end under the new lease as it would have been.
"""

from dataclasses import replace
from typing import Final

from ledger.market.facts import JobPhase
from provider_agent.lifecycle.instructions import (
    Attach,
    Detach,
    FetchDocument,
    Instruction,
    Release,
    ReportPhase,
    Resize,
)
from provider_agent.lifecycle.lease_state import MS, UNSTARTED, Ending, LeaseState, Pace, Stage
from provider_agent.lifecycle.stimuli import DocumentJudged, HandedOver, LeaseSeen, Resized
from provider_agent.lifecycle.transitions import Step, enter, stop

NOTHING_LEFT: Final = Ending(
    code="nothing-to-continue", cause="The job of the lease before had ended and was put away."
)
_PUT_AWAY: Final = frozenset({Stage.RELEASING, Stage.CLEANING, Stage.CLAIMING, Stage.GONE})


def open_next(seen: LeaseSeen, before: LeaseState | None) -> Step:
    """The first step of a lease that continues `before` (None where this agent does not know it)."""
    fresh = LeaseState(
        id=seen.id,
        terms=seen.terms,
        start=seen.start,
        escrow=seen.escrow,
        stage=Stage.SEEN,
        since=seen.at,
        retry_at=seen.at,
        receipt_at=seen.at,
    )
    if before is None or before.stage in _PUT_AWAY:
        state = replace(enter(fresh, Stage.RELEASING, seen.at), ending=NOTHING_LEFT)
        return state, (ReportPhase(phase=state.final_phase), Release())
    fresh = replace(fresh, adopted=before.container, not_before=_not_before(seen, before))
    if before.stage in UNSTARTED:
        # A container that an agent without memory had made is found by its name when it is created.
        return fresh, (FetchDocument(),)
    return _taken_over(fresh, before, seen.at)


def _not_before(seen: LeaseSeen, before: LeaseState) -> int:
    signed = before.receipt.receipt.milliseconds if before.receipt else 0
    paid_until = 0 if before.started_at is None else before.started_at + max(before.settled, signed)
    return max(seen.start * MS, before.not_before, paid_until)


def _taken_over(fresh: LeaseState, before: LeaseState, at: int) -> Step:
    begun = before.started_at is not None
    stage = Stage.REPORTING if before.stage in (Stage.SETTLING, Stage.JUDGING) else before.stage
    state = replace(
        fresh,
        stage=stage,
        started_at=fresh.not_before if begun else None,
        finished_at=None if before.finished_at is None else max(before.finished_at, fresh.not_before),
        exit_code=before.exit_code,
        out_of_memory=before.out_of_memory,
        ending=before.ending,
        usage_at=at,
        outputs=before.outputs,
        missing=before.missing,
        collected=before.collected,
        collecting_at=before.collecting_at,
        unread=True,
        unsized=True,
    )
    instructions: tuple[Instruction, ...] = (FetchDocument(),)
    if state.stage is Stage.RUNNING:
        instructions = (FetchDocument(), Attach(), ReportPhase(phase=JobPhase.RUNNING))
    return state, instructions


def handed_over(state: LeaseState, stimulus: HandedOver) -> Step:
    """The old lease ends here; what ran under it is the next one's."""
    if state.stage is Stage.GONE:
        return state, ()
    state = replace(state, closed_at=state.closed_at or stimulus.at)
    return enter(state, Stage.GONE, stimulus.at), (Detach(),)


def read(state: LeaseState, stimulus: DocumentJudged, pace: Pace) -> Step:
    """The running container's new lease was read: its job gets the limits that it asks for now."""
    state = replace(state, unread=False, remark=stimulus.remark)
    if stimulus.refusal is not None:
        return stop(state, stimulus.at, stimulus.refusal, pace)
    told = () if stimulus.remark is None else (ReportPhase(phase=JobPhase.RUNNING),)
    return state, (Resize(), *told)


def resized(state: LeaseState, stimulus: Resized) -> Step:
    """The container has its limits; what it could not get is told with the running phase."""
    state = replace(state, unsized=False, remark=stimulus.remark or state.remark)
    if stimulus.remark is None or state.stage is not Stage.RUNNING:
        return state, ()
    return state, (ReportPhase(phase=JobPhase.RUNNING),)
