"""One call ends a lease with its last receipt and opens its next; otherwise nothing happens."""

from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.events import FeePaid, LeaseClosed, LeaseContinued, LeaseOpened, UsageSettled
from ledger.market.lease import ClosedBecause
from ledger.market.money import rate_of
from ledger.market.resource import Quantities
from tests.fakes.in_process_market import Order, a_bid, an_offer, party
from tests.fakes.market_twin import Claim, MarketTwin

WANT = a_bid().want
OFFER = an_offer(capacity=WANT)
RATE = rate_of(OFFER.ask, WANT)


@pytest.fixture
def lease(twin: MarketTwin) -> LeaseOpened:
    """It holds all that the offer has."""
    twin.register(OFFER)
    opened = twin.open(OFFER, Order(bid=a_bid(), rate=RATE))
    twin.chain.advance(60)
    return opened


def the_next(lease: LeaseOpened, **changes: Any) -> Order:
    bid = a_bid(**{"nonce": 2, "continues": lease.id, **changes})
    return Order(bid=bid, rate=rate_of(OFFER.ask, bid.want))


def test_a_lease_is_continued_on_the_capacity_that_it_gives_back(
    twin: MarketTwin, lease: LeaseOpened
) -> None:
    claim = Claim(terms=lease.terms, milliseconds=60_000, last=True)
    settled, closed, fee, opened, continued = twin.continue_lease(claim, OFFER, the_next(lease))
    assert isinstance(settled, UsageSettled)
    assert isinstance(closed, LeaseClosed)
    assert closed.because is ClosedBecause.CONTINUED
    assert isinstance(fee, FeePaid)
    assert isinstance(opened, LeaseOpened)
    assert continued == LeaseContinued(lease=opened.id, previous=lease.id)
    twin.assert_same_state()


@pytest.mark.parametrize(
    ("claim", "changes"),
    [
        ({"last": False}, {}),
        ({"milliseconds": 75_001}, {}),
        ({"signed_by": "buyer"}, {}),
        ({}, {"continues": b"\1" * 32}),
        ({}, {"buyer": party("other")}),
        ({}, {"nonce": 1}),
        ({}, {"want": Quantities(cpu=2_001)}),
        ({}, {"flags": 1}),
    ],
    ids=[
        "not the last receipt",
        "beyond the time",
        "another's receipt",
        "another lease",
        "another buyer",
        "a used nonce",
        "more than the offer has",
        "a flag",
    ],
)
def test_otherwise_nothing_happens(
    twin: MarketTwin, lease: LeaseOpened, claim: dict[str, Any], changes: dict[str, Any]
) -> None:
    receipt = Claim(**{"terms": lease.terms, "milliseconds": 60_000, "last": True, **claim})
    with pytest.raises(Rejected):
        twin.continue_lease(receipt, OFFER, the_next(lease, **changes))
    twin.assert_same_state()


def test_only_the_chosen_matcher_continues_early(twin: MarketTwin, lease: LeaseOpened) -> None:
    claim = Claim(terms=lease.terms, milliseconds=60_000, last=True)
    with pytest.raises(Rejected):
        twin.continue_lease(claim, OFFER, the_next(lease), "stranger")


def test_a_lease_on_another_offer_is_no_continuation(twin: MarketTwin, lease: LeaseOpened) -> None:
    elsewhere = an_offer(salt=9)
    twin.register(elsewhere)
    claim = Claim(terms=lease.terms, milliseconds=60_000, last=True)
    with pytest.raises(Rejected):
        twin.continue_lease(claim, elsewhere, the_next(lease))
    twin.assert_same_state()
