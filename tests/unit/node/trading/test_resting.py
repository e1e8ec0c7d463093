from dataclasses import replace

from ledger.market.identity import BidId, LeaseId
from node.trading.resting import (
    FIRST_PAUSE_SECONDS,
    INCLUSION_SECONDS,
    LONGEST_PAUSE_SECONDS,
    REMATCH_SECONDS,
    Pauses,
    rests_until,
)
from tests.factories import HOUR, NOW, a_bid, a_digest
from tests.fakes.resting_row import a_resting_row

JOB = BidId(a_digest("job"))
ROW = a_resting_row(JOB, a_bid(), wait_until=NOW + 10)
VALID = NOW + HOUR - INCLUSION_SECONDS


def test_an_order_waits_as_long_as_its_buyer_said() -> None:
    assert rests_until(ROW) == NOW + 10


def test_no_order_waits_longer_than_its_bid_can_be_mined() -> None:
    assert rests_until(replace(ROW, wait_until=NOW + 2 * HOUR)) == VALID


def test_a_skipped_match_leaves_a_minute_for_another() -> None:
    skipped = replace(ROW, leases=(LeaseId(a_digest("lease")),))
    assert rests_until(skipped) == NOW + REMATCH_SECONDS
    assert rests_until(replace(skipped, wait_until=NOW + 600)) == NOW + 600


def test_a_lost_lease_leaves_the_bids_whole_validity() -> None:
    assert rests_until(replace(ROW, next_attempt=1)) == VALID


def test_a_pause_doubles_up_to_its_bound() -> None:
    pauses, at = Pauses(), NOW
    assert pauses.over(JOB, at)
    for length in (FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS):
        pauses.strike(JOB, at)
        assert not pauses.over(JOB, at + length - 1)
        assert pauses.over(JOB, at + length)
    for _ in range(50):
        pauses.strike(JOB, at)
    assert pauses.over(JOB, at + LONGEST_PAUSE_SECONDS)


def test_a_clock_set_back_ends_a_pause() -> None:
    pauses = Pauses()
    pauses.strike(JOB, NOW)
    assert pauses.over(JOB, NOW - HOUR)


def test_what_no_longer_rests_is_forgotten() -> None:
    pauses = Pauses()
    pauses.strike(JOB, NOW)
    pauses.forget({JOB})
    assert not pauses.over(JOB, NOW)
    pauses.forget(set())
    assert pauses.over(JOB, NOW)
