"""Deposits and withdrawals that somebody else delivers."""

from typing import Any

import pytest

from ledger.market.errors import Rejected
from ledger.market.events import Deposited, NoncesCancelled, Withdrawn
from ledger.market.withdrawal import Withdrawal
from tests.fakes.in_process_market import NOW, PURSE, account, party
from tests.fakes.market_twin import MarketTwin


def an_order(**changes: Any) -> Withdrawal:
    fields = {"account": party("buyer"), "to": party("laptop"), "amount": 700, "nonce": 300, "deadline": NOW}
    return Withdrawal(**{**fields, **changes})


def test_anybody_delivers_a_signed_withdrawal(twin: MarketTwin) -> None:
    before = twin.chain.token.balanceOf(account("laptop"))
    used, paid = twin.withdraw_signed(an_order(), "buyer", "stranger")
    assert used == NoncesCancelled(account=party("buyer"), word=1, mask=1 << 44)
    assert paid == Withdrawn(account=party("buyer"), to=party("laptop"), amount=700)
    assert twin.chain.token.balanceOf(account("laptop")) == before + 700
    with pytest.raises(Rejected):
        twin.withdraw_signed(an_order(), "buyer", "stranger")
    twin.assert_same_state()


@pytest.mark.parametrize(
    ("changes", "signed_by"),
    [
        ({}, "laptop"),
        ({"amount": 0}, "buyer"),
        ({"amount": PURSE + 1}, "buyer"),
        ({"to": bytes(20)}, "buyer"),
        ({"deadline": NOW - 1}, "buyer"),
        ({"account": bytes(20)}, "buyer"),
    ],
)
def test_an_unsound_one_pays_nothing(twin: MarketTwin, changes: dict[str, Any], signed_by: str) -> None:
    with pytest.raises(Rejected):
        twin.withdraw_signed(an_order(**changes), signed_by, "stranger")
    twin.assert_same_state()


def test_a_cancelled_nonce_pays_nothing(twin: MarketTwin) -> None:
    twin.cancel_nonces("buyer", 1, 1 << 44)
    with pytest.raises(Rejected):
        twin.withdraw_signed(an_order(), "buyer", "stranger")


def test_anybody_delivers_a_permit(twin: MarketTwin) -> None:
    twin.chain.send("token", "approve", twin.chain.market.address, 0, sender=account("stranger"))
    assert twin.deposit_with_permit("stranger", 700, NOW, sender="laptop") == [
        Deposited(account=party("stranger"), amount=700)
    ]
    twin.assert_same_state()


@pytest.mark.parametrize(("signed_by", "deadline"), [("laptop", NOW), ("stranger", NOW - 1)])
def test_an_unsound_permit_deposits_nothing(twin: MarketTwin, signed_by: str, deadline: int) -> None:
    twin.chain.send("token", "approve", twin.chain.market.address, 0, sender=account("stranger"))
    with pytest.raises(Rejected):
        twin.deposit_with_permit("stranger", 700, deadline, signed_by=signed_by)
    twin.assert_same_state()


def test_a_permit_that_another_delivered_first_is_used_on(twin: MarketTwin) -> None:
    twin.chain.send("token", "approve", twin.chain.market.address, 700, sender=account("stranger"))
    assert len(twin.deposit_with_permit("stranger", 700, NOW, signed_by="laptop")) == 1
    twin.assert_same_state()
