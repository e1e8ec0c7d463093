"""What a second key may do, and what it may not."""

import pytest

from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import BidSkipped, DelegateSet, LeaseOpened, OfferRegistered
from ledger.market.money import escrow_for, rate_of
from ledger.market.reasons import SkipReason
from tests.fakes.in_process_market import NOW, Order, a_bid, an_offer, party
from tests.fakes.market_twin import MarketTwin

RATE = rate_of(an_offer().ask, a_bid().want)
ESCROW = escrow_for(RATE, a_bid().duration)
BY_LAPTOP = Order(bid=a_bid(), rate=RATE, signed_by="laptop")


def test_a_spending_key_signs_bids_within_its_allowance(twin: MarketTwin) -> None:
    twin.register(an_offer())
    twin.set_delegate("buyer", "laptop", Role.SPEND, ESCROW + 5, NOW)
    drawn, opened = twin.match(an_offer(), BY_LAPTOP)
    assert drawn == DelegateSet(
        account=party("buyer"), key=party("laptop"), roles=Role.SPEND, allowance=5, until=NOW
    )
    assert isinstance(opened, LeaseOpened)
    twin.assert_same_state()


@pytest.mark.parametrize(
    ("roles", "allowance", "until", "reason"),
    [
        (Role.SPEND, ESCROW - 1, NOW, SkipReason.DELEGATE),
        (Role.SPEND, ESCROW, NOW - 1, SkipReason.DELEGATE),
        (Role.OPERATE, ESCROW, NOW, SkipReason.SIGNATURE),
    ],
    ids=["too little allowance", "a second late", "another role"],
)
def test_a_key_beyond_its_power_signs_nothing(
    twin: MarketTwin, roles: int, allowance: int, until: int, reason: SkipReason
) -> None:
    twin.register(an_offer())
    twin.set_delegate("buyer", "laptop", roles, allowance, until)
    (skipped,) = twin.match(an_offer(), BY_LAPTOP)
    assert isinstance(skipped, BidSkipped)
    assert skipped.reason == reason
    twin.assert_same_state()


def test_a_revoked_key_is_nobodys(twin: MarketTwin) -> None:
    twin.register(an_offer())
    twin.set_delegate("buyer", "laptop", Role.SPEND, ESCROW, NOW)
    twin.set_delegate("buyer", "laptop", 0, 0, 0)
    (skipped,) = twin.match(an_offer(), BY_LAPTOP)
    assert isinstance(skipped, BidSkipped)
    assert skipped.reason == SkipReason.SIGNATURE


@pytest.mark.parametrize(
    ("key", "roles", "allowance", "until"),
    [
        ("buyer", 1, 0, 0),
        ("laptop", 4, 0, 0),
        ("laptop", 1, 2**128, 0),
        ("laptop", 1, 0, 2**40),
        ("laptop", 0, 1, 0),
        ("laptop", 0, 0, 1),
    ],
)
def test_an_unsound_delegation_is_refused(
    twin: MarketTwin, key: str, roles: int, allowance: int, until: int
) -> None:
    with pytest.raises(Rejected):
        twin.set_delegate("buyer", key, roles, allowance, until)


def test_an_operating_key_runs_a_providers_offers_and_leases(twin: MarketTwin) -> None:
    twin.set_delegate("provider", "laptop", Role.OPERATE, 0, NOW)
    (registered,) = twin.register(an_offer(), "laptop")
    assert isinstance(registered, OfferRegistered)
    lease = twin.open(an_offer(), Order(bid=a_bid(), rate=RATE))
    twin.cancel(an_offer(), "laptop")
    twin.release(lease.terms, "laptop")
    twin.assert_same_state()


@pytest.mark.parametrize(("roles", "until"), [(Role.SPEND, NOW), (Role.OPERATE, NOW - 1)])
def test_other_keys_do_not(twin: MarketTwin, roles: int, until: int) -> None:
    twin.set_delegate("provider", "laptop", roles, 0, until)
    with pytest.raises(Rejected):
        twin.register(an_offer(), "laptop")


def test_a_spending_key_ends_its_accounts_leases_and_no_others(twin: MarketTwin) -> None:
    twin.register(an_offer())
    lease = twin.open(an_offer(), Order(bid=a_bid(), rate=RATE))
    twin.set_delegate("other", "laptop", Role.SPEND, 0, NOW)
    with pytest.raises(Rejected):
        twin.terminate(lease.terms, "laptop")
    twin.set_delegate("buyer", "laptop", Role.SPEND, 0, NOW)
    twin.terminate(lease.terms, "laptop")
    twin.assert_same_state()
