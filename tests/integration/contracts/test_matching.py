"""Each bid that opens has next to it, for every reason code, the bid that does not."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ledger.market.bid import Bid
from ledger.market.events import BatchMatched, BidSkipped, LeaseOpened, MarketEvent
from ledger.market.identity import NO_DIGEST, NOBODY, Digest
from ledger.market.money import escrow_for, highest_rate, rate_of
from ledger.market.offer import Offer
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, Traits
from tests.fakes.in_process_market import (
    NOW,
    PURSE,
    Order,
    a_bid,
    account,
    an_offer,
    party,
    words_of,
)
from tests.fakes.market_twin import MarketTwin

ASK = rate_of(an_offer().ask, a_bid().want)


def demand(**fields: int) -> Traits:
    return Traits(**{"vendors": ANY_VENDOR, "regions": ANY_REGION, **fields})


def nothing(_twin: MarketTwin) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change to a match that would open, and the reason it is skipped for (0: it still opens)."""

    name: str
    reason: int
    bid: dict[str, Any] = field(default_factory=dict)
    offer: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    """changes to the offer in calldata, against the registered one"""
    rate: int = ASK
    sender: str = "matcher"
    signed_by: str = "buyer"
    before: Callable[[MarketTwin], object] = nothing


R = SkipReason
EMPTY = Quantities()
CASES = [
    Case(name="as it is", reason=0),
    Case(name="an offer nobody registered", reason=R.OFFER_UNKNOWN, shown={"salt": 9}),
    Case(name="a cancelled offer", reason=R.OFFER_CANCELLED, before=lambda t: t.cancel(an_offer())),
    Case(
        name="an offer of a past epoch",
        reason=R.OFFER_EPOCH,
        before=lambda t: t.bump_epoch("provider"),
    ),
    Case(name="an offer valid to the end", reason=0, offer={"valid_until": NOW + 3_600}),
    Case(
        name="an offer that ends before the lease",
        reason=R.OFFER_EXPIRES,
        offer={"valid_until": NOW + 3_599},
    ),
    Case(name="the shortest duration", reason=0, offer={"min_seconds": 3_600}),
    Case(name="too short", reason=R.DURATION, offer={"min_seconds": 3_601}),
    Case(name="the longest duration", reason=0, offer={"max_seconds": 3_600}),
    Case(name="too long", reason=R.DURATION, offer={"max_seconds": 3_599}),
    Case(name="the last free core", reason=0, offer={"capacity": a_bid().want}),
    Case(
        name="one milli-core too many",
        reason=R.CAPACITY,
        offer={"capacity": replace(a_bid().want, cpu=1_999)},
    ),
    Case(
        name="a lane that the offer lacks",
        reason=R.CAPACITY,
        bid={"want": Quantities(cpu=1, gpu=1)},
        rate=500_000,
    ),
    Case(name="vendor met", reason=0, bid={"traits": demand(vendors=0b11)}),
    Case(name="another vendor", reason=R.TRAITS, bid={"traits": demand(vendors=0b10)}),
    Case(name="no vendor allowed", reason=R.TRAITS, bid={"traits": demand(vendors=0)}),
    Case(name="region met", reason=0, bid={"traits": demand(regions=1)}),
    Case(name="another region", reason=R.TRAITS, bid={"traits": demand(regions=2)}),
    Case(name="features met", reason=0, bid={"traits": demand(features=0b10)}),
    Case(name="a missing feature", reason=R.TRAITS, bid={"traits": demand(features=0b110)}),
    Case(name="memory of one device met", reason=0, bid={"traits": demand(gpu_memory_mib=80)}),
    Case(name="more memory", reason=R.TRAITS, bid={"traits": demand(gpu_memory_mib=81)}),
    Case(name="capability met", reason=0, bid={"traits": demand(capability=5)}),
    Case(name="more capability", reason=R.TRAITS, bid={"traits": demand(capability=6)}),
    Case(name="another model", reason=R.TRAITS, bid={"traits": demand(model=7)}),
    Case(
        name="that very model",
        reason=0,
        bid={"traits": demand(model=7)},
        offer={"traits": replace(an_offer().traits, model=7)},
    ),
    Case(name="a rate below the ask", reason=R.BELOW_ASK, rate=ASK - 1),
    Case(name="a limit at the ask", reason=0, bid={"limit_rate": ASK}),
    Case(name="a limit below the ask", reason=R.ABOVE_LIMIT, bid={"limit_rate": ASK - 1}),
    Case(name="the whole margin", reason=0, rate=highest_rate(ASK, 500)),
    Case(name="above the margin", reason=R.OVER_ASK, rate=highest_rate(ASK, 500) + 1),
    Case(name="margin for nobody chosen", reason=R.OVER_ASK, bid={"matcher": NOBODY}, rate=ASK + 1),
    Case(name="nothing wanted", reason=R.BID_FIELD, bid={"want": EMPTY}),
    Case(name="a reserved lane", reason=R.BID_FIELD, bid={"want": Quantities(cpu=1, reserved=1)}),
    Case(name="no signer", reason=R.BID_FIELD, bid={"signer": NOBODY}),
    Case(name="no duration", reason=R.BID_FIELD, bid={"duration": 0}),
    Case(name="a flag", reason=R.FLAGS, bid={"flags": 1}),
    Case(name="two members", reason=R.MEMBERS, bid={"members": 2}),
    Case(name="no members", reason=R.MEMBERS, bid={"members": 0}),
    Case(name="a continuation", reason=R.CONTINUES, bid={"continues": Digest(b"\1" * 32)}),
    Case(name="the bid's last second", reason=0, bid={"valid_until": NOW}),
    Case(name="an expired bid", reason=R.BID_EXPIRED, bid={"valid_until": NOW - 1}),
    Case(name="the last second to start", reason=0, bid={"start_by": NOW}),
    Case(name="too late to start", reason=R.START_BY, bid={"start_by": NOW - 1}),
    Case(name="a bid of a past epoch", reason=R.BID_EPOCH, before=lambda t: t.bump_epoch("buyer")),
    Case(name="a bid of a coming epoch", reason=R.BID_EPOCH, bid={"epoch": 1}),
    Case(
        name="a cancelled nonce",
        reason=R.NONCE_USED,
        before=lambda t: t.cancel_nonces("buyer", 0, 0b10),
    ),
    Case(name="another nonce cancelled", reason=0, before=lambda t: t.cancel_nonces("buyer", 0, 0b1)),
    Case(name="a stranger early", reason=R.MATCHER, sender="stranger"),
    Case(name="a stranger late", reason=0, sender="stranger", bid={"open_after": NOW}),
    Case(
        name="a stranger late with a margin",
        reason=R.OVER_ASK,
        sender="stranger",
        bid={"open_after": NOW},
        rate=ASK + 1,
    ),
    Case(name="anybody where nobody is chosen", reason=0, sender="stranger", bid={"matcher": NOBODY}),
    Case(name="the named provider", reason=0, bid={"provider": party("provider")}),
    Case(name="another provider", reason=R.PROVIDER, bid={"provider": party("rival")}),
    Case(
        name="one's own offer",
        reason=R.SELF_TRADE,
        bid={"buyer": party("provider")},
        signed_by="provider",
    ),
    Case(name="signed by another", reason=R.SIGNATURE, signed_by="stranger"),
    Case(
        name="the whole balance",
        reason=0,
        before=lambda t: t.withdraw("buyer", PURSE - escrow_for(ASK, 3_600)),
    ),
    Case(
        name="one unit short",
        reason=R.FUNDS,
        before=lambda t: t.withdraw("buyer", PURSE - escrow_for(ASK, 3_600) + 1),
    ),
    Case(
        name="an offer that could not exist",
        reason=R.OFFER_FIELD,
        shown={"traits": Traits(vendors=3, regions=1)},
    ),
    Case(name="an empty offer", reason=R.OFFER_FIELD, shown={"capacity": EMPTY}),
]


def stage(twin: MarketTwin, case: Case) -> tuple[Offer, Order]:
    registered = an_offer(**case.offer)
    twin.register(registered)
    case.before(twin)
    bid = a_bid(**case.bid)
    order = Order(bid=bid, rate=case.rate, signed_by=case.signed_by)
    return replace(registered, **case.shown), order


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bid_opens_or_is_skipped_for_its_reason(twin: MarketTwin, case: Case) -> None:
    offer, order = stage(twin, case)
    (event,) = twin.match(offer, order, case.sender)
    if case.reason:
        assert isinstance(event, BidSkipped)
        assert event.reason == case.reason
    else:
        assert isinstance(event, LeaseOpened)
        assert event.escrow == escrow_for(order.rate, order.bid.duration)
    twin.assert_same_state()


HIGHEST = {"vendors": 1 << 31, "regions": 1 << 63, "features": 1 << 63}
"""the last bit of each field, which borders on the next one"""


def test_the_highest_bit_of_each_field_counts(twin: MarketTwin) -> None:
    (event,) = match_by_traits(twin, Traits(**HIGHEST), Traits(**HIGHEST))
    assert isinstance(event, LeaseOpened)


@pytest.mark.parametrize("field", sorted(HIGHEST))
def test_a_bit_of_the_next_field_does_not_stand_for_it(twin: MarketTwin, field: str) -> None:
    lacking = HIGHEST | {field: HIGHEST[field] >> 1}
    (event,) = match_by_traits(twin, Traits(**lacking), Traits(**HIGHEST))
    assert isinstance(event, BidSkipped)
    assert event.reason is SkipReason.TRAITS


def match_by_traits(twin: MarketTwin, claim: Traits, wanted: Traits) -> list[MarketEvent]:
    offer, order = stage(twin, Case(name="", reason=0, offer={"traits": claim}, bid={"traits": wanted}))
    return twin.match(offer, order)


def test_every_reason_of_a_bid_has_its_case() -> None:
    elsewhere = {
        SkipReason.STAKE,  # test_staking
        SkipReason.DELEGATE,  # test_delegates
        SkipReason.DISTINCT,  # test_gangs
    }
    assert {case.reason for case in CASES} | elsewhere == {r for r in SkipReason if r < 40}


HOSTILE = {
    "want": [1 << 31, 1 << 192, 1 << 224, 2**256 - 1],
    "limit_rate": [2**96, 2**256 - 1],
    "max_over_ask_bps": [2**16, 2**256 - 1],
    "duration": [2**32, 2**256 - 1],
    "start_by": [2**40, 2**256 - 1],
    "valid_until": [2**40, 2**256 - 1],
    "open_after": [2**40, 2**256 - 1],
    "members": [2**8, 2**256 - 1],
    "flags": [2**8, 2**256 - 1],
    "epoch": [2**64, 2**256 - 1],
    "nonce": [2**64, 2**256 - 1],
}


@pytest.mark.parametrize(("name", "word"), [(n, w) for n, ws in HOSTILE.items() for w in ws])
def test_a_word_out_of_its_range_skips_one_bid_and_no_other(twin: MarketTwin, name: str, word: int) -> None:
    twin.register(an_offer())
    good = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK))
    bad = twin.chain.fill_words(Order(bid=a_bid(nonce=2), rate=ASK))
    bad[2][Bid.__slots__.index(name)] = word
    logged = twin.chain.call("matchBids", [words_of(an_offer())], [bad, good], bytes(32), sender="matcher")
    skipped, opened, batch = logged
    assert skipped == BidSkipped(
        bid=twin.chain.view("market", "bidDigest", bad[2]), reason=SkipReason.BID_FIELD
    )
    assert isinstance(opened, LeaseOpened)
    assert isinstance(batch, BatchMatched)
    assert (batch.opened, batch.skipped) == (1, 1)


@pytest.mark.parametrize(
    ("rate", "index", "reason"),
    [
        (2**96 - 1, 0, SkipReason.ABOVE_LIMIT),
        (2**96 - 1, 2**160 - 1, SkipReason.OFFER_UNKNOWN),
        (0, 2**159, SkipReason.OFFER_UNKNOWN),
    ],
)
def test_a_hostile_deal_skips_its_bid(twin: MarketTwin, rate: int, index: int, reason: SkipReason) -> None:
    twin.register(an_offer())
    words = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK))
    words[:2] = [index, rate]
    offers = [words_of(an_offer())]
    skipped, _ = twin.chain.call("matchBids", offers, [words], bytes(32), sender="matcher")
    assert isinstance(skipped, BidSkipped)
    assert skipped.reason == reason


def test_the_highest_possible_rate_of_the_longest_lease_lacks_stake(twin: MarketTwin) -> None:
    full = 2**31 - 1
    huge = Quantities(cpu=full, memory=full, disk=full, gpu=full, gpu_memory=full, network=full)
    offer = an_offer(capacity=huge, ask=huge, max_seconds=2**32 - 1, valid_until=2**40 - 1)
    twin.register(offer)
    bid = a_bid(want=huge, limit_rate=2**96 - 1, duration=2**32 - 1)
    (event,) = twin.match(offer, Order(bid=bid, rate=rate_of(huge, huge)))
    assert isinstance(event, BidSkipped)
    assert event.reason == SkipReason.STAKE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r, vs: [r, (2**255 - 1).to_bytes(32, "big")],
        lambda r, vs: [bytes(32), vs],
        lambda r, vs: [r, bytes(32)],
        lambda r, vs: [r, bytes([vs[0] ^ 0x80]) + vs[1:]],
        lambda r, vs: [b"\xff" * 32, b"\xff" * 32],
    ],
    ids=["high s", "zero r", "zero s", "other parity", "all ones"],
)
def test_a_spoiled_signature_is_nobodys(
    twin: MarketTwin, spoil: Callable[[bytes, bytes], list[bytes]]
) -> None:
    twin.register(an_offer())
    words = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK))
    words[3:] = spoil(*words[3:])
    told = twin.chain.view("market", "checkFill", account("matcher"), words_of(an_offer()), words)
    assert told == SkipReason.SIGNATURE


def test_the_malleable_twin_of_a_signature_is_refused(twin: MarketTwin) -> None:
    order_of_curve = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin.register(an_offer())
    words = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK))
    vs = int.from_bytes(words[4], "big")
    high = order_of_curve - (vs & (2**255 - 1))
    words[4] = ((1 - (vs >> 255)) << 255 | high & (2**255 - 1)).to_bytes(32, "big")
    told = twin.chain.view("market", "checkFill", account("matcher"), words_of(an_offer()), words)
    assert told == SkipReason.SIGNATURE


def test_a_fill_that_points_at_no_offer_is_skipped(twin: MarketTwin) -> None:
    twin.register(an_offer())
    words = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK, offer_index=1))
    skipped, batch = twin.chain.call(
        "matchBids", [words_of(an_offer())], [words], bytes(32), sender="matcher"
    )
    assert isinstance(skipped, BidSkipped)
    assert skipped.reason == SkipReason.OFFER_UNKNOWN
    assert isinstance(batch, BatchMatched)
    assert batch.skipped == 1


def test_a_batch_opens_the_good_and_logs_the_bad(twin: MarketTwin) -> None:
    offers = [an_offer(), an_offer(provider=party("rival"), ask=Quantities(cpu=400_000))]
    twin.register(offers[0])
    twin.register(offers[1], "rival")
    other = {"buyer": party("other")}
    orders = [
        Order(bid=a_bid(), rate=ASK),
        Order(bid=a_bid(), rate=ASK),
        Order(bid=a_bid(nonce=2), rate=800_000_000, offer_index=1),
        Order(bid=a_bid(**other), rate=ASK, signed_by="other"),
        Order(bid=a_bid(**other, nonce=5), rate=ASK, signed_by="buyer"),
    ]
    *events, batch = twin.match_many(offers, orders, root=Digest(b"\7" * 32))
    opened = [isinstance(event, LeaseOpened) for event in events]
    assert opened == [True, False, True, True, False]
    assert batch == BatchMatched(matcher=party("matcher"), root=Digest(b"\7" * 32), opened=3, skipped=2)
    twin.assert_same_state()


def test_capacity_in_use_is_not_sold_twice_and_returns(twin: MarketTwin) -> None:
    offer = an_offer(capacity=Quantities(cpu=4_000, memory=4_096))
    twin.register(offer)
    first = twin.open(offer, Order(bid=a_bid(), rate=ASK))
    twin.open(offer, Order(bid=a_bid(nonce=2), rate=ASK))
    (third,) = twin.match(offer, Order(bid=a_bid(nonce=3), rate=ASK))
    assert isinstance(third, BidSkipped)
    assert third.reason == SkipReason.CAPACITY
    twin.release(first.terms)
    twin.open(offer, Order(bid=a_bid(nonce=3), rate=ASK))
    twin.assert_same_state()


def test_alternatives_with_one_nonce_open_once(twin: MarketTwin) -> None:
    twin.register(an_offer())
    alternatives = [a_bid(), a_bid(want=Quantities(cpu=1_000), limit_rate=10**9)]
    first, second, _ = twin.match_many(
        [an_offer()],
        [
            Order(bid=alternatives[1], rate=500_000_000),
            Order(bid=alternatives[0], rate=ASK),
        ],
    )
    assert isinstance(first, LeaseOpened)
    assert isinstance(second, BidSkipped)
    assert second.reason == SkipReason.NONCE_USED


def test_no_bids_make_an_empty_batch(twin: MarketTwin) -> None:
    (batch,) = twin.match_many([], [])
    assert batch == BatchMatched(matcher=party("matcher"), root=NO_DIGEST, opened=0, skipped=0)
