"""What a provider may still get for time that its counterpart stopped signing for.

The contract lets it claim at most two receipt intervals beyond what is paid, the first without a bond. The
agent claims what truly ran and no more, delivers what the buyer may still want while the claim stands, and
finalises it by itself once its window is over.
"""

from dataclasses import replace

from ledger.market.money import RATE_DIVISOR
from ledger.market.policy import CLAIM_INTERVALS, FREE_CLAIM_INTERVALS
from provider_agent.lifecycle.instructions import (
    Claim,
    CollectOutputs,
    Finalize,
    Instruction,
    Release,
    ReportPhase,
)
from provider_agent.lifecycle.lease_state import MS, LeaseState, Pace, Stage
from provider_agent.lifecycle.stimuli import ClaimStands

Step = tuple[LeaseState, tuple[Instruction, ...]]


def claim_of(state: LeaseState, at: int, pace: Pace) -> Claim | None:
    """The claim for what ran beyond the time that is paid; None where nothing is left to claim."""
    silent = state.replica is not None and not state.replica.revealed
    if state.started_at is None or state.undecided or silent:
        return None
    ran = state.billable(at)
    most = _within(state, min(ran, state.settled + CLAIM_INTERVALS * pace.interval), pace, CLAIM_INTERVALS)
    free = _within(
        state, min(ran, state.settled + FREE_CLAIM_INTERVALS * pace.interval), pace, FREE_CLAIM_INTERVALS
    )
    if state.lease.due(most) <= _paid(state):
        return None
    bond = state.lease.due(most) - _paid(state) - _worth(state, pace, FREE_CLAIM_INTERVALS)
    return Claim(milliseconds=most, free=free, bond=max(0, bond))


def _within(state: LeaseState, milliseconds: int, pace: Pace, intervals: int) -> int:
    """The full duration pays the escrow, which is rounded up: a millisecond less is rounded down."""
    beyond = state.lease.due(milliseconds) - _paid(state) > _worth(state, pace, intervals)
    return milliseconds - 1 if beyond else milliseconds


def _worth(state: LeaseState, pace: Pace, intervals: int) -> int:
    """Base units that so many receipt intervals may cost, as the contract rounds them."""
    return -(-state.terms.rate * intervals * pace.interval // RATE_DIVISOR)


def _paid(state: LeaseState) -> int:
    return state.lease.due(state.settled)


def stands(state: LeaseState, stimulus: ClaimStands) -> Step:
    """Our claim is on the chain, whatever this agent remembers of it."""
    if state.stage in (Stage.CLEANING, Stage.GONE):
        return state, ()
    state = replace(state, claim_until=stimulus.until, contested=stimulus.contested)
    if state.stage is not Stage.CLAIMING:
        state = replace(state, stage=Stage.CLAIMING, since=stimulus.at, retry_at=stimulus.at)
    return state, ()


def retry_claiming(state: LeaseState, at: int, pace: Pace) -> Step:
    """Open the claim, or finalise it when it is due; meanwhile deliver what the node has not taken yet."""
    delivery = undelivered(state)
    if state.claim_until is not None:
        due = at >= state.claim_until * MS + pace.slack
        return state, (*delivery, Finalize()) if due else delivery
    claim = claim_of(state, at, pace)
    if claim is None or at - state.since > pace.claim_patience:
        state = replace(state, stage=Stage.RELEASING, since=at, retry_at=at)
        return state, (*delivery, Release())
    return state, (*delivery, claim)


def undelivered(state: LeaseState) -> tuple[Instruction, ...]:
    """The buyer's outputs and the word of how the job ended, where the node has not had them."""
    if not state.collected and state.finished_at is not None:
        return (CollectOutputs(),)
    if state.told is None or not state.told.final:
        return (ReportPhase(phase=state.final_phase),)
    return ()
