"""One lease goes over into the next, or nothing happens at all."""

from copy import deepcopy
from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.events import LeaseClosed, LeaseContinued, LeaseOpened
from ledger.market.identity import Digest
from ledger.market.lease import ClosedBecause
from ledger.market.model import Fill, MarketModel
from ledger.market.resource import Quantities
from tests.factories import NOW, a_bid, a_digest, an_address
from tests.fakes.model_market import (
    BUYER,
    DEPOSIT,
    NODE,
    PROVIDER,
    TOTAL,
    a_market,
    fill_of,
    kinds,
    offer_id,
    offer_of,
    open_one,
    receipt_of,
)

ALL_CORES = Quantities(cpu=4_000, memory=1_024)


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def next_of(lease: LeaseOpened, **changes: Any) -> Fill:
    fields = {"nonce": 2, "continues": Digest(lease.id), **changes}
    return fill_of(a_bid(**fields))


def test_the_old_lease_pays_and_closes_and_its_place_and_money_are_the_next_ones(market: MarketModel) -> None:
    lease = open_one(market, want=ALL_CORES)
    market.withdraw(BUYER, DEPOSIT - lease.escrow - 100)
    receipt = receipt_of(lease.terms, 60_000, last=True)
    following = next_of(lease, want=ALL_CORES, limit_rate=10**10)
    events = market.continue_lease(NODE, receipt, following, NOW + 60)
    assert kinds(events) == ["UsageSettled", "LeaseClosed", "LeaseOpened", "LeaseContinued"]
    closed, opened, continued = events[1:]
    assert isinstance(closed, LeaseClosed)
    assert isinstance(opened, LeaseOpened)
    assert closed.because is ClosedBecause.CONTINUED
    assert continued == LeaseContinued(lease=opened.id, previous=lease.id)
    assert market.state.used[offer_id(offer_of())] == ALL_CORES
    assert market.state.held() == TOTAL - DEPOSIT + lease.escrow + 100


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"continues": a_digest("another")}, "not-its-next"),
        ({"buyer": an_address("other")}, "not-its-next"),
        ({"members": 2}, "cannot-continue"),
        ({"flags": 1}, "cannot-continue"),
        ({"nonce": 1}, "cannot-continue"),
        ({"duration": 8 * 3_600 + 1}, "cannot-continue"),
    ],
)
def test_a_next_that_does_not_fit_leaves_everything_as_it_was(
    market: MarketModel, changes: dict[str, Any], code: str
) -> None:
    lease = open_one(market)
    before = deepcopy(market.state)
    receipt = receipt_of(lease.terms, 60_000, last=True)
    with pytest.raises(Rejected) as refused:
        market.continue_lease(NODE, receipt, next_of(lease, **changes), NOW + 60)
    assert refused.value.code == code
    assert market.state == before


def test_another_offer_or_a_receipt_that_is_not_the_last_continues_nothing(market: MarketModel) -> None:
    lease = open_one(market)
    elsewhere = fill_of(next_of(lease).bid, offer_of(1))
    last = receipt_of(lease.terms, 60_000, last=True)
    with pytest.raises(Rejected) as refused:
        market.continue_lease(NODE, last, elsewhere, NOW + 60)
    assert refused.value.code == "not-its-next"
    for receipt in (
        receipt_of(lease.terms, 60_000),
        receipt_of(lease.terms, 900_000, last=True),
        receipt_of(lease.terms, 60_000, last=True, authentic=False),
    ):
        with pytest.raises(Rejected) as refused:
            market.continue_lease(NODE, receipt, next_of(lease), NOW + 60)
        assert refused.value.code == "receipt"


def test_a_claimed_lease_is_not_continued(market: MarketModel) -> None:
    lease = open_one(market)
    market.claim(PROVIDER, lease.terms, 10_000, NOW + 10)
    with pytest.raises(Rejected):
        market.continue_lease(NODE, receipt_of(lease.terms, 9_000, last=True), next_of(lease), NOW + 10)
