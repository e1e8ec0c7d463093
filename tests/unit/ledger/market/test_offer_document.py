"""Offer documents come back the same and are read strictly."""

import json
from dataclasses import replace

import pytest
from hypothesis import given

from ledger.market.errors import Rejected
from ledger.market.offer_document import OfferDocument, OfferedDevices, offer_document_from_plain
from tests import strategies as some

LENT = {"vendor": "nvidia", "model": "a", "count": 1, "memory": 5}
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
        {"latency": {"mars": 5}},
        {"latency": {5: 5}},
        {"latency": {"eu-west": -1}},
        {"accelerators": {"vendor": "nvidia"}},
        {"accelerators": LENT | {"source": "hoped"}},
        {"accelerators": LENT | {"capability": {"fp12": 1}}},
        {"accelerators": LENT | {"profile": "big"}},
        {"accelerators": LENT | {"price": 1}},
    ],
    ids=str,
)
def test_a_wrong_document_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        offer_document_from_plain(DOCUMENT.to_plain() | changes)


def test_a_document_without_devices_is_what_it_was_before_there_were_figures() -> None:
    assert set(DOCUMENT.to_plain()) == {
        "kind", "name", "domain", "region", "devices", "runtimes", "disk_limit",
    }  # fmt: skip
    lent = OfferedDevices(vendor="nvidia", model="a", count=1, memory=5)
    assert replace(DOCUMENT, accelerators=lent).to_plain()["accelerators"] == LENT
