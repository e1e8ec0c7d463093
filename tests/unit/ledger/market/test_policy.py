"""A market's rules: which the contract takes, and the shares that follow from them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.policy import EMBEDDED, PUBLIC, Policy

WINDOWS = ("receipt_interval", "grace", "challenge_window", "arbitration_window")


@pytest.mark.parametrize("policy", [EMBEDDED, PUBLIC], ids=["embedded", "public"])
def test_stake_stays_longer_than_every_window(policy: Policy) -> None:
    longest = max(getattr(policy, window) for window in WINDOWS)
    replace(policy, unstake_delay=longest + 1)
    with pytest.raises(Rejected) as refused:
        replace(policy, unstake_delay=longest)
    assert refused.value.code == "unstake-delay"


@pytest.mark.parametrize(
    ("share", "most"), [("fee_bps", 200), ("stake_bps", 10_000), ("no_show_bps", 10_000)]
)
def test_shares_are_bounded(share: str, most: int) -> None:
    assert getattr(replace(EMBEDDED, **{share: most}), share) == most
    for wrong in (most + 1, -1):
        with pytest.raises(Rejected):
            replace(EMBEDDED, **{share: wrong})


@pytest.mark.parametrize("window", [*WINDOWS, "unstake_delay"])
def test_a_window_fits_32_bits(window: str) -> None:
    with pytest.raises(Rejected):
        replace(EMBEDDED, **{window: 1 << 32})


def test_lock_fee_and_no_show_are_rounded_down() -> None:
    assert (EMBEDDED.lock_for(199), EMBEDDED.fee_on(199), EMBEDDED.no_show_of(19)) == (19, 1, 9)


@given(steps=st.lists(st.integers(0, 1 << 80), max_size=8).map(sorted), fee_bps=st.integers(0, 200))
def test_fees_of_many_payouts_are_the_fee_on_their_total(steps: list[int], fee_bps: int) -> None:
    policy, paid, fees = replace(EMBEDDED, fee_bps=fee_bps), 0, 0
    for total in steps:
        fee = policy.fee_on(total) - policy.fee_on(paid)
        assert 0 <= fee <= total - paid
        paid, fees = total, fees + fee
    assert fees == policy.fee_on(paid)
