"""Orders cannot be built malformed."""

from dataclasses import replace

import pytest

from ledger.market.errors import Rejected
from ledger.market.identity import BidId, OfferId
from tests.factories import bid_order, offer_order


def test_an_offer_order_needs_a_real_id_and_domain() -> None:
    assert offer_order(domain="lab/berlin").domain == "lab/berlin"
    with pytest.raises(Rejected):
        offer_order(domain="Berlin")
    with pytest.raises(Rejected):
        replace(offer_order(), id=OfferId(b"short"))


def test_a_bid_order_needs_a_real_id_sequence_time_and_patterns() -> None:
    assert bid_order(allow=("lab/*",)).allow == ("lab/*",)
    for wrong in ({"allow": ("LAB",)}, {"deny": ("",)}, {"arrived_at": -1}, {"sequence": -1}):
        with pytest.raises(Rejected):
            bid_order(**wrong)
    for field in ("id", "job"):
        with pytest.raises(Rejected):
            replace(bid_order(), **{field: BidId(b"short")})
