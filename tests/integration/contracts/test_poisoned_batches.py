"""A batch with a bad item of every kind in the midst of good ones: the bad one is skipped for its reason,
the good ones take effect, and whoever put it there has gained and spoiled nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ledger.market.bid import Bid
from ledger.market.events import (
    BatchMatched,
    BidSkipped,
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    ReceiptSkipped,
    UsageSettled,
)
from ledger.market.identity import Digest
from ledger.market.lease import LeaseTerms
from ledger.market.money import escrow_for, rate_of
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, Traits
from tests.fakes.in_process_market import (
    NOW,
    PROVIDERS,
    PURSE,
    STAKE,
    Order,
    a_bid,
    an_offer,
    party,
    words_of,
)
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin
from tests.fakes.wealth import changes

R = SkipReason
ASK = rate_of(an_offer().ask, a_bid().want)
DURATION = a_bid().duration
ESCROW = escrow_for(ASK, DURATION)
LOCK = EMBEDDED.lock_for(ESCROW)
RIVAL = {"provider": party("rival")}
OTHER = {"buyer": party("other")}
LATE = {"valid_until": NOW + 80_000, "start_by": NOW + 80_000}


def nothing(_: MarketTwin) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Poison:
    """A bad bid of the other buyer on the rival's offer."""

    reason: SkipReason
    bid: dict[str, Any] = field(default_factory=dict)
    offer: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    """of the offer in calldata, against the registered one"""
    rate: int = ASK
    signed_by: str = "other"
    before: Callable[[MarketTwin], object] = nothing
    sender: str = "matcher"


POISONS = [
    Poison(reason=R.OFFER_UNKNOWN, shown={"salt": 99}),
    Poison(reason=R.OFFER_CANCELLED, before=lambda t: t.cancel(an_offer(**RIVAL), "rival")),
    Poison(reason=R.OFFER_EPOCH, before=lambda t: t.bump_epoch("rival")),
    Poison(reason=R.OFFER_EXPIRES, offer={"valid_until": NOW + DURATION - 1}),
    Poison(reason=R.DURATION, bid={"duration": 9}),
    Poison(reason=R.CAPACITY, offer={"capacity": Quantities(cpu=1)}),
    Poison(reason=R.TRAITS, bid={"traits": Traits(vendors=2, regions=ANY_REGION)}),
    Poison(reason=R.BELOW_ASK, rate=ASK - 1),
    Poison(reason=R.ABOVE_LIMIT, bid={"limit_rate": ASK - 1}),
    Poison(reason=R.OVER_ASK, rate=ASK * 3 // 2),
    Poison(reason=R.BID_FIELD, bid={"duration": 0}),
    Poison(reason=R.FLAGS, bid={"flags": 1}),
    Poison(reason=R.MEMBERS, bid={"members": 2}),
    Poison(reason=R.CONTINUES, bid={"continues": Digest(b"\1" * 32)}),
    Poison(reason=R.BID_EXPIRED, bid={"valid_until": NOW - 1}),
    Poison(reason=R.START_BY, bid={"start_by": NOW - 1}),
    Poison(reason=R.BID_EPOCH, bid={"epoch": 1}),
    Poison(reason=R.NONCE_USED, before=lambda t: t.cancel_nonces("other", 0, 0b10)),
    Poison(reason=R.MATCHER, bid={"matcher": party("stranger")}),
    Poison(reason=R.PROVIDER, bid={"provider": party("third")}),
    Poison(reason=R.SELF_TRADE, bid={"buyer": party("rival")}, signed_by="rival"),
    Poison(reason=R.SIGNATURE, signed_by="stranger"),
    Poison(reason=R.FUNDS, before=lambda t: t.withdraw("other", PURSE - ESCROW + 1)),
    Poison(reason=R.OFFER_FIELD, shown={"capacity": Quantities()}),
    Poison(reason=R.STAKE, before=lambda t: t.request_unstake("rival", STAKE - LOCK + 1)),
    Poison(
        reason=R.DELEGATE,
        signed_by="laptop",
        before=lambda t: t.set_delegate("other", "laptop", 1, ESCROW - 1, NOW),
    ),
]


def outcome(events: Sequence[MarketEvent]) -> list[int]:
    """For each item 0 where it took effect, else the reason; closes and fees belong to an item."""
    told = []
    for event in events:
        if isinstance(event, LeaseOpened | UsageSettled):
            told.append(0)
        elif isinstance(event, BidSkipped | ReceiptSkipped):
            told.append(int(event.reason))
    return told


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.reason.name)
def test_a_bad_bid_among_good_ones_is_skipped_alone(twin: MarketTwin, poison: Poison) -> None:
    rival = an_offer(**(RIVAL | poison.offer))
    twin.register(an_offer())
    twin.register(rival, "rival")
    poison.before(twin)
    bad = Order(
        bid=a_bid(**(OTHER | poison.bid)), rate=poison.rate, signed_by=poison.signed_by, offer_index=1
    )
    good = [Order(bid=a_bid(nonce=nonce), rate=ASK) for nonce in (1, 2)]
    told: list[MarketEvent] = []

    def batch() -> None:
        offers = [an_offer(), replace(rival, **poison.shown)]
        told.extend(twin.match_many(offers, [good[0], bad, good[1]]))

    assert changes(twin, batch) == {}
    assert outcome(told) == [0, poison.reason, 0]
    assert told[-1] == BatchMatched(matcher=party("matcher"), root=Digest(bytes(32)), opened=2, skipped=1)
    twin.assert_same_state()


def test_every_reason_of_a_bid_was_tried() -> None:
    only_of_gangs = {R.DISTINCT}
    assert {poison.reason for poison in POISONS} | only_of_gangs == {r for r in R if 0 < r < 40}


def test_two_members_of_one_provider_spoil_a_distinct_gang_and_not_what_stands_beside_it(
    twin: MarketTwin,
) -> None:
    twin.register(an_offer())
    gang = GangOrder(bid=a_bid(members=2, flags=1), members=((0, ASK), (0, ASK)))
    assert outcome(twin.match_gang([an_offer()], gang)) == [R.DISTINCT]
    twin.open(an_offer(), Order(bid=a_bid(), rate=ASK))


ONES = 2**256 - 1
BID_FIELDS = [name for name in Bid.__slots__ if name not in ("traits", "job")]


def spoiled(words: list[Any], place: int) -> list[Any]:
    """The struct with one word all ones, whatever its type is."""
    worst = ONES if isinstance(words[place], int) else b"\xff" * 32
    return [worst if number == place else word for number, word in enumerate(words)]


@pytest.mark.parametrize("name", BID_FIELDS)
def test_no_word_of_a_bid_reverts_a_batch(twin: MarketTwin, name: str) -> None:
    twin.register(an_offer())
    good = [twin.chain.fill_words(Order(bid=a_bid(nonce=nonce), rate=ASK)) for nonce in (1, 2)]
    bad = twin.chain.fill_words(Order(bid=a_bid(**OTHER), rate=ASK, signed_by="other"))
    bad[2] = spoiled(bad[2], Bid.__slots__.index(name))
    events = twin.chain.call(
        "matchBids", [words_of(an_offer())], [good[0], bad, good[1]], bytes(32), sender="matcher"
    )
    first, reason, last = outcome(events)
    assert (first, last) == (0, 0)
    assert reason


@pytest.mark.parametrize("name", Offer.__slots__)
def test_no_word_of_an_offer_reverts_a_batch(twin: MarketTwin, name: str) -> None:
    twin.register(an_offer())
    offers = [words_of(an_offer()), spoiled(words_of(an_offer()), Offer.__slots__.index(name))]
    fills = [
        twin.chain.fill_words(Order(bid=a_bid(nonce=nonce), rate=ASK, offer_index=nonce % 2))
        for nonce in (0, 1, 2)
    ]
    first, reason, last = outcome(twin.chain.call("matchBids", offers, fills, bytes(32), sender="matcher"))
    assert (first, last) == (0, 0)
    assert reason in (R.OFFER_UNKNOWN, R.OFFER_FIELD)


@dataclass(frozen=True, kw_only=True)
class BadReceipt:
    """A bad receipt on the rival's lease with the other buyer, or what was done to the lease."""

    reason: SkipReason
    milliseconds: int = 30_000
    last: bool = False
    signed_by: str = "signer"
    member: int = 0
    before: Callable[[MarketTwin, LeaseTerms], object] = lambda _twin, _terms: None
    replicas: bool = False


BAD_RECEIPTS = [
    BadReceipt(reason=R.LEASE_UNKNOWN, member=7),
    BadReceipt(reason=R.LEASE_UNKNOWN, before=lambda t, lease: t.release(lease, "rival")),
    BadReceipt(reason=R.RECEIPT_SIGNATURE, signed_by="stranger"),
    BadReceipt(reason=R.NOT_MONOTONE, milliseconds=0),
    BadReceipt(reason=R.BEYOND_ELAPSED, milliseconds=75_001),
    BadReceipt(reason=R.BEYOND_ELAPSED, milliseconds=2**64 - 1),
    BadReceipt(
        reason=R.BEYOND_DURATION,
        milliseconds=DURATION * 1000 + 1,
        before=lambda t, _: t.chain.advance(DURATION),
    ),
    BadReceipt(
        reason=R.BEYOND_TERMINATION, milliseconds=60_001, before=lambda t, lease: t.terminate(lease, "other")
    ),
    BadReceipt(reason=R.CLAIMED, before=lambda t, lease: t.claim(lease, 10_000, "rival")),
    BadReceipt(reason=R.UNDECIDED, replicas=True),
]


def open_one(twin: MarketTwin, provider: str, buyer: str, nonce: int) -> LeaseTerms:
    bid = a_bid(buyer=party(buyer), nonce=nonce, **LATE)
    order = Order(bid=bid, rate=ASK, signed_by=buyer)
    return twin.open(an_offer(provider=party(provider)), order).terms


def open_replica(twin: MarketTwin) -> LeaseTerms:
    """The first of three that nobody has judged, the other buyer's."""
    offers = [an_offer(provider=party(name)) for name in PROVIDERS]
    bid = a_bid(**OTHER, members=3, flags=2 | 2 << 4, nonce=9, **LATE)
    order = GangOrder(bid=bid, members=((0, ASK), (1, ASK), (2, ASK)), signed_by="other")
    events = twin.match_gang(offers, order)
    return next(event.terms for event in events if isinstance(event, LeaseOpened))


@pytest.fixture
def leases(twin: MarketTwin) -> list[LeaseTerms]:
    """Two good ones of the buyer with the provider, a minute old, and the other's with the rival between."""
    for name in PROVIDERS:
        twin.register(an_offer(provider=party(name)), name)
    parties = [("provider", "buyer", 1), ("rival", "other", 1), ("provider", "buyer", 2)]
    opened = [open_one(twin, *one) for one in parties]
    twin.chain.advance(60)
    return opened


@pytest.mark.parametrize("bad", BAD_RECEIPTS, ids=lambda bad: bad.reason.name)
def test_a_bad_receipt_among_good_ones_is_skipped_alone(
    twin: MarketTwin, leases: list[LeaseTerms], bad: BadReceipt
) -> None:
    poisoned = open_replica(twin) if bad.replicas else leases[1]
    bad.before(twin, poisoned)
    claims = [
        Claim(terms=leases[0], milliseconds=30_000),
        Claim(
            terms=replace(poisoned, member=bad.member),
            milliseconds=bad.milliseconds,
            last=bad.last,
            signed_by=bad.signed_by,
        ),
        Claim(terms=leases[2], milliseconds=30_000),
    ]
    told: list[MarketEvent] = []
    got = changes(twin, lambda: told.extend(twin.settle_many(claims)))
    assert outcome(told) == [0, bad.reason, 0]
    assert set(got) == {"buyer", "provider", "matcher"}
    twin.assert_same_state()


@pytest.mark.parametrize("word", [2**65, 2**66, ONES])
def test_a_receipt_field_out_of_range_is_skipped_alone(
    twin: MarketTwin, leases: list[LeaseTerms], word: int
) -> None:
    items = [receipt_words(twin, terms) for terms in leases]
    items[1][1:4] = [word & 2**64 - 1, items[1][2], word >> 64]
    assert outcome(twin.chain.call("settleMany", items, sender="stranger")) == [0, R.RECEIPT_FIELD, 0]


def receipt_words(twin: MarketTwin, terms: LeaseTerms) -> list[Any]:
    signed = twin.receipt(Claim(terms=terms, milliseconds=30_000))
    return twin.chain.settlement_words(terms, signed)


@pytest.mark.parametrize("name", LeaseTerms.__slots__)
def test_no_word_of_terms_reverts_a_batch_of_receipts_or_closes(
    twin: MarketTwin, leases: list[LeaseTerms], name: str
) -> None:
    place = LeaseTerms.__slots__.index(name)
    items = [receipt_words(twin, terms) for terms in leases]
    items[1][0] = spoiled(items[1][0], place)
    assert outcome(twin.chain.call("settleMany", items, sender="stranger")) == [0, R.LEASE_UNKNOWN, 0]
    twin.chain.advance(DURATION + EMBEDDED.grace)
    terms = [words_of(lease) for lease in leases]
    terms[1] = spoiled(terms[1], place)
    events = twin.chain.call("closeMany", terms, sender="stranger")
    assert outcome(events) == [R.LEASE_UNKNOWN]
    assert sum(isinstance(event, LeaseClosed) for event in events) == 2


BAD_CLOSES = [
    BadReceipt(reason=R.LEASE_UNKNOWN, member=7),
    BadReceipt(reason=R.LEASE_UNKNOWN, before=lambda t, lease: t.release(lease, "rival")),
    BadReceipt(reason=R.NOT_YET, before=lambda t, lease: t.terminate(lease, "other")),
    BadReceipt(reason=R.CLAIMED, before=lambda t, lease: t.claim(lease, 10_000, "rival")),
    BadReceipt(reason=R.UNDECIDED, replicas=True),
]


@pytest.mark.parametrize("bad", BAD_CLOSES, ids=lambda bad: bad.reason.name)
def test_a_lease_that_may_not_close_does_not_hold_the_others_open(
    twin: MarketTwin, leases: list[LeaseTerms], bad: BadReceipt
) -> None:
    twin.chain.advance(DURATION + EMBEDDED.grace)
    poisoned = open_replica(twin) if bad.replicas else leases[1]
    if bad.reason is R.NOT_YET:
        # Young: the others are due.
        poisoned = open_one(twin, "third", "other", 50)
    bad.before(twin, poisoned)
    items = [leases[0], replace(poisoned, member=bad.member), leases[2]]
    told: list[MarketEvent] = []
    got = changes(twin, lambda: told.extend(twin.close_many(items)))
    assert outcome(told) == [bad.reason]
    assert got == {"provider": -2 * EMBEDDED.no_show_of(LOCK)}
    assert sum(isinstance(event, LeaseClosed) for event in told) == 2
    twin.assert_same_state()
