from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.identity import LeaseId
from ledger.market.money import RATE_DIVISOR, escrow_for
from provider_agent.lifecycle.claiming import claim_of
from provider_agent.lifecycle.lease_state import MS, LeaseState, Pace, Stage
from tests.factories import NOW, a_digest, some_terms

T = NOW * MS


@st.composite
def ended_leases(draw: st.DrawFn) -> tuple[LeaseState, Pace, int]:
    """A job that ended, of any price and length, paid up to anywhere; and a moment after its end."""
    rate, seconds = draw(st.integers(1, 10**12)), draw(st.integers(1, 5_000))
    ran = draw(st.integers(0, seconds * MS))
    paid = draw(st.integers(0, ran))
    state = LeaseState(
        id=LeaseId(a_digest("lease")),
        terms=some_terms(rate=rate, duration=seconds),
        start=NOW,
        escrow=escrow_for(rate, seconds),
        stage=Stage.SETTLING,
        since=T,
        retry_at=T,
        started_at=T,
        finished_at=T + ran,
        settled=paid,
    )
    pace = Pace(interval=draw(st.integers(1, 120)) * MS, grace=60 * MS)
    return state, pace, T + draw(st.integers(ran, 2 * seconds * MS))


@given(ended_leases())
def test_a_claim_is_one_that_the_contract_takes(found: tuple[LeaseState, Pace, int]) -> None:
    state, pace, at = found
    claim, paid = claim_of(state, at, pace), state.lease.due(state.settled)
    if claim is None:
        assert state.lease.due(min(state.billable(at), state.settled + pace.interval) - 1) <= paid
        return
    worth = -(-state.terms.rate * pace.interval // RATE_DIVISOR)
    twice = -(-state.terms.rate * 2 * pace.interval // RATE_DIVISOR)
    due, free = state.lease.due(claim.milliseconds), state.lease.due(claim.free)
    assert paid < due <= paid + twice
    assert free <= paid + worth
    assert claim.bond == max(0, due - paid - worth)
    assert claim.milliseconds <= state.billable(at)


@given(ended_leases())
def test_nothing_is_claimed_for_what_is_undecided_or_never_ran(found: tuple[LeaseState, Pace, int]) -> None:
    state, pace, at = found
    assert claim_of(replace(state, undecided=True), at, pace) is None
    assert claim_of(replace(state, started_at=None), at, pace) is None
