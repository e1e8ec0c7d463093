"""The steps that several stimuli share: giving up, stopping, closing and cleaning a lease.

Each commits to one stage and names what makes that stage true; none looks at the clock or the world.
"""

from dataclasses import replace
from typing import Final

from ledger.market.lifecycle import PREEMPTED
from provider_agent.lifecycle.claiming import claim_of
from provider_agent.lifecycle.instructions import (
    Cleanup,
    Instruction,
    Release,
    ReportPhase,
    Settle,
    StopContainer,
)
from provider_agent.lifecycle.lease_state import MS, Ending, LeaseState, Pace, Stage

Step = tuple[LeaseState, tuple[Instruction, ...]]

TERMINATED: Final = Ending(code="terminated", cause="The buyer ended the lease.")
ENDED: Final = Ending(code="lease-ended", cause="The lease was closed while the job ran.")
VANISHED: Final = Ending(code="lease-vanished", cause="A reorganisation undid the lease.")
DURATION: Final = Ending(code="duration-ended", cause="The job reached the end of its lease.")
UNSIGNED: Final = Ending(code="receipts-missing", cause="The signer did not co-sign two usage reports.")
INTERRUPTED: Final = Ending(
    code="interrupted-start", cause="The agent was interrupted while it started the job."
)
FINISHED: Final = Ending(code="lease-finished", cause="The signer signed the lease's last receipt.")
JUDGED_WITHOUT: Final = Ending(
    code="judged-without", cause="The replicas were judged before this one had a result."
)
CONVICTED: Final = Ending(
    code="convicted", cause="Most replicas had another result; the lease's stake was burned."
)
OUTBID: Final = Ending(code=PREEMPTED, cause="A higher bid took the job's place.")
LOST: Final = Ending(code="container-lost", cause="The job's container is not there any more.")
TOO_LATE: Final = Ending(code="not-started-in-time", cause="The job could not be prepared in time.")


OCCUPIED: Final = frozenset({Stage.STARTING, Stage.RUNNING, Stage.STOPPING})
FINISHING: Final = frozenset({Stage.COLLECTING, Stage.REPORTING})


def enter(state: LeaseState, stage: Stage, at: int) -> LeaseState:
    """The same lease at the beginning of `stage`."""
    return replace(state, stage=stage, since=at, retry_at=at)


def give_up(state: LeaseState, at: int, why: Ending) -> Step:
    """Nothing ran: the node hears why, and the buyer is refunded."""
    state = replace(enter(state, Stage.RELEASING, at), ending=why)
    report = (Cleanup(), ReportPhase(phase=state.final_phase))
    # A replica closes when it is judged, not before.
    return state, report if state.undecided else (*report, Release())


def stop(state: LeaseState, at: int, why: Ending, pace: Pace) -> Step:
    """End a running job, for the reason that will be reported; a job that is slow to go is not waited for
    so long that its last receipt would come too late."""
    state = replace(enter(state, Stage.STOPPING, at), ending=why)
    left = (state.deadline(pace, 2) - at) // MS
    return state, (StopContainer(grace=min(pace.stop_grace, max(0, left))),)


def cut_off(state: LeaseState, at: int, why: Ending) -> Step:
    """End a job that had its notice, at once."""
    return replace(enter(state, Stage.STOPPING, at), ending=why), (StopContainer(grace=0),)


def clean(state: LeaseState, at: int) -> Step:
    """Nothing is left to wait for: the host gets its room back."""
    return enter(state, Stage.CLEANING, at), cleaning(state)


def cleaning(state: LeaseState) -> tuple[Instruction, ...]:
    """Remove what the lease left here; a node that has not heard the end hears it."""
    if state.told is not None and state.told.final:
        return (Cleanup(),)
    return (ReportPhase(phase=state.final_phase), Cleanup())


def unpaid(state: LeaseState) -> tuple[Settle, ...]:
    """The best receipt, where the chain has not paid it yet or it would close the lease."""
    receipt = state.receipt
    if receipt is None or not (receipt.receipt.last or receipt.receipt.milliseconds > state.settled):
        return ()
    return (Settle(signed=receipt),)


def closing_step(state: LeaseState, at: int, pace: Pace) -> Step:
    """End a lease by ourselves, and remember when that was tried, so that it is not done every moment:
    first what is signed is paid, then what ran beyond it is claimed, else the rest goes back."""
    if settle := unpaid(state):
        return replace(state, settle_at=at), settle
    if claim := claim_of(state, at, pace):
        return enter(state, Stage.CLAIMING, at), (claim,)
    return enter(state, Stage.RELEASING, at), (Release(),)


def out_of_patience(state: LeaseState, at: int, pace: Pace) -> bool:
    """Whether to stop waiting for a last receipt and take what is signed."""
    if state.disowned or at >= state.deadline(pace, 2):
        return True
    # A signer that let two intervals pass while the job ran has had its time already.
    waiting_since = state.since if state.stage is Stage.SETTLING else None
    if state.ending == UNSIGNED:
        waiting_since = state.collecting_at
    return waiting_since is not None and at - waiting_since >= pace.last_receipt_patience
