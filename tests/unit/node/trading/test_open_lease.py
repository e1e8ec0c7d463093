from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.books.rows import LeaseRow, LeaseTransactions
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import UsageReported
from ledger.market.identity import NO_DIGEST, Digest, LeaseId
from ledger.market.lease import UsageClaim
from ledger.market.lifecycle import LeaseState
from node.trading.open_lease import (
    as_lease,
    check_bound,
    check_open,
    check_unclaimed,
    metered_until,
    payable,
)
from tests.factories import NOW, a_digest, some_terms

LEASE = LeaseId(a_digest("lease"))
DURATION = 600
CLAIM = UsageClaim(claimed=5, provider_bond=0, until=NOW + 60)


def a_row(**changes: Any) -> LeaseRow:
    """An open lease of ten minutes that began `NOW`, and of which nothing was said yet."""
    given: dict[str, Any] = dict.fromkeys(LeaseRow.__dataclass_fields__)
    given |= {
        "id": LEASE,
        "terms": some_terms(duration=DURATION),
        "state": LeaseState.ACTIVE,
        "start": NOW,
        "escrow": 184,
        "paid": 0,
        "agree": 0,
        "undecided": False,
        "transactions": LeaseTransactions(),
    }
    return LeaseRow(**(given | changes))


def usage(milliseconds: int, at: int, *, last: bool = False) -> UsageReported:
    return UsageReported(
        lease=LEASE,
        milliseconds=milliseconds,
        cpu_ns=0,
        peak_bytes=0,
        evidence=NO_DIGEST,
        last=last,
        at=at,
    )


@given(
    told_after=st.integers(0, DURATION),
    share=st.floats(0, 1),
    later=st.integers(-30, 2 * DURATION),
    ended_after=st.none() | st.integers(1, DURATION),
    last=st.booleans(),
)
def test_what_is_metered_is_what_a_receipt_may_say_and_no_less_than_was_told(
    told_after: int, share: float, later: int, ended_after: int | None, last: bool
) -> None:
    told = usage(int(told_after * 1_000 * share), NOW + told_after, last=last)
    row = a_row(usage=told, ended_after=ended_after)
    at = max(NOW, told.at + later)
    metered = metered_until(row, at)
    assert as_lease(row).billable(metered, max(at, told.at)) == metered
    assert metered >= min(told.milliseconds, as_lease(row).seconds() * 1_000)
    assert metered <= told.milliseconds + max(0, later) * 1_000
    if last:
        assert metered <= told.milliseconds


def test_nothing_is_metered_before_the_first_report() -> None:
    assert metered_until(a_row(usage=None), NOW + 100) == 0


def test_a_lease_is_payable_unless_it_is_claimed_or_awaits_its_verdict() -> None:
    assert payable(a_row())
    assert not payable(a_row(claim=CLAIM))
    assert not payable(a_row(agree=2, undecided=True, result=Digest(a_digest("result"))))


def test_a_judged_replica_is_payable_only_where_it_showed_a_result() -> None:
    assert payable(a_row(agree=2, result=Digest(a_digest("result"))))
    assert not payable(a_row(agree=2))


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"claim": CLAIM}, "lease-claimed"), ({"undecided": True, "agree": 2}, "lease-undecided")],
)
def test_what_no_receipt_counts_for_says_why(changes: dict[str, Any], code: str) -> None:
    check_unclaimed(a_row())
    with pytest.raises(LostRace) as caught:
        check_unclaimed(a_row(**changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (LeaseState.CLOSED, "lease-ended"),
        (LeaseState.PLANNED, "lease-not-active"),
        (LeaseState.SKIPPED, "lease-not-active"),
    ],
)
def test_a_lease_that_is_not_open_says_so(state: LeaseState, code: str) -> None:
    check_open(a_row())
    with pytest.raises(LostRace) as caught:
        check_open(a_row(state=state))
    assert caught.value.code == code


def test_usage_beyond_the_bound_is_refused_with_what_is_possible() -> None:
    check_bound(a_row(), 15_000, NOW)
    with pytest.raises(Rejected) as caught:
        check_bound(a_row(), 15_001, NOW)
    assert caught.value.facts["allowed"] == 15_000
