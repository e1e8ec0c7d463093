"""A lease that was sold as interruptible yields to a higher bid: its job is asked to end, has its notice to
do so in, runs and is paid meanwhile, and is then cut off.

A job that ended once it was told to counts as preempted however it ended: nobody can tell a job that saved
its work from one that was done. What had ended before is what it was. A replica never yields, since its jury
waits for it.
"""

from dataclasses import replace

from provider_agent.lifecycle.instructions import Warn
from provider_agent.lifecycle.lease_state import MS, UNSTARTED, Ending, LeaseState, Stage
from provider_agent.lifecycle.stimuli import Yield
from provider_agent.lifecycle.transitions import OUTBID, Step, give_up


def told(state: LeaseState, stimulus: Yield) -> Step:
    """The first word counts; what is not running yet has nothing to save."""
    if state.undecided or state.replica is not None or state.yields_at is not None:
        return state, ()
    if state.stage in UNSTARTED:
        return give_up(replace(state, yields_at=stimulus.at), stimulus.at, OUTBID)
    if state.stage not in (Stage.STARTING, Stage.RUNNING):
        return state, ()
    state = replace(state, yields_at=stimulus.at, yields_until=stimulus.at + stimulus.notice * MS)
    return state, (Warn(),) if state.stage is Stage.RUNNING else ()


def unwarned(state: LeaseState) -> bool:
    """Whether a running job is still to be asked to end."""
    return state.yields_at is not None and not state.warned


def over(state: LeaseState, at: int) -> bool:
    """Whether the notice has run out."""
    return state.yields_at is not None and at >= state.yields_until


def ending_of(state: LeaseState, ended: int, *, by_itself: bool) -> Ending | None:
    """Why a job that ended at that moment did so; None where it was done."""
    heeded = state.yields_at is not None and ended >= state.yields_at
    if heeded and (by_itself or state.ending is None):
        return OUTBID
    return None if by_itself else state.ending
