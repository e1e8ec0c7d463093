"""What an embedded grid fixes, and which windows it refuses to be founded with."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.embedded.grid import GridPolicy
from ledger.market.errors import Rejected
from ledger.market.policy import EMBEDDED

seconds = st.integers(1, 1 << 20)


def test_a_grid_that_says_nothing_has_the_embedded_rules() -> None:
    assert GridPolicy().market == EMBEDDED


@given(seconds, seconds, seconds, seconds)
def test_stake_outlasts_whatever_windows_a_grid_has(
    interval: int, grace: int, challenge: int, arbitration: int
) -> None:
    rules = GridPolicy(
        receipt_interval=interval,
        grace=grace,
        challenge_window=challenge,
        arbitration_window=arbitration,
    ).market
    assert rules.unstake_delay > max(interval, grace, challenge, arbitration)
    named = replace(
        EMBEDDED,
        receipt_interval=interval,
        grace=grace,
        challenge_window=challenge,
        arbitration_window=arbitration,
        unstake_delay=rules.unstake_delay,
    )
    assert rules == named


def test_shares_and_delay_can_be_chosen() -> None:
    rules = GridPolicy(unstake_delay=400, fee_bps=0, stake_bps=1, no_show_bps=2).market
    assert (rules.unstake_delay, rules.fee_bps, rules.stake_bps, rules.no_show_bps) == (400, 0, 1, 2)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (GridPolicy(unstake_delay=300), "unstake-delay"),
        (GridPolicy(fee_bps=201), "policy-share"),
        (GridPolicy(stake_bps=10_001), "policy-share"),
    ],
    ids=["stake leaves too early", "fee too high", "more than all"],
)
def test_rules_that_no_market_may_have_are_refused(policy: GridPolicy, code: str) -> None:
    with pytest.raises(Rejected) as refusal:
        _ = policy.market
    assert refusal.value.code == code
