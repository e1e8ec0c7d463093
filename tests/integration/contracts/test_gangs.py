"""Gangs open whole or not at all; replicas open undecided and wait for the jury."""

from collections.abc import Sequence

import pytest

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS, Bid
from ledger.market.errors import Rejected
from ledger.market.events import BidSkipped, LeaseOpened, ReceiptSkipped, ReplicasOpened
from ledger.market.identity import Digest
from ledger.market.money import escrow_for, rate_of
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from tests.fakes.in_process_market import PURSE, STAKE, a_bid, an_offer, party
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin

RATE = rate_of(an_offer().ask, a_bid().want)
ESCROW = escrow_for(RATE, a_bid().duration)
SEED = Digest(b"\5" * 32)


def gang_bid(members: int = 3, flags: int = 0, **changes: object) -> Bid:
    return a_bid(members=members, flags=flags, **changes)


@pytest.fixture
def offers(twin: MarketTwin) -> list[Offer]:
    """One of each of three providers."""
    found = [an_offer(provider=party(name)) for name in ("provider", "rival", "third")]
    for offer, name in zip(found, ("provider", "rival", "third"), strict=True):
        twin.register(offer, name)
    return found


def placed(bid: Bid, *indexes: int, rate: int = RATE) -> GangOrder:
    return GangOrder(bid=bid, members=tuple((index, rate) for index in indexes), seed=SEED)


def reason_of(events: Sequence[object]) -> SkipReason:
    (skipped,) = events
    assert isinstance(skipped, BidSkipped)
    return skipped.reason


def test_a_gang_opens_every_member_in_order(twin: MarketTwin, offers: list[Offer]) -> None:
    events = twin.match_gang(offers, placed(gang_bid(), 0, 2, 0))
    leases = [event for event in events if isinstance(event, LeaseOpened)]
    assert [lease.terms.member for lease in leases] == [0, 1, 2]
    assert [lease.terms.provider for lease in leases] == [party(n) for n in ("provider", "third", "provider")]
    assert twin.balances()[party("buyer")] == PURSE - 3 * ESCROW
    twin.assert_same_state()


@pytest.mark.parametrize(
    ("bid", "indexes", "reason"),
    [
        (gang_bid(2), (0, 1, 2), SkipReason.MEMBERS),
        (gang_bid(1), (0,), SkipReason.MEMBERS),
        (gang_bid(0), (), SkipReason.MEMBERS),
        (gang_bid(flags=4), (0, 1, 2), SkipReason.FLAGS),
        (gang_bid(flags=DISTINCT | 2 << AGREE_SHIFT), (0, 1, 2), SkipReason.FLAGS),
        (gang_bid(flags=REPLICAS | 1 << AGREE_SHIFT), (0, 1, 2), SkipReason.FLAGS),
        (gang_bid(flags=REPLICAS | 4 << AGREE_SHIFT), (0, 1, 2), SkipReason.FLAGS),
        (gang_bid(2, flags=REPLICAS | 1 << AGREE_SHIFT), (0, 1), SkipReason.FLAGS),
        (gang_bid(16, flags=REPLICAS | 9 << AGREE_SHIFT), (0,) * 16, SkipReason.FLAGS),
        (gang_bid(continues=Digest(b"\1" * 32)), (0, 1, 2), SkipReason.CONTINUES),
        (gang_bid(), (0, 1, 3), SkipReason.OFFER_UNKNOWN),
        (gang_bid(flags=DISTINCT), (0, 1, 0), SkipReason.DISTINCT),
        (gang_bid(flags=REPLICAS | 2 << AGREE_SHIFT), (0, 1, 1), SkipReason.DISTINCT),
        (gang_bid(limit_rate=RATE - 1), (0, 1, 2), SkipReason.ABOVE_LIMIT),
    ],
)
def test_a_gang_that_may_not_open_opens_nothing(
    twin: MarketTwin, offers: list[Offer], bid: Bid, indexes: tuple[int, ...], reason: SkipReason
) -> None:
    assert reason_of(twin.match_gang(offers, placed(bid, *indexes))) == reason
    twin.assert_same_state()


def test_members_share_an_offers_capacity(twin: MarketTwin) -> None:
    offer = an_offer(capacity=Quantities(cpu=5_999, memory=4_096))
    twin.register(offer)
    assert reason_of(twin.match_gang([offer], placed(gang_bid(), 0, 0, 0))) == SkipReason.CAPACITY
    assert len(twin.match_gang([offer], placed(gang_bid(2), 0, 0))) == 2
    twin.assert_same_state()


def test_an_offer_shown_twice_is_one_offer(twin: MarketTwin) -> None:
    offer = an_offer(capacity=Quantities(cpu=3_999, memory=4_096))
    twin.register(offer)
    assert reason_of(twin.match_gang([offer, offer], placed(gang_bid(2), 0, 1))) == SkipReason.CAPACITY


@pytest.mark.parametrize(("short", "reason"), [(0, None), (1, SkipReason.STAKE)])
def test_members_share_a_providers_stake(
    twin: MarketTwin, offers: list[Offer], short: int, reason: SkipReason | None
) -> None:
    twin.request_unstake("provider", STAKE - 2 * EMBEDDED.lock_for(ESCROW) + short)
    events = twin.match_gang(offers, placed(gang_bid(2), 0, 0))
    assert len(events) == 2 if reason is None else reason_of(events) == reason
    twin.assert_same_state()


@pytest.mark.parametrize(("short", "reason"), [(0, None), (1, SkipReason.FUNDS)])
def test_members_share_the_buyers_balance(
    twin: MarketTwin, offers: list[Offer], short: int, reason: SkipReason | None
) -> None:
    twin.withdraw("buyer", PURSE - 3 * ESCROW + short)
    events = twin.match_gang(offers, placed(gang_bid(), 0, 1, 2))
    assert len(events) == 3 if reason is None else reason_of(events) == reason
    twin.assert_same_state()


def test_a_gangs_nonce_opens_once(twin: MarketTwin, offers: list[Offer]) -> None:
    twin.match_gang(offers, placed(gang_bid(), 0, 1, 2))
    assert reason_of(twin.match_gang(offers, placed(gang_bid(), 0, 1, 2))) == SkipReason.NONCE_USED


def test_replicas_open_undecided_and_take_no_receipt(twin: MarketTwin, offers: list[Offer]) -> None:
    bid = gang_bid(flags=REPLICAS | 2 << AGREE_SHIFT)
    *leases, drawn = twin.match_gang(offers, placed(bid, 0, 1, 2))
    assert drawn == ReplicasOpened(bid=twin.chain.bid_id(bid), members=3, agree=2, seed=SEED)
    first = leases[0]
    assert isinstance(first, LeaseOpened)
    twin.chain.advance(60)
    (skipped,) = twin.settle(Claim(terms=first.terms, milliseconds=1_000))
    assert skipped == ReceiptSkipped(lease=first.id, reason=SkipReason.UNDECIDED)
    for refused in (twin.release, twin.close):
        with pytest.raises(Rejected):
            refused(first.terms)
    with pytest.raises(Rejected):
        twin.claim(first.terms, 1_000)
    twin.terminate(first.terms)
    twin.assert_same_state()
