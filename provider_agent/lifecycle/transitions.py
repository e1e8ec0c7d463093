"""The steps that several stimuli share: giving up, stopping, closing and cleaning a lease.

Each commits to one stage and names what makes that stage true; none looks at the clock or the world.
"""

from dataclasses import replace
from typing import Final

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
    return state, (Cleanup(), ReportPhase(phase=state.final_phase), Release())


def stop(state: LeaseState, at: int, why: Ending, pace: Pace) -> Step:
    """End a running job, for the reason that will be reported; a job that is slow to go is not waited for
    so long that its last receipt would come too late."""
    state = replace(enter(state, Stage.STOPPING, at), ending=why)
    left = (state.closable_at(pace.grace) - pace.margin // 2 - at) // MS
    return state, (StopContainer(grace=min(pace.stop_grace, max(0, left))),)


def clean(state: LeaseState, at: int) -> Step:
    """Nothing is left to wait for: the host gets its room back."""
    return enter(state, Stage.CLEANING, at), cleaning(state)


def cleaning(state: LeaseState) -> tuple[Instruction, ...]:
    """Remove what the lease left here; a node that has not heard the end hears it."""
    if state.told is not None and state.told.final:
        return (Cleanup(),)
    return (ReportPhase(phase=state.final_phase), Cleanup())


def closing(state: LeaseState) -> tuple[Instruction, ...]:
    """How to end a lease by ourselves: first what is signed is paid, then the rest goes back."""
    receipt = state.receipt
    unpaid = receipt is not None and receipt.receipt.milliseconds > state.settled
    if receipt is not None and (receipt.receipt.last or unpaid):
        return (Settle(signed=receipt),)
    return (Release(),)


def closing_step(state: LeaseState, at: int) -> Step:
    """Do it, and remember when, so that it is not done every moment."""
    instructions = closing(state)
    if instructions == (Release(),):
        return enter(state, Stage.RELEASING, at), instructions
    return replace(state, settle_at=at), instructions


def out_of_patience(state: LeaseState, at: int, pace: Pace) -> bool:
    """Whether to stop waiting for a last receipt and take what is signed."""
    latest = min(state.since + pace.last_receipt_patience, state.closable_at(pace.grace) - pace.margin // 4)
    return state.disowned or at >= latest
