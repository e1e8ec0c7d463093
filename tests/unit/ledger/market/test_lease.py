"""Leases: how long they run, what may be billed when, and when anybody may close them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.lease import Lease, UsageClaim
from ledger.market.money import escrow_for
from ledger.market.policy import CLOCK_SLACK_SECONDS
from tests import strategies as some
from tests.factories import NOW, some_terms

LEASE = Lease(terms=some_terms(), start=NOW, escrow=escrow_for(1_102_400, 600))


def test_a_lease_runs_its_duration_unless_its_buyer_ended_it_earlier() -> None:
    assert LEASE.seconds() == 600
    assert replace(LEASE, ended_after=60).seconds() == 60
    assert replace(LEASE, ended_after=9_999).seconds() == 600


def test_anybody_may_close_it_after_end_and_grace() -> None:
    assert LEASE.closable_at(grace=60) == NOW + 660
    assert replace(LEASE, ended_after=10).closable_at(grace=60) == NOW + 70
    assert replace(LEASE, ended_after=9_999).closable_at(grace=60) == NOW + 10_059


def test_a_claim_is_contested_once_the_buyer_has_put_up_its_bond() -> None:
    claim = UsageClaim(claimed=6, provider_bond=2, until=NOW)
    assert not LEASE.contested
    assert not replace(LEASE, claim=claim).contested
    assert replace(LEASE, claim=replace(claim, buyer_bond=6)).contested


def test_a_receipt_may_not_run_ahead_of_the_chains_clock() -> None:
    assert LEASE.billable(30_000, NOW + 15) == 30_000
    assert LEASE.billable(30_001, NOW + 15) == 30_000
    assert LEASE.billable(10**9, NOW + 10_000) == 600_000
    assert replace(LEASE, ended_after=60).billable(10**9, NOW + 10_000) == 60_000
    assert LEASE.billable(10**9, NOW - CLOCK_SLACK_SECONDS - 1) == 0


def test_what_is_due_reaches_the_escrow_at_the_end_and_never_passes_it() -> None:
    assert LEASE.due(0) == 0
    assert LEASE.due(600_000) == LEASE.due(10**12) == LEASE.escrow
    assert LEASE.due(599_999) < LEASE.escrow


@given(
    milliseconds=some.words(64),
    later=some.words(20),
    at=st.integers(NOW - 100, NOW + 2_000),
    ended=st.none() | some.words(32),
)
def test_billable_time_never_shrinks_and_stays_in_bounds(
    milliseconds: int, later: int, at: int, ended: int | None
) -> None:
    lease = replace(LEASE, ended_after=ended)
    billed = lease.billable(milliseconds, at)
    assert 0 <= billed <= min(milliseconds, lease.seconds() * 1_000)
    assert billed <= lease.billable(milliseconds, at + later)
    assert lease.due(billed) <= lease.escrow


@pytest.mark.parametrize(
    "changes",
    [{"offer": b""}, {"buyer": bytes(32)}, {"member": 256}, {"rate": 1 << 96}, {"duration": 1 << 32}],
    ids=lambda changes: next(iter(changes)),
)
def test_terms_that_do_not_fit_their_words_are_refused(changes: dict[str, object]) -> None:
    assert some_terms(member=255).member == 255
    with pytest.raises(Rejected):
        some_terms(**changes)
