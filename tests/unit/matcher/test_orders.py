"""Orders cannot be built malformed."""

from dataclasses import replace
from typing import Any

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
    wrongs: list[dict[str, Any]] = [
        {"allow": ("LAB",)},
        {"deny": ("",)},
        {"arrived_at": -1},
        {"sequence": -1},
    ]
    for wrong in wrongs:
        with pytest.raises(Rejected):
            bid_order(**wrong)
    with pytest.raises(Rejected):
        replace(bid_order(), id=BidId(b"short"))
    with pytest.raises(Rejected):
        replace(bid_order(), job=BidId(b"short"))


def test_reputation_is_per_mille_and_a_seed_and_a_group_are_whole_digests() -> None:
    assert replace(offer_order(), reputation=1_000).reputation == 1_000
    with pytest.raises(Rejected):
        replace(offer_order(), reputation=1_001)
    order = replace(bid_order(), min_reputation=1_000, seed=b"s" * 32, group=BidId(b"g" * 32))
    assert (order.members, order.distinct, order.replicated) == (1, False, False)
    wrongs: list[dict[str, Any]] = [{"min_reputation": 1_001}, {"seed": b"s"}, {"group": BidId(b"g")}]
    for wrong in wrongs:
        with pytest.raises(Rejected):
            replace(bid_order(), **wrong)
