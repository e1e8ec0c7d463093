"""Kernel values as plain JSON come back the same, and nothing unknown is read over."""

import json

import pytest
from hypothesis import given

from ledger.market.bid import SignedBid
from ledger.market.errors import Rejected
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import SignedReceipt
from ledger.market.wire import (
    offer_from_plain,
    offer_to_plain,
    signed_bid_from_plain,
    signed_bid_to_plain,
    signed_receipt_from_plain,
    signed_receipt_to_plain,
    terms_from_plain,
    terms_to_plain,
)
from tests import strategies as some
from tests.factories import an_offer


def through_json(plain: object) -> object:
    return json.loads(json.dumps(plain))


@given(offer=some.offers)
def test_an_offer_comes_back(offer: Offer) -> None:
    assert offer_from_plain(through_json(offer_to_plain(offer))) == offer


@given(signed=some.signed_bids)
def test_a_signed_bid_comes_back(signed: SignedBid) -> None:
    assert signed_bid_from_plain(through_json(signed_bid_to_plain(signed))) == signed


@given(terms=some.lease_terms)
def test_terms_come_back(terms: LeaseTerms) -> None:
    assert terms_from_plain(through_json(terms_to_plain(terms))) == terms


@given(signed=some.signed_receipts)
def test_a_signed_receipt_comes_back_for_its_lease(signed: SignedReceipt) -> None:
    plain = through_json(signed_receipt_to_plain(signed))
    assert signed_receipt_from_plain(signed.receipt.lease, plain) == signed


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 0},
        {"epoch": "-1"},
        {"epoch": "1_0"},
        {"epoch": str(1 << 64)},
        {"capacity": str(1 << 31)},
        {"capacity": "9" * 79},
        {"provider": "0x00"},
        {"provider": "abc"},
        {"min_seconds": "1"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_an_offer_with_a_wrong_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        offer_from_plain(offer_to_plain(an_offer()) | changes)
