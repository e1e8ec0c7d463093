"""Signed orders to pay out and permits cannot be built out of range."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal
from tests.factories import a_withdrawal, an_address


@pytest.mark.parametrize(
    "changes",
    [
        {"account": b""},
        {"to": bytes(32)},
        {"amount": 1 << 256},
        {"nonce": 1 << 64},
        {"deadline": 1 << 40},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_withdrawal_fits_its_signed_type(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        a_withdrawal(**changes)


def test_a_signature_has_64_bytes() -> None:
    assert SignedWithdrawal(withdrawal=a_withdrawal(), signature=bytes(64)).withdrawal == a_withdrawal()
    with pytest.raises(Rejected):
        SignedWithdrawal(withdrawal=a_withdrawal(), signature=bytes(65))


@pytest.mark.parametrize(
    "changes",
    [{"owner": b""}, {"amount": -1}, {"deadline": 1 << 256}, {"signature": bytes(63)}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_permit_fits_its_type(changes: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "owner": an_address("buyer"),
        "amount": 5,
        "deadline": 1 << 40,
        "signature": bytes(64),
    }
    SignedPermit(**fields)  # type: ignore[arg-type]
    with pytest.raises(Rejected):
        SignedPermit(**{**fields, **changes})  # type: ignore[arg-type]
