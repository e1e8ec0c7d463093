"""The market's state as a fold of its events; an event that contradicts it stops everything."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Broken
from ledger.market.events import (
    BatchMatched,
    Deposited,
    EpochBumped,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import NO_DIGEST, LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.money import escrow_for, pay_for
from ledger.market.resource import Quantities
from ledger.market.state import MarketState
from tests.factories import NOW, a_digest, an_address, an_offer, some_terms

BUYER, PROVIDER = an_address("buyer"), an_address("provider")
LEASE = LeaseId(a_digest("lease"))
TERMS = some_terms()
ESCROW = escrow_for(TERMS.rate, TERMS.duration)
OPENED = LeaseOpened(id=LEASE, terms=TERMS, start=NOW, escrow=ESCROW, nonce=1, job=a_digest("job document"))


def settled(amount: int, paid: int) -> UsageSettled:
    return UsageSettled(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        milliseconds=1,
        amount=amount,
        paid=paid,
        evidence=NO_DIGEST,
    )


def closed(paid: int, refunded: int) -> LeaseClosed:
    return LeaseClosed(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        paid=paid,
        refunded=refunded,
        because=ClosedBecause.LAST_RECEIPT,
    )


def an_open_market() -> MarketState:
    state = MarketState()
    state.apply(Deposited(account=BUYER, amount=1_000))
    state.apply(OfferRegistered(id=TERMS.offer, offer=an_offer()))
    state.apply(OPENED)
    return state


def test_an_opened_lease_holds_money_capacity_and_nonce() -> None:
    state = an_open_market()
    assert state.balances[BUYER] == 1_000 - ESCROW
    assert state.escrowed() == ESCROW
    assert state.used[TERMS.offer] == TERMS.want
    assert state.nonces[BUYER] == {1}
    assert state.held() == 1_000


def test_a_closed_lease_has_given_everything_back() -> None:
    state = an_open_market()
    state.apply(settled(100, 100))
    state.apply(settled(20, 120))
    state.apply(closed(120, ESCROW - 120))
    assert state.balances == {BUYER: 1_000 - 120, PROVIDER: 120}
    assert state.leases == {}
    assert state.closed[LEASE].paid == 120
    assert state.used[TERMS.offer] == Quantities()
    assert state.held() == 1_000


def test_a_terminated_lease_ends_earlier() -> None:
    state = an_open_market()
    state.apply(LeaseTerminated(lease=LEASE, buyer=BUYER, provider=PROVIDER, ended_after=60))
    assert state.leases[LEASE].seconds() == 60


def test_offers_epochs_and_nonces_are_remembered() -> None:
    state = an_open_market()
    state.apply(OfferCancelled(id=TERMS.offer, provider=PROVIDER))
    state.apply(EpochBumped(account=BUYER, epoch=3))
    state.apply(NoncesCancelled(account=BUYER, word=1, mask=0b101))
    state.apply(BatchMatched(matcher=an_address("node"), root=NO_DIGEST, opened=1, skipped=0))
    assert state.cancelled == {TERMS.offer}
    assert state.epochs == {BUYER: 3}
    assert state.nonces[BUYER] == {1, 256, 258}


CONTRADICTIONS: list[tuple[str, MarketEvent]] = [
    ("negative-balance", Withdrawn(account=BUYER, amount=1_001)),
    ("negative-balance", replace(OPENED, id=LeaseId(a_digest("another")), escrow=1_001)),
    ("unknown-lease", replace(settled(1, 1), lease=LeaseId(a_digest("another")))),
    ("unknown-lease", replace(closed(0, ESCROW), lease=LeaseId(a_digest("another")))),
    ("settlement-mismatch", settled(10, 11)),
    ("settlement-mismatch", settled(ESCROW + 1, ESCROW + 1)),
    ("close-mismatch", closed(1, ESCROW - 1)),
    ("close-mismatch", closed(0, ESCROW - 1)),
]


@pytest.mark.parametrize(("code", "event"), CONTRADICTIONS, ids=lambda part: str(part)[:30])
def test_an_event_that_contradicts_the_state_is_broken(code: str, event: MarketEvent) -> None:
    state = an_open_market()
    with pytest.raises(Broken) as broken:
        state.apply(event)
    assert broken.value.code == code


@given(spans=st.lists(st.integers(0, 600_000), max_size=6).map(sorted))
def test_no_series_of_receipts_creates_or_loses_money(spans: list[int]) -> None:
    state, paid = an_open_market(), 0
    for milliseconds in spans:
        due = pay_for(TERMS.rate, milliseconds, TERMS.duration)
        state.apply(settled(due - paid, due))
        paid = due
        assert state.held() == 1_000
    state.apply(closed(paid, ESCROW - paid))
    assert state.balances[BUYER] + state.balances.get(PROVIDER, 0) == 1_000
    assert state.escrowed() == 0
