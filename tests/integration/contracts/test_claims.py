"""Claims of usage that nobody signed: left alone, contested, decided, or left to silence."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.events import (
    ClaimDecided,
    ClaimOpened,
    FeePaid,
    LeaseClosed,
    LeaseOpened,
    ReceiptSkipped,
    StakeBurned,
)
from ledger.market.lease import ClosedBecause
from ledger.market.money import escrow_for, pay_for, rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.fakes.in_process_market import PURSE, STAKE, Order, a_bid, account, an_offer, party
from tests.fakes.market_twin import Claim, MarketTwin

RATE = rate_of(an_offer().ask, a_bid().want)
DURATION = a_bid().duration
TWO_INTERVALS = 2 * EMBEDDED.receipt_interval * 1_000
CLAIMED = pay_for(RATE, TWO_INTERVALS, DURATION)
BOND = CLAIMED - escrow_for(RATE, EMBEDDED.receipt_interval)


@pytest.fixture
def lease(twin: MarketTwin) -> LeaseOpened:
    """A lease that ran for ten minutes; the provider has a balance for its bond."""
    twin.register(an_offer())
    twin.deposit("provider", 10**6)
    opened = twin.open(an_offer(), Order(bid=a_bid(), rate=RATE))
    twin.chain.advance(600)
    return opened


def test_an_uncontested_claim_is_paid(twin: MarketTwin, lease: LeaseOpened) -> None:
    (opened,) = twin.claim(lease.terms, TWO_INTERVALS)
    assert isinstance(opened, ClaimOpened)
    assert (opened.claimed, opened.bond) == (CLAIMED, BOND)
    twin.assert_same_state()
    twin.chain.advance(EMBEDDED.challenge_window)
    decided, fee, closed = twin.finalize(lease.terms)
    assert isinstance(decided, ClaimDecided)
    assert (decided.paid, decided.to_provider) == (CLAIMED, BOND)
    assert isinstance(fee, FeePaid)
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.CLAIMED
    twin.assert_same_state()


@pytest.mark.parametrize(
    "milliseconds",
    [0, TWO_INTERVALS + 10_000, 615_001, DURATION * 1_000 + 1, 2**64, 2**256 - 1],
)
def test_a_claim_has_bounds(twin: MarketTwin, lease: LeaseOpened, milliseconds: int) -> None:
    with pytest.raises(Rejected):
        twin.claim(lease.terms, milliseconds)
    twin.assert_same_state()


def test_a_claim_of_one_interval_needs_no_bond(twin: MarketTwin, lease: LeaseOpened) -> None:
    (opened,) = twin.claim(lease.terms, EMBEDDED.receipt_interval * 1_000)
    assert isinstance(opened, ClaimOpened)
    assert opened.bond == 0


def test_a_claim_of_the_whole_duration_is_of_the_whole_escrow(twin: MarketTwin) -> None:
    """Which is rounded up, where the time's own pay is rounded down."""
    twin.register(an_offer(min_seconds=1))
    twin.deposit("provider", 10**6)
    seconds = 2 * EMBEDDED.receipt_interval - 1
    opened = twin.open(an_offer(min_seconds=1), Order(bid=a_bid(duration=seconds), rate=RATE))
    twin.chain.advance(seconds)
    (claimed,) = twin.claim(opened.terms, seconds * 1_000)
    assert isinstance(claimed, ClaimOpened)
    assert claimed.claimed == opened.escrow == RATE * seconds * 1_000 // 3_600_000_000 + 1
    twin.assert_same_state()


def test_a_claim_counts_from_the_last_receipt(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.settle(Claim(terms=lease.terms, milliseconds=300_000))
    with pytest.raises(Rejected):
        twin.claim(lease.terms, 300_000)
    (opened,) = twin.claim(lease.terms, 300_000 + TWO_INTERVALS)
    assert isinstance(opened, ClaimOpened)
    assert opened.claimed == pay_for(RATE, 300_000 + TWO_INTERVALS, DURATION)


def test_a_claimed_lease_takes_no_receipt_and_does_not_close(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.claim(lease.terms, TWO_INTERVALS)
    (skipped,) = twin.settle(Claim(terms=lease.terms, milliseconds=30_000))
    assert skipped == ReceiptSkipped(lease=lease.id, reason=SkipReason.CLAIMED)
    for refused in (twin.release, twin.terminate, twin.close):
        with pytest.raises(Rejected):
            refused(lease.terms)
    with pytest.raises(Rejected):
        twin.claim(lease.terms, TWO_INTERVALS)


def test_nobody_finalises_early_and_nobody_contests_late(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.claim(lease.terms, TWO_INTERVALS)
    twin.chain.advance(EMBEDDED.challenge_window - 1)
    with pytest.raises(Rejected):
        twin.finalize(lease.terms)
    twin.chain.advance(1)
    with pytest.raises(Rejected):
        twin.contest(lease.terms)


@pytest.mark.parametrize("sender", ["provider", "signer", "stranger"])
def test_only_the_buyer_contests(twin: MarketTwin, lease: LeaseOpened, sender: str) -> None:
    twin.claim(lease.terms, TWO_INTERVALS)
    with pytest.raises(Rejected):
        twin.contest(lease.terms, sender)


@pytest.mark.parametrize(
    ("paid", "burned"), [(0, BOND), (1, 0), (CLAIMED - 1, 0), (CLAIMED, CLAIMED)], ids=str
)
def test_the_arbiter_decides_inside_the_claim(
    twin: MarketTwin, lease: LeaseOpened, paid: int, burned: int
) -> None:
    twin.claim(lease.terms, TWO_INTERVALS)
    twin.contest(lease.terms)
    decided, *rest = twin.decide(lease.terms, paid, 7)
    assert isinstance(decided, ClaimDecided)
    assert decided.burned == burned
    assert rest[-1] == StakeBurned(provider=party("provider"), lease=lease.id, amount=7)
    assert int(twin.chain.market.stakeOf(account("provider"))) == STAKE - 7
    twin.assert_same_state()


def test_the_arbiter_does_not_decide_beyond_it(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.settle(Claim(terms=lease.terms, milliseconds=1_000))
    old = pay_for(RATE, 1_000, DURATION)
    twin.claim(lease.terms, TWO_INTERVALS)
    lock = EMBEDDED.lock_for(lease.escrow)
    with pytest.raises(Rejected):
        twin.decide(lease.terms, old, 0)
    twin.contest(lease.terms)
    for paid, slash in ((old - 1, 0), (CLAIMED + 1, 0), (old, lock + 1)):
        with pytest.raises(Rejected):
            twin.decide(lease.terms, paid, slash)
    with pytest.raises(Rejected):
        twin.decide(lease.terms, old, 0, "guardian")
    twin.chain.advance(EMBEDDED.arbitration_window)
    with pytest.raises(Rejected):
        twin.decide(lease.terms, old, lock)


def test_silence_splits_the_claim(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.claim(lease.terms, TWO_INTERVALS)
    twin.contest(lease.terms)
    twin.chain.advance(EMBEDDED.arbitration_window)
    decided, *_ = twin.finalize(lease.terms)
    assert isinstance(decided, ClaimDecided)
    half = CLAIMED // 2
    assert (decided.paid, decided.to_provider, decided.to_buyer) == (half, BOND + half, CLAIMED - half)
    assert twin.balances()[party("buyer")] == PURSE - 2 * half
    twin.assert_same_state()


def test_silence_splits_only_what_was_claimed_beyond_the_last_receipt(
    twin: MarketTwin, lease: LeaseOpened
) -> None:
    twin.settle(Claim(terms=lease.terms, milliseconds=300_000))
    paid = pay_for(RATE, 300_000, DURATION)
    (claimed,) = twin.claim(lease.terms, 300_000 + TWO_INTERVALS)
    assert isinstance(claimed, ClaimOpened)
    twin.contest(lease.terms)
    twin.chain.advance(EMBEDDED.arbitration_window)
    decided, *_ = twin.finalize(lease.terms)
    assert isinstance(decided, ClaimDecided)
    assert decided.paid == paid + (claimed.claimed - paid) // 2
    twin.assert_same_state()


def test_a_buyer_without_balance_cannot_contest(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.claim(lease.terms, TWO_INTERVALS)
    twin.withdraw("buyer", twin.balances()[party("buyer")])
    with pytest.raises(Rejected):
        twin.contest(lease.terms)
    twin.assert_same_state()
