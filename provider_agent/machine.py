"""Every decision about a lease's job in one pure function, so that no crash or repetition can surprise it.

`handle(state, stimulus, pace)` answers the next state and what to do; the caller commits the state, then
does it. What a crash leaves undone is asked for again by `Resumed` and `Tick`. A start is the exception:
it is asked for once, in the step that commits `STARTING`, and an interrupted one ends the lease refunded.
"""

from dataclasses import replace
from typing import assert_never

from ledger.market.errors import Broken
from ledger.market.facts import JobPhase
from provider_agent.lifecycle import adoption, claiming, judging, yielding
from provider_agent.lifecycle.instructions import (
    AskContract,
    Attach,
    Cleanup,
    CollectOutputs,
    CreateContainer,
    FetchDocument,
    Instruction,
    Observe,
    Prepare,
    ReportPhase,
    StartContainer,
)
from provider_agent.lifecycle.lease_state import MS, UNSTARTED, Ending, LeaseState, Pace, Stage
from provider_agent.lifecycle.retries import tick
from provider_agent.lifecycle.stimuli import (
    ClaimStands,
    Cleaned,
    ContainerCreated,
    ContainerObserved,
    Disowned,
    DocumentJudged,
    HandedOver,
    JuryRead,
    LeaseEnded,
    LeaseJudged,
    LeaseSeen,
    LeaseStands,
    LeaseTerminated,
    LeaseUnmined,
    Observed,
    OutputsCollected,
    PhaseReported,
    PreparationFailed,
    Prepared,
    ReceiptReceived,
    Resized,
    ResultHashed,
    ResultTaken,
    Resumed,
    Stimulus,
    Tick,
    UsageSettled,
    UsageTaken,
    Warned,
    Yield,
)
from provider_agent.lifecycle.transitions import (
    ENDED,
    FINISHED,
    FINISHING,
    INTERRUPTED,
    LOST,
    OCCUPIED,
    TERMINATED,
    Step,
    clean,
    closing_step,
    enter,
    give_up,
    out_of_patience,
    stop,
)
from provider_agent.runtimes.base import Phase


def open_lease(seen: LeaseSeen, before: LeaseState | None = None) -> Step:
    """The first step of a lease that this agent did not know; `before` is the lease that it continues."""
    if seen.continues is not None:
        return adoption.open_next(seen, before)
    state = LeaseState(
        id=seen.id,
        terms=seen.terms,
        start=seen.start,
        escrow=seen.escrow,
        stage=Stage.SEEN,
        since=seen.at,
        retry_at=seen.at,
        undecided=seen.replica is not None,
        replica=seen.replica,
    )
    return state, (FetchDocument(),)


def handle(state: LeaseState, stimulus: Stimulus, pace: Pace) -> Step:
    """The next state and what is to be done once it is committed."""
    match stimulus:
        case LeaseSeen():
            return _seen(state, stimulus)
        case LeaseStands(at=at):
            return _stands(state, at, pace)
        case LeaseUnmined(at=at):
            return replace(state, unmined_at=state.unmined_at or at), ()
        case LeaseTerminated():
            return _terminated(state, stimulus, pace)
        case LeaseEnded():
            return _ended(state, stimulus, pace)
        case HandedOver():
            return adoption.handed_over(state, stimulus)
        case ClaimStands():
            return claiming.stands(state, stimulus)
        case LeaseJudged():
            return judging.judged(state, stimulus, pace)
        case ResultHashed():
            return judging.hashed(state, stimulus)
        case UsageTaken():
            return judging.metered(state, stimulus)
        case ResultTaken():
            return judging.taken(state, stimulus)
        case JuryRead():
            return judging.read(state, stimulus, pace)
        case Resized():
            return adoption.resized(state, stimulus)
        case Yield():
            return yielding.told(state, stimulus)
        case Warned():
            return replace(state, warned=True), ()
        case UsageSettled(milliseconds=paid, at=at):
            return _settled(replace(state, settled=max(state.settled, paid)), at, pace)
        case DocumentJudged():
            return _judged(state, stimulus, pace)
        case Prepared(at=at):
            return _prepared(state, at)
        case PreparationFailed(at=at, why=why):
            fits = state.stage in (Stage.PREPARING, Stage.CREATING)
            return give_up(state, at, why) if fits else (state, ())
        case ContainerCreated(at=at):
            return _created(state, at)
        case ContainerObserved(at=at, container=container):
            return _observed(state, at, container, pace)
        case ReceiptReceived():
            return _receipt(state, stimulus, pace)
        case Disowned(at=at, why=why):
            return _disowned(state, at, why, pace)
        case OutputsCollected():
            return _collected(state, stimulus)
        case PhaseReported(at=at, phase=phase):
            return _told(state, at, phase, pace)
        case Cleaned(at=at):
            return _cleaned(state, at, pace), ()
        case Resumed(at=at):
            return _resumed(state, at, pace)
        case Tick(at=at):
            return tick(state, at, pace)
        case _ as never:
            assert_never(never)


def _seen(state: LeaseState, seen: LeaseSeen) -> Step:
    if state.id != seen.id:
        raise Broken("other-lease", "A lease's fact went to another lease.", "Report this as a defect.")
    if state.stage is Stage.GONE:
        return state, (AskContract(),)
    # The same lease may be mined again in another block, at another time.
    return replace(state, unmined_at=None, start=seen.start, escrow=seen.escrow), ()


def _stands(state: LeaseState, at: int, pace: Pace) -> Step:
    """A lease that was thought over is open: it never runs again, it is only brought to its end."""
    if state.stage is not Stage.GONE:
        return state, ()
    state = replace(enter(state, Stage.SETTLING, at), closed_at=None, unmined_at=None, settled=0)
    if state.undecided:
        return enter(state, Stage.RELEASING, at), ()
    return closing_step(state, at, pace)


def _terminated(state: LeaseState, stimulus: LeaseTerminated, pace: Pace) -> Step:
    state = replace(state, ended_after=stimulus.ended_after)
    if state.stage in UNSTARTED:
        return give_up(state, stimulus.at, TERMINATED)
    if state.stage is Stage.RUNNING:
        return stop(state, stimulus.at, TERMINATED, pace)
    return state, ()


def _ended(state: LeaseState, stimulus: LeaseEnded, pace: Pace) -> Step:
    at = stimulus.at
    if state.stage in (Stage.GONE, Stage.CLEANING):
        return replace(state, closed_at=state.closed_at or at), ()
    state = replace(state, closed_at=state.closed_at or at)
    if state.stage is Stage.SEEN:
        # Nothing was done, or an agent without memory reads the past: the node knows it better.
        return enter(state, Stage.GONE, at), (Cleanup(),)
    if state.stage in FINISHING:
        return state, ()
    if state.stage in (Stage.CLAIMING, Stage.JUDGING) and claiming.undelivered(state):
        # The money is decided; what the buyer may still get waits a little longer for the node.
        stage = Stage.REPORTING if state.collected else Stage.COLLECTING
        return enter(state, stage, at), claiming.undelivered(state)
    if stimulus.agreed and state.stage is Stage.RUNNING:
        return stop(state, at, FINISHED, pace)
    if stimulus.agreed and state.stage is Stage.STOPPING:
        return state, ()
    if state.stage in UNSTARTED | OCCUPIED:
        state = replace(state, ending=state.ending or ENDED)
    return clean(state, at)


def _judged(state: LeaseState, stimulus: DocumentJudged, pace: Pace) -> Step:
    at, refusal = stimulus.at, stimulus.refusal
    if state.unread and state.stage is Stage.RUNNING:
        return adoption.read(state, stimulus, pace)
    if state.stage is not Stage.SEEN:
        return state, ()
    if refusal is not None:
        return give_up(state, at, refusal)
    return enter(state, Stage.PREPARING, at), (ReportPhase(phase=JobPhase.PREPARING), Prepare())


def _prepared(state: LeaseState, at: int) -> Step:
    # What is undone by a reorganisation may never come back: nothing is begun for it.
    if state.stage is not Stage.PREPARING or state.unmined_at is not None:
        return state, ()
    return enter(state, Stage.CREATING, at), (CreateContainer(),)


def _created(state: LeaseState, at: int) -> Step:
    if state.stage is not Stage.CREATING:
        return state, ()
    return enter(state, Stage.STARTING, at), (StartContainer(),)


def _observed(state: LeaseState, at: int, container: Observed | None, pace: Pace) -> Step:
    if state.stage is Stage.CREATING and container is None:
        return state, (CreateContainer(),)
    if state.stage not in OCCUPIED and state.stage is not Stage.CREATING:
        return state, ()
    if container is None:
        return _vanished(state, at)
    match container.phase:
        case Phase.CREATED:
            return _not_started(state, at, container)
        case Phase.RUNNING:
            return _running(state, at, container, pace)
        case Phase.EXITED:
            return _exited(state, at, container)
        case _ as never:
            assert_never(never)


def _vanished(state: LeaseState, at: int) -> Step:
    """The container is gone: what the last receipt says is all that can be shown to have run."""
    if state.started_at is None:
        return give_up(state, at, INTERRUPTED)
    known = state.receipt.receipt.milliseconds if state.receipt else 0
    state = replace(
        enter(state, Stage.COLLECTING, at),
        finished_at=state.started_at + known,
        ending=state.ending or LOST,
        collecting_at=at,
    )
    return state, _collecting(state)


def _not_started(state: LeaseState, at: int, container: Observed) -> Step:
    if container.error:
        cause = f"The engine could not start the job: {container.error}".rstrip(".") + "."
        return give_up(state, at, Ending(code="start-failed", cause=cause))
    return give_up(state, at, INTERRUPTED)


def _running(state: LeaseState, at: int, container: Observed, pace: Pace) -> Step:
    if state.stage in (Stage.RUNNING, Stage.STOPPING):
        attached: Instruction = Attach()
        return state, (attached,) if state.stage is Stage.RUNNING else ()
    state = replace(
        enter(state, Stage.RUNNING, at),
        started_at=max(container.started_at or at, state.not_before),
        receipt_at=at,
        usage_at=at + pace.interval,
    )
    if state.ended_after is not None:
        return stop(state, at, TERMINATED, pace)
    return state, (ReportPhase(phase=JobPhase.RUNNING), Attach())


def _exited(state: LeaseState, at: int, container: Observed) -> Step:
    started = state.started_at or container.started_at or container.finished_at or at
    started = max(started, state.not_before)
    ended = container.finished_at or at
    # A job that had ended before it was told to end ended by itself.
    by_itself = state.stage is Stage.STOPPING and ended < state.since
    state = replace(
        enter(state, Stage.COLLECTING, at),
        started_at=started,
        finished_at=max(started, ended),
        ending=yielding.ending_of(state, ended, by_itself=by_itself),
        exit_code=container.exit_code,
        out_of_memory=container.oom_killed,
        collecting_at=at,
    )
    return state, _collecting(state)


def _collecting(state: LeaseState) -> tuple[Instruction, ...]:
    """What an ended job left; a replica's result does not wait for a node that takes it."""
    return (*judging.outstanding(state), CollectOutputs())


def _receipt(state: LeaseState, stimulus: ReceiptReceived, pace: Pace) -> Step:
    """Keep the best receipt; one that the contract would not take is none. A last one that nobody here
    asked for is the signer's word that the job is to end."""
    receipt = stimulus.signed.receipt
    known = state.receipt.receipt.milliseconds if state.receipt else 0
    # The chain's clock may be ahead of ours by as much as the contract allows a receipt to be.
    bound = state.lease.billable(receipt.milliseconds, stimulus.at // MS)
    if receipt.lease != state.id or not known <= receipt.milliseconds <= bound:
        return state, ()
    if state.receipt is not None and state.receipt.receipt.last and not receipt.last:
        return state, ()
    state = replace(state, receipt=stimulus.signed, receipt_at=stimulus.at)
    if receipt.last and state.stage is Stage.RUNNING:
        return stop(state, stimulus.at, FINISHED, pace)
    return state, ()


def _disowned(state: LeaseState, at: int, why: Ending, pace: Pace) -> Step:
    state = replace(state, disowned=True)
    return stop(state, at, why, pace) if state.stage is Stage.RUNNING else (state, ())


def _collected(state: LeaseState, stimulus: OutputsCollected) -> Step:
    if state.collected or state.stage not in (Stage.COLLECTING, Stage.CLAIMING):
        return state, ()
    if state.stage is Stage.COLLECTING:
        state = enter(state, Stage.REPORTING, stimulus.at)
    state = replace(state, outputs=stimulus.outputs, missing=stimulus.missing, collected=True)
    return state, (ReportPhase(phase=state.final_phase),)


def _told(state: LeaseState, at: int, phase: JobPhase, pace: Pace) -> Step:
    if state.told is None or not state.told.final:
        state = replace(state, told=phase)
    if state.stage is not Stage.REPORTING or not phase.final:
        return state, ()
    if state.closed_at is not None:
        return clean(state, at)
    if state.undecided:
        return enter(state, Stage.JUDGING, at), ()
    return judging.settle_judged(state, at, pace)


def _settled(state: LeaseState, at: int, pace: Pace) -> Step:
    if state.stage is Stage.SETTLING and out_of_patience(state, at, pace):
        return closing_step(state, at, pace)
    return state, ()


def _cleaned(state: LeaseState, at: int, pace: Pace) -> LeaseState:
    """Forget the lease, unless the node may still want to hear how it ended."""
    heard = state.told is not None and state.told.final
    if state.stage is not Stage.CLEANING or not (heard or at - state.since > pace.closed_patience):
        return state
    return enter(state, Stage.GONE, at)


def _resumed(state: LeaseState, at: int, pace: Pace) -> Step:
    """After a restart the engine is asked first; the rest is what a retry would do."""
    state = replace(state, retry_at=at)
    if state.stage in OCCUPIED or state.stage is Stage.CREATING:
        # The signer gets its two intervals again: that the agent was away is not its fault.
        return replace(state, receipt_at=at), (Observe(),)
    return tick(state, at, pace)
