"""Bids cannot be built invalid; the widths are those of the signed type."""

import pytest

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS, SignedBid
from ledger.market.errors import Rejected
from tests.factories import a_bid

WIDTHS = {
    "limit_rate": 96,
    "max_over_ask_bps": 16,
    "duration": 32,
    "start_by": 40,
    "valid_until": 40,
    "open_after": 40,
    "members": 8,
    "flags": 8,
    "epoch": 64,
    "nonce": 64,
}


@pytest.mark.parametrize(("field", "bits"), WIDTHS.items())
def test_a_number_fills_its_type_and_no_more(field: str, bits: int) -> None:
    assert getattr(a_bid(**{field: (1 << bits) - 1}), field) == (1 << bits) - 1
    for wrong in (1 << bits, -1, 1.0, True):
        with pytest.raises(Rejected) as refused:
            a_bid(**{field: wrong})
        assert refused.value.facts == {"field": field}


@pytest.mark.parametrize(
    ("field", "length"),
    [("buyer", 20), ("signer", 20), ("provider", 20), ("matcher", 20), ("job", 32), ("continues", 32)],
)
def test_an_account_or_digest_has_its_length(field: str, length: int) -> None:
    assert getattr(a_bid(**{field: bytes(length)}), field) == bytes(length)
    for wrong in (bytes(length - 1), bytes(length + 1), "0" * length):
        with pytest.raises(Rejected):
            a_bid(**{field: wrong})


def test_a_signature_has_64_bytes() -> None:
    assert SignedBid(bid=a_bid(), signature=bytes(64)).bid == a_bid()
    with pytest.raises(Rejected):
        SignedBid(bid=a_bid(), signature=bytes(65))


def test_flags_say_distinct_providers_replicas_and_their_quorum() -> None:
    assert not a_bid().distinct
    assert not a_bid().replicated
    apart = a_bid(members=3, flags=DISTINCT)
    assert (apart.distinct, apart.replicated, apart.agree) == (True, False, 0)
    replicas = a_bid(members=3, flags=REPLICAS | 2 << AGREE_SHIFT)
    assert (replicas.distinct, replicas.replicated, replicas.agree) == (True, True, 2)
