"""A replica's way through the jury: commit to the result, reveal it when all have committed, be judged.

Result and salt are kept before anything is sent, so that a crash anywhere repeats the same commitment. What
the jury has is read again and again: it is asked, not remembered. A job that was cut off has no result that
others could share: its own agrees with nobody's, and is not shown where a quorum stands against it.
"""

from collections import Counter
from dataclasses import replace

from provider_agent.lifecycle.instructions import (
    AskJury,
    Commit,
    Decide,
    HashOutputs,
    Instruction,
    Release,
    ReportUsage,
    Reveal,
)
from provider_agent.lifecycle.lease_state import UNSTARTED, LeaseState, Pace, Replica, ReplicaResult, Stage
from provider_agent.lifecycle.stimuli import JuryRead, LeaseJudged, ResultHashed, ResultTaken, UsageTaken
from provider_agent.lifecycle.transitions import (
    CONVICTED,
    JUDGED_WITHOUT,
    OCCUPIED,
    Step,
    closing_step,
    enter,
    give_up,
    stop,
)

_WAITING = frozenset({Stage.COLLECTING, Stage.REPORTING, Stage.JUDGING, Stage.RELEASING})
"""Stages of a replica in which its job is over and its verdict is not."""


def hashed(state: LeaseState, stimulus: ResultHashed) -> Step:
    """Keep the first result and salt, and commit to them."""
    case = state.replica
    if case is None or case.result is not None:
        return state, ()
    case = replace(case, result=ReplicaResult(hash=stimulus.result, salt=stimulus.salt))
    return replace(state, replica=case), (Commit(),)


def taken(state: LeaseState, stimulus: ResultTaken) -> Step:
    """The chain tells of it before the verdict, however seldom the jury is asked."""
    if state.replica is None:
        return state, ()
    case = replace(state.replica, committed=True, revealed=state.replica.revealed or stimulus.revealed)
    return replace(state, replica=case), ()


def tick(state: LeaseState, at: int, pace: Pace) -> Step:
    """Ask the jury every now and then, once the job is over."""
    case = state.replica
    if case is None or not state.undecided or state.stage not in _WAITING or at < case.ask_at:
        return state, ()
    state = replace(state, replica=replace(case, ask_at=at + pace.retry))
    return state, (*outstanding(state), AskJury())


def outstanding(state: LeaseState) -> tuple[Instruction, ...]:
    """What an ended replica still owes: its result to the jury, and the time that it ran to the node, which
    may sign for that as soon as the jury has decided."""
    case = state.replica
    if case is None or not state.undecided or state.finished_at is None:
        return ()
    hashes: tuple[Instruction, ...] = () if case.result is not None else (HashOutputs(),)
    if case.metered:
        return hashes
    return (*hashes, ReportUsage(milliseconds=state.billable(state.finished_at), last=True))


def metered(state: LeaseState, stimulus: UsageTaken) -> Step:
    """The node will know what to sign for."""
    if state.replica is None or not stimulus.last:
        return state, ()
    return replace(state, replica=replace(state.replica, metered=True)), ()


def read(state: LeaseState, stimulus: JuryRead, pace: Pace) -> Step:
    """What to do about what the jury has now."""
    case = state.replica
    if case is None or not state.undecided:
        return state, ()
    complete = len(stimulus.results) == len(case.members)
    case = replace(
        case,
        committed=stimulus.committed,
        revealed=case.revealed or stimulus.revealed,
        commits=stimulus.commits,
        results=stimulus.results,
        complete_at=(case.complete_at or stimulus.at) if complete else None,
    )
    state = replace(state, replica=case)
    return state, _next(state, case, stimulus.at, pace)


def _next(state: LeaseState, case: Replica, at: int, pace: Pace) -> tuple[Instruction, ...]:
    committing = state.commit_until(pace)
    revealing = committing + pace.jury_window
    if case.result is not None and not case.committed and at <= committing:
        return (Commit(),)
    may_reveal = case.commits == len(case.members) or at > committing
    if case.committed and not case.revealed and may_reveal and at <= revealing:
        return (Reveal(),) if _stands_by(state, case, at, revealing - pace.interval) else ()
    if _is_over(case, at, committing, revealing, pace.slack):
        return (Decide(),)
    return ()


def _stands_by(state: LeaseState, case: Replica, at: int, late: int) -> bool:
    """Whether to show the result: one of a job that was cut off waits for what the others show."""
    if state.ending is None:
        return True
    quorum = max(Counter(case.results).values(), default=0) >= case.agree
    others_are_done = len(case.results) >= case.commits - 1
    return not quorum and (others_are_done or at > late)


def _is_over(case: Replica, at: int, committing: int, revealing: int, patience: int) -> bool:
    """Whether the jury can decide, and the node has had time to have it do so."""
    if case.complete_at is not None:
        return at > case.complete_at + patience
    if case.commits == 0:
        return at > committing + patience
    return at > revealing + patience


def judged(state: LeaseState, stimulus: LeaseJudged, pace: Pace) -> Step:
    """The verdict: the convicted lease closes by itself; any other goes on to its last receipt."""
    at = stimulus.at
    state = replace(state, undecided=False)
    if stimulus.guilty:
        return replace(state, ending=state.ending or CONVICTED), ()
    state = replace(state, ended_after=stimulus.ended_after)
    if state.stage in UNSTARTED:
        return give_up(state, at, JUDGED_WITHOUT)
    if state.stage in OCCUPIED - {Stage.STOPPING}:
        return stop(state, at, state.ending or JUDGED_WITHOUT, pace)
    if state.stage is Stage.RELEASING:
        return state, (Release(),)
    if state.stage is Stage.JUDGING:
        return settle_judged(state, at, pace)
    return state, ()


def settle_judged(state: LeaseState, at: int, pace: Pace) -> Step:
    """Whoever showed no result is paid nothing, and says so at once."""
    state = enter(state, Stage.SETTLING, at)
    if state.replica is not None and not state.replica.revealed:
        return closing_step(state, at, pace)
    return state, (ReportUsage(milliseconds=state.billable(at), last=True),)
