"""Receipts cannot be built malformed."""

import pytest

from ledger.market.errors import Rejected
from ledger.market.identity import LeaseId
from ledger.market.receipt import SignedReceipt, UsageReceipt
from tests.factories import a_digest


def a_receipt(milliseconds: int = 1_000, lease: bytes = a_digest("lease")) -> UsageReceipt:
    return UsageReceipt(
        lease=LeaseId(lease), milliseconds=milliseconds, evidence=a_digest("evidence"), last=False
    )


def test_a_receipt_counts_milliseconds_in_64_bits() -> None:
    assert a_receipt((1 << 64) - 1).milliseconds == (1 << 64) - 1
    for wrong in (1 << 64, -1):
        with pytest.raises(Rejected):
            a_receipt(wrong)


def test_a_receipt_names_a_lease_and_its_signature_is_whole() -> None:
    assert SignedReceipt(receipt=a_receipt(), signature=bytes(64)).receipt == a_receipt()
    with pytest.raises(Rejected):
        a_receipt(lease=bytes(20))
    with pytest.raises(Rejected):
        SignedReceipt(receipt=a_receipt(), signature=bytes(63))
