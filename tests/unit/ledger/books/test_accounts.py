"""Double entry: no event makes or destroys a base unit."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.books.accounts import balance, escrow, legs_of, wallet
from ledger.market.events import (
    BidSkipped,
    Deposited,
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import BidId, LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.reasons import SkipReason
from tests.factories import NOW, a_digest, an_address, some_terms
from tests.strategies import words

LEASE = LeaseId(a_digest("lease"))
BUYER, PROVIDER = an_address("buyer"), an_address("provider")


def money_events(amount: int) -> list[MarketEvent]:
    return [
        Deposited(account=BUYER, amount=amount),
        LeaseOpened(id=LEASE, terms=some_terms(), start=NOW, escrow=amount, nonce=1, job=a_digest("job")),
        UsageSettled(
            lease=LEASE,
            buyer=BUYER,
            provider=PROVIDER,
            milliseconds=1,
            amount=amount,
            paid=amount,
            evidence=a_digest("evidence"),
        ),
        LeaseClosed(
            lease=LEASE,
            buyer=BUYER,
            provider=PROVIDER,
            paid=0,
            refunded=amount,
            because=ClosedBecause.RELEASED,
        ),
        Withdrawn(account=BUYER, amount=amount),
    ]


@given(words(88))
def test_the_legs_of_every_event_sum_to_zero(amount: int) -> None:
    for event in money_events(amount):
        assert sum(leg.amount for leg in legs_of(event)) == 0


@given(st.integers(1, 1 << 88))
def test_money_goes_from_wallet_to_escrow_and_on(amount: int) -> None:
    paths = [tuple(leg.account for leg in legs_of(event)) for event in money_events(amount)]
    assert paths == [
        (wallet(BUYER), balance(BUYER)),
        (balance(BUYER), escrow(LEASE)),
        (escrow(LEASE), balance(PROVIDER)),
        (escrow(LEASE), balance(BUYER)),
        (balance(BUYER), wallet(BUYER)),
    ]


def test_an_event_without_money_has_no_legs() -> None:
    assert legs_of(BidSkipped(bid=BidId(a_digest("bid")), reason=SkipReason.FUNDS)) == ()
    assert legs_of(Deposited(account=BUYER, amount=0)) == ()
