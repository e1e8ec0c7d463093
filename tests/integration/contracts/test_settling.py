"""Receipts, releases, terminations and closes: each with its refused twin."""

from dataclasses import dataclass, replace
from typing import Any

import boa
import pytest

from ledger.market.errors import Rejected
from ledger.market.events import (
    FeePaid,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    ReceiptSkipped,
    UsageSettled,
)
from ledger.market.lease import ClosedBecause
from ledger.market.money import escrow_for, pay_for, rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.fakes.in_process_market import PURSE, Order, a_bid, account, an_offer, party, words_of
from tests.fakes.market_twin import Claim, MarketTwin

RATE = rate_of(an_offer().ask, a_bid().want)
DURATION = a_bid().duration
ESCROW = escrow_for(RATE, DURATION)
R = SkipReason


@pytest.fixture
def lease(twin: MarketTwin) -> LeaseOpened:
    twin.register(an_offer())
    return twin.open(an_offer(), Order(bid=a_bid(), rate=RATE))


def without_fees(events: list[MarketEvent]) -> list[MarketEvent]:
    return [event for event in events if not isinstance(event, FeePaid)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A receipt for an hour's lease `after` seconds, and the reason it is skipped for (0: it pays)."""

    name: str
    reason: int
    milliseconds: int
    after: int = 600
    last: bool = False
    signed_by: str = "signer"
    terminated_after: int | None = None
    paid_before: int = 0
    member: int = 0


CASES = [
    Case(name="ten minutes", reason=0, milliseconds=600_000),
    Case(name="another's terms", reason=R.LEASE_UNKNOWN, milliseconds=1_000, member=1),
    Case(name="another signer", reason=R.RECEIPT_SIGNATURE, milliseconds=9_000, signed_by="other"),
    Case(name="more than before", reason=0, milliseconds=2_000, paid_before=1_000),
    Case(name="the same again", reason=R.NOT_MONOTONE, milliseconds=1_000, paid_before=1_000),
    Case(name="less", reason=R.NOT_MONOTONE, milliseconds=999, paid_before=1_000),
    Case(name="nothing", reason=R.NOT_MONOTONE, milliseconds=0),
    Case(name="nothing, and the last", reason=0, milliseconds=0, last=True),
    Case(name="the same, and the last", reason=0, milliseconds=1_000, paid_before=1_000, last=True),
    Case(
        name="less, and the last",
        reason=R.NOT_MONOTONE,
        milliseconds=100,
        paid_before=1_000,
        last=True,
    ),
    Case(name="fifteen seconds ahead", reason=0, milliseconds=615_000),
    Case(name="more than that ahead", reason=R.BEYOND_ELAPSED, milliseconds=615_001),
    Case(name="the whole duration", reason=0, milliseconds=DURATION * 1000, after=DURATION),
    Case(
        name="longer than the duration",
        reason=R.BEYOND_DURATION,
        milliseconds=DURATION * 1000 + 1,
        after=DURATION,
    ),
    Case(name="up to the termination", reason=0, milliseconds=300_000, terminated_after=300),
    Case(
        name="beyond the termination",
        reason=R.BEYOND_TERMINATION,
        milliseconds=300_001,
        terminated_after=300,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_receipt_pays_or_is_skipped_for_its_reason(
    twin: MarketTwin, lease: LeaseOpened, case: Case
) -> None:
    if case.paid_before:
        twin.settle(Claim(terms=lease.terms, milliseconds=case.paid_before))
    early = case.terminated_after or 0
    twin.chain.advance(early)
    if case.terminated_after is not None:
        twin.terminate(lease.terms)
    twin.chain.advance(case.after - early)
    terms = replace(lease.terms, member=case.member)
    claim = Claim(terms=terms, milliseconds=case.milliseconds, last=case.last, signed_by=case.signed_by)
    first, *rest = without_fees(twin.settle(claim))
    if case.reason:
        assert isinstance(first, ReceiptSkipped)
        assert first.reason == case.reason
    else:
        assert isinstance(first, UsageSettled)
        assert first.paid == pay_for(RATE, case.milliseconds, DURATION)
    assert bool(rest) == (case.last and not case.reason)
    twin.assert_same_state()


HOSTILE_RECEIPTS: list[tuple[int, Any]] = [
    (1, 2**65),
    (1, 2**256 - 1),
    (3, 2),
    (3, 2**191),
]


@pytest.mark.parametrize(("place", "word"), HOSTILE_RECEIPTS)
def test_a_receipt_out_of_range_is_skipped_and_the_next_one_pays(
    twin: MarketTwin, lease: LeaseOpened, place: int, word: int
) -> None:
    receipt = twin.receipt(Claim(terms=lease.terms, milliseconds=5_000))
    good = twin.chain.settlement_words(lease.terms, receipt)
    bad = [*good[:place], word, *good[place + 1 :]]
    skipped, paid, _ = twin.chain.call("settleMany", [bad, good], sender="stranger")
    assert skipped == ReceiptSkipped(lease=lease.id, reason=SkipReason.RECEIPT_FIELD)
    assert isinstance(paid, UsageSettled)


def test_hostile_terms_are_an_unknown_lease(twin: MarketTwin, lease: LeaseOpened) -> None:
    receipt = twin.receipt(Claim(terms=lease.terms, milliseconds=5_000))
    words = twin.chain.settlement_words(lease.terms, receipt)
    words[0][7:] = [2**256 - 1] * 3
    assert twin.chain.view("market", "checkSettlement", words) == SkipReason.LEASE_UNKNOWN
    logged = twin.chain.call("closeMany", [words[0]], sender="stranger")
    assert [event.reason for event in logged] == [SkipReason.LEASE_UNKNOWN]  # type: ignore[union-attr]


def test_a_lease_at_full_use_pays_exactly_its_escrow(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(DURATION)
    claim = Claim(terms=lease.terms, milliseconds=DURATION * 1000, last=True)
    settled, closed, paid = twin.settle(claim)
    assert isinstance(settled, UsageSettled)
    assert settled.amount == ESCROW
    assert isinstance(closed, LeaseClosed)
    assert (closed.paid, closed.refunded) == (ESCROW, 0)
    fee = EMBEDDED.fee_on(ESCROW)
    assert settled.fee == fee
    assert paid == FeePaid(matcher=party("matcher"), amount=fee)
    assert twin.balances()[party("provider")] == ESCROW - fee
    assert twin.balances()[party("matcher")] == fee


def test_the_last_receipt_refunds_the_rest(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(60)
    _, closed, _ = twin.settle(Claim(terms=lease.terms, milliseconds=60_000, last=True))
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.LAST_RECEIPT
    assert closed.paid + closed.refunded == ESCROW
    assert twin.balances()[party("buyer")] == PURSE - closed.paid


def test_a_receipt_twice_changes_nothing(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(60)
    for last in (False, True):
        claim = Claim(terms=lease.terms, milliseconds=60_000, last=last)
        twin.settle(claim)
        before = twin.balances()
        (skipped,) = twin.settle_many([claim])
        assert isinstance(skipped, ReceiptSkipped)
        assert twin.balances() == before


def test_a_batch_settles_the_good_and_logs_the_bad(twin: MarketTwin) -> None:
    twin.register(an_offer())
    leases = [twin.open(an_offer(), Order(bid=a_bid(nonce=n), rate=RATE)) for n in (1, 2)]
    twin.chain.advance(60)
    claims = [
        Claim(terms=leases[0].terms, milliseconds=60_000),
        Claim(terms=leases[0].terms, milliseconds=60_000),
        Claim(terms=leases[1].terms, milliseconds=30_000, last=True),
        Claim(terms=leases[1].terms, milliseconds=40_000),
    ]
    names = [type(event).__name__ for event in twin.settle_many(claims)]
    assert names == [
        "UsageSettled",
        "ReceiptSkipped",
        "UsageSettled",
        "LeaseClosed",
        "ReceiptSkipped",
        "FeePaid",
    ]
    twin.assert_same_state()


def test_the_provider_releases_at_what_is_paid(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.settle(Claim(terms=lease.terms, milliseconds=10_000))
    (closed,) = twin.release(lease.terms)
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.RELEASED
    assert closed.paid == pay_for(RATE, 10_000, DURATION)
    twin.assert_same_state()


@pytest.mark.parametrize("sender", ["buyer", "matcher", "stranger"])
def test_nobody_else_releases(twin: MarketTwin, lease: LeaseOpened, sender: str) -> None:
    with pytest.raises(Rejected):
        twin.release(lease.terms, sender)
    twin.assert_same_state()


def test_a_lease_is_released_once(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.release(lease.terms)
    with pytest.raises(Rejected):
        twin.release(lease.terms)


@pytest.mark.parametrize(
    ("after", "offset"), [(0, 1), (1, 1), (77, 77), (DURATION, DURATION), (9_999, DURATION)]
)
def test_the_buyer_terminates_at_once(twin: MarketTwin, lease: LeaseOpened, after: int, offset: int) -> None:
    twin.chain.advance(after)
    (terminated,) = twin.terminate(lease.terms)
    assert isinstance(terminated, LeaseTerminated)
    assert terminated.ended_after == offset
    twin.assert_same_state()


@pytest.mark.parametrize("sender", ["provider", "signer", "stranger"])
def test_nobody_else_terminates(twin: MarketTwin, lease: LeaseOpened, sender: str) -> None:
    with pytest.raises(Rejected):
        twin.terminate(lease.terms, sender)


def test_a_lease_is_terminated_once(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.terminate(lease.terms)
    with pytest.raises(Rejected):
        twin.terminate(lease.terms)


def test_an_unknown_lease_is_neither_terminated_nor_closed(twin: MarketTwin, lease: LeaseOpened) -> None:
    unknown = replace(lease.terms, member=1)
    with pytest.raises(Rejected):
        twin.terminate(unknown)
    with pytest.raises(Rejected):
        twin.close(unknown)


def test_anybody_closes_after_end_and_grace(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.settle(Claim(terms=lease.terms, milliseconds=10_000))
    twin.chain.advance(DURATION + EMBEDDED.grace)
    (closed,) = twin.close(lease.terms)
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.EXPIRED
    assert closed.refunded == ESCROW - pay_for(RATE, 10_000, DURATION)
    twin.assert_same_state()


def test_nobody_closes_a_second_earlier(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(DURATION + EMBEDDED.grace - 1)
    with pytest.raises(Rejected):
        twin.close(lease.terms)
    (skipped,) = twin.close_many([lease.terms])
    assert skipped == ReceiptSkipped(lease=lease.id, reason=SkipReason.NOT_YET)


def test_a_terminated_lease_closes_after_its_new_end(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(100)
    twin.terminate(lease.terms)
    twin.chain.advance(EMBEDDED.grace - 1)
    with pytest.raises(Rejected):
        twin.close(lease.terms)
    twin.chain.advance(1)
    twin.close(lease.terms)
    twin.assert_same_state()


def test_a_late_receipt_still_pays_until_somebody_closes(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.chain.advance(DURATION + EMBEDDED.grace + 1_000)
    twin.settle(Claim(terms=lease.terms, milliseconds=DURATION * 1000))
    closed, unknown = twin.close_many([lease.terms, lease.terms])
    assert isinstance(closed, LeaseClosed)
    assert unknown == ReceiptSkipped(lease=lease.id, reason=SkipReason.LEASE_UNKNOWN)


def test_a_closed_lease_does_not_reopen(twin: MarketTwin, lease: LeaseOpened) -> None:
    twin.release(lease.terms)
    order = Order(bid=a_bid(), rate=RATE)
    words = twin.chain.fill_words(order)
    told = twin.chain.view("market", "checkFill", account("matcher"), words_of(an_offer()), words)
    assert told == SkipReason.NONCE_USED
    (skipped,) = twin.settle(Claim(terms=lease.terms, milliseconds=1_000))
    assert skipped == ReceiptSkipped(lease=lease.id, reason=SkipReason.LEASE_UNKNOWN)


def test_the_messages_of_refused_calls_say_why(twin: MarketTwin, lease: LeaseOpened) -> None:
    terms = words_of(lease.terms)
    with boa.reverts("market: not yet"):
        twin.chain.call("close", terms, sender="stranger")
    with boa.reverts("market: not the provider"):
        twin.chain.call("release", terms, sender="stranger")
    with boa.reverts("market: not the buyer"):
        twin.chain.call("terminate", terms, sender="stranger")


def test_every_reason_of_a_receipt_has_its_case() -> None:
    elsewhere = {
        SkipReason.RECEIPT_FIELD,
        SkipReason.NOT_YET,
        SkipReason.CLAIMED,  # test_claims
        SkipReason.UNDECIDED,  # test_gangs
    }
    told = {case.reason for case in CASES} - {0}
    assert told | elsewhere == {r for r in SkipReason if r >= 40}
