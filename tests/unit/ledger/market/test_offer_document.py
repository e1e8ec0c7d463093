"""Offer documents come back the same and are read strictly."""

import json

import pytest
from hypothesis import given

from ledger.market.errors import Rejected
from ledger.market.offer_document import OfferDocument, offer_document_from_plain
from tests import strategies as some

DOCUMENT = OfferDocument(name="desk", domain="lab/berlin", region="eu-central")


@given(document=some.offer_documents)
def test_a_document_comes_back(document: OfferDocument) -> None:
    assert offer_document_from_plain(json.loads(json.dumps(document.to_plain()))) == document


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "bingwang/offer/2"},
        {"domain": "Berlin"},
        {"disk_limit": "none"},
        {"devices": "gpu"},
        {"runtimes": [1]},
        {"price": 5},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_wrong_document_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        offer_document_from_plain(DOCUMENT.to_plain() | changes)
