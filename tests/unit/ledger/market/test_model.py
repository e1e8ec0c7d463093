"""The reference model as a whole: whatever calls come, no money is made or lost and its fold is its state.

That the contract does the same is the lock-step tests' business; each call has its own tests beside.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.events import MarketEvent
from ledger.market.identity import NOBODY
from ledger.market.model import MarketModel
from ledger.market.policy import EMBEDDED
from ledger.market.state import MarketState
from tests.factories import NOW, a_bid
from tests.fakes.model_market import (
    BUYER,
    PROVIDER,
    TOTAL,
    a_market,
    fill_of,
    lease_id,
    open_one,
    receipt_of,
)


@given(
    receipts=st.lists(st.tuples(st.integers(0, 700_000), st.booleans()), max_size=6),
    step=st.integers(0, 200),
)
def test_whatever_receipts_come_no_money_is_made_or_lost(receipts: list[tuple[int, bool]], step: int) -> None:
    model = a_market()
    lease = open_one(model)
    for number, (milliseconds, last) in enumerate(receipts, start=1):
        model.settle(receipt_of(lease.terms, milliseconds, last=last), NOW + number * step)
        assert model.state.held() == TOTAL
    model.close_many([lease.terms], NOW + 10**6)
    assert model.state.escrowed() == model.state.locked(PROVIDER) == 0
    assert model.state.held() == TOTAL


def test_the_events_alone_make_the_state() -> None:
    model, told = MarketModel(policy=EMBEDDED, lease_id=lease_id), MarketState(policy=EMBEDDED)
    calls: list[list[MarketEvent]] = [
        model.deposit(BUYER, 10**6),
        model.withdraw(BUYER, 1_000),
        model.stake(BUYER, 500),
        model.bump_epoch(BUYER),
        model.match_bid(PROVIDER, fill_of(a_bid()), NOW),
    ]
    for event in [event for events in calls for event in events]:
        told.apply(event)
    assert told == model.state


def test_a_model_has_the_roles_that_it_was_given() -> None:
    assert a_market().state.guardian != NOBODY
    assert a_market().state.policy == EMBEDDED
    with pytest.raises(Rejected):
        MarketModel(policy=EMBEDDED, lease_id=lease_id).pause(NOBODY, NOW)
