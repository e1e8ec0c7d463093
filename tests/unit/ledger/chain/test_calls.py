from hashlib import sha256
from typing import Any

import pytest
from eth_abi.abi import decode as decode_abi
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.abi import MARKET, TOKEN, functions
from ledger.chain.calls import (
    MAX_ITEMS,
    Call,
    approve,
    deposit,
    fill_words,
    market_call,
    settlement_words,
    transfer,
    withdraw,
)
from ledger.chain.structs import bid_words, offer_words, terms_words
from ledger.market.bid import SignedBid
from ledger.market.errors import Rejected
from ledger.market.identity import LeaseId, OfferId
from ledger.market.instructions import (
    CancelOffer,
    CloseLease,
    Instruction,
    OpenLease,
    RegisterOffer,
    ReleaseLease,
    SettleReceipt,
    TerminateLease,
)
from ledger.market.receipt import SignedReceipt, UsageReceipt
from tests.factories import a_bid, a_digest, an_address, an_offer, some_terms
from tests.strategies import bids, lease_terms, offers, signed_bids, signed_receipts

MARKET_AT, TOKEN_AT = an_address("market"), an_address("token")
LEASE = LeaseId(a_digest("lease"))
SIGNATURE = sha256(b"r").digest() + bytes(32)
GAS_CAP = 1 << 24


def an_opening(offer: str = "offer", nonce: int = 1) -> OpenLease:
    return OpenLease(
        lease=LeaseId(a_digest(f"lease {offer} {nonce}")),
        offer_id=OfferId(a_digest(offer)),
        offer=an_offer(document=a_digest(offer)),
        signed=SignedBid(bid=a_bid(nonce=nonce), signature=SIGNATURE),
        rate=7,
    )


def a_settlement(milliseconds: int = 5) -> SettleReceipt:
    receipt = UsageReceipt(lease=LEASE, milliseconds=milliseconds, evidence=a_digest("usage"), last=False)
    return SettleReceipt(terms=some_terms(), signed=SignedReceipt(receipt=receipt, signature=SIGNATURE))


def a_close(member: int = 0) -> CloseLease:
    return CloseLease(lease=LEASE, terms=some_terms(member=member))


SINGLE: list[tuple[Instruction, str]] = [
    (RegisterOffer(offer=an_offer()), "registerOffer"),
    (CancelOffer(offer=an_offer()), "cancelOffer"),
    (an_opening(), "matchBid"),
    (a_settlement(), "settle"),
    (ReleaseLease(lease=LEASE, terms=some_terms()), "release"),
    (TerminateLease(lease=LEASE, terms=some_terms()), "terminate"),
    (a_close(), "close"),
]


def read(call: Call, contract: str = MARKET) -> tuple[str, tuple[Any, ...]]:
    """The function that is called, and its arguments."""
    name, function = next((n, f) for n, f in functions(contract).items() if f.selector == call.data[:4])
    return name, decode_abi(function.inputs, call.data[4:])


def as_read(value: Any) -> Any:
    """Addresses as the decoder gives them."""
    if isinstance(value, tuple | list):
        return tuple(map(as_read, value))
    return "0x" + value.hex() if isinstance(value, bytes) and len(value) == 20 else value


@pytest.mark.parametrize(("wish", "name"), SINGLE, ids=[name for _, name in SINGLE])
def test_one_wish_is_its_own_call(wish: Instruction, name: str) -> None:
    call = market_call(MARKET_AT, [wish])
    assert call.to == MARKET_AT
    assert read(call)[0] == name


@given(offers, bids, lease_terms, signed_bids, signed_receipts)
def test_structs_read_back_as_they_were(offer: Any, bid: Any, terms: Any, signed: Any, receipt: Any) -> None:
    table = functions(MARKET)
    for name, words in (
        ("registerOffer", offer_words(offer)),
        ("bidDigest", bid_words(bid)),
        ("release", terms_words(terms)),
        ("settle", settlement_words(terms, receipt)),
    ):
        assert decode_abi(table[name].inputs, table[name].call(words)[4:]) == (as_read(words),)
    fill = fill_words(signed, 3, 2)
    both = decode_abi(table["matchBid"].inputs, table["matchBid"].call(offer_words(offer), fill)[4:])
    assert both == (as_read(offer_words(offer)), as_read(fill))


def test_a_batch_of_matches_carries_each_offer_once() -> None:
    batch = [an_opening("a", 1), an_opening("b", 2), an_opening("a", 3)]
    name, (carried, fills, root) = read(market_call(MARKET_AT, batch, a_digest("root")))
    assert name == "matchBids"
    assert carried == (as_read(offer_words(batch[0].offer)), as_read(offer_words(batch[1].offer)))
    assert [(fill[0], fill[2][13]) for fill in fills] == [(0, 1), (1, 2), (0, 3)]
    assert root == a_digest("root")


def test_a_batch_of_receipts_and_of_closes_keeps_its_order() -> None:
    name, (items,) = read(market_call(MARKET_AT, [a_settlement(5), a_settlement(9)]))
    assert (name, [item[1] for item in items]) == ("settleMany", [5, 9])
    name, (items,) = read(market_call(MARKET_AT, [a_close(1), a_close(2)]))
    assert (name, [item[2] for item in items]) == ("closeMany", [1, 2])


@pytest.mark.parametrize("kind", [an_opening(), a_settlement(), a_close()], ids=["match", "settle", "close"])
def test_a_full_batch_fits_one_transaction(kind: Instruction) -> None:
    assert market_call(MARKET_AT, [kind] * MAX_ITEMS).gas < GAS_CAP


@pytest.mark.parametrize(
    "batch",
    [
        [],
        [a_close(), a_settlement()],
        [a_close()] * (MAX_ITEMS + 1),
        [RegisterOffer(offer=an_offer())] * 2,
        [TerminateLease(lease=LEASE, terms=some_terms())] * 2,
    ],
    ids=["empty", "mixed", "too many", "two offers", "two terminations"],
)
def test_what_fits_no_call_is_refused(batch: list[Instruction]) -> None:
    with pytest.raises(Rejected) as refusal:
        market_call(MARKET_AT, batch)
    assert refusal.value.code == "malformed-batch"


@given(st.integers(0, 2**256 - 1))
def test_money_calls_say_their_amount(amount: int) -> None:
    assert read(deposit(MARKET_AT, amount)) == ("deposit", (amount,))
    assert read(withdraw(MARKET_AT, amount)) == ("withdraw", (amount,))
    spender = as_read(MARKET_AT)
    assert read(approve(TOKEN_AT, MARKET_AT, amount), TOKEN) == ("approve", (spender, amount))
    assert read(transfer(TOKEN_AT, MARKET_AT, amount), TOKEN) == ("transfer", (spender, amount))
