"""A bid says what its job says, for long enough, and to nobody but the chosen node."""

from dataclasses import replace

import pytest

from ledger.market.demand import check_bid_says
from ledger.market.errors import Rejected
from ledger.market.identity import Address, Digest
from ledger.market.job import Image, Job, Times
from node.buying.bidding import OPENING_SECONDS, Parties, bid_for

PARTIES = Parties(buyer=Address(b"\1" * 20), signer=Address(b"\2" * 20), matcher=Address(b"\3" * 20), epoch=4)
JOB = Job(
    name="j",
    image=Image(reference="r", config="sha256:" + "ab" * 32),
    command=("true",),
    cpu=1000,
    memory=64,
    disk=64,
    max_rate=10**9,
    max_seconds=600,
)
DOCUMENT = Digest(b"\7" * 32)


def test_a_bid_agrees_with_its_job() -> None:
    bid = bid_for(JOB, DOCUMENT, PARTIES, 5, 1_000, 60)
    check_bid_says(JOB, bid, 0)
    assert (bid.job, bid.nonce, bid.epoch) == (DOCUMENT, 5, 4)
    assert (bid.buyer, bid.signer, bid.matcher) == (PARTIES.buyer, PARTIES.signer, PARTIES.matcher)


def test_attempts_differ_in_their_nonce_alone() -> None:
    first, second = (bid_for(JOB, DOCUMENT, PARTIES, nonce, 1_000, 0) for nonce in (5, 6))
    assert replace(second, nonce=5) == first


def test_nobody_but_the_node_can_open_it_while_it_is_valid() -> None:
    bid = bid_for(JOB, DOCUMENT, PARTIES, 5, 1_000, 60)
    assert bid.open_after > bid.valid_until


def test_a_bid_outlives_its_wait_and_every_attempt_before_it() -> None:
    once = bid_for(JOB, DOCUMENT, PARTIES, 5, 1_000, 60)
    assert once.valid_until == 1_000 + 60 + OPENING_SECONDS
    thrice = bid_for(replace(JOB, retry=2), DOCUMENT, PARTIES, 5, 1_000, 60)
    assert thrice.valid_until >= once.valid_until + 2 * JOB.max_seconds


def test_no_attempt_may_begin_after_the_jobs_own_times() -> None:
    job = replace(JOB, times=Times(deadline=1_000 + JOB.max_seconds + 30))
    bid = bid_for(job, DOCUMENT, PARTIES, 5, 1_000, 60)
    assert (bid.start_by, bid.valid_until) == (1_030, 1_000 + 60 + OPENING_SECONDS)
    check_bid_says(job, bid, 0)
    with pytest.raises(Rejected, match="start_by"):
        check_bid_says(job, replace(bid, start_by=1_031), 0)


def test_times_that_are_over_are_refused_before_anything_is_signed() -> None:
    job = replace(JOB, times=Times(deadline=1_000 + JOB.max_seconds - 1))
    with pytest.raises(Rejected) as refused:
        bid_for(job, DOCUMENT, PARTIES, 5, 1_000, 60)
    assert refused.value.code == "times-too-near"


def test_what_may_be_paid_above_the_ask_is_the_documents_word() -> None:
    job = replace(JOB, max_over_ask=1_000)
    bid = bid_for(job, DOCUMENT, PARTIES, 5, 1_000, 60)
    assert bid.max_over_ask_bps == 1_000
    check_bid_says(job, bid, 0)
    with pytest.raises(Rejected, match="max_over_ask"):
        check_bid_says(JOB, bid, 0)
