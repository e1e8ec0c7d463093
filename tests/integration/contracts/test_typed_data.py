"""The contract's digests are those of eth-account, whatever the values; signatures too."""

from typing import Any

import boa
import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain import typed_data
from ledger.market.events import LeaseOpened
from ledger.market.identity import Address, Digest
from ledger.market.money import rate_of
from ledger.market.reasons import SkipReason
from ledger.market.receipt import UsageReceipt
from tests.fakes.in_process_market import (
    TERMS,
    TYPES,
    InProcessMarket,
    Order,
    a_bid,
    an_offer,
    words_of,
)

WIDTHS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint40": 40, "uint64": 64, "uint96": 96}


def word(kind: str) -> st.SearchStrategy[Any]:
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(to_checksum_address)
    if kind == "bytes32":
        return st.binary(min_size=32, max_size=32)
    top: int = 2 ** WIDTHS.get(kind, 256) - 1
    return st.one_of(st.integers(0, top), st.just(top))


def struct(name: str) -> st.SearchStrategy[list[Any]]:
    kinds = [field.split()[0] for field in TYPES[name].split(",")]
    return st.tuples(*map(word, kinds)).map(list)


@pytest.fixture(scope="module")
def market(chain: InProcessMarket) -> InProcessMarket:
    return chain


@pytest.fixture(scope="module")
def opened(chain: InProcessMarket) -> LeaseOpened:
    offer, bid = an_offer(), a_bid()
    chain.call("registerOffer", words_of(offer), sender="provider")
    order = Order(bid=bid, rate=rate_of(offer.ask, bid.want))
    (event,) = chain.call("matchBid", words_of(offer), chain.fill_words(order), sender="matcher")
    assert isinstance(event, LeaseOpened)
    return event


def test_the_domain_is_the_one_that_it_tells(market: InProcessMarket) -> None:
    fields, name, version, chain_id, contract, salt, extensions = market.market.eip712Domain()
    assert (fields, name, version) == (b"\x0f", "ComputeMarket", "1")
    assert chain_id == market.domain["chainId"]
    assert str(contract) == market.domain["verifyingContract"]
    assert (salt, list(extensions)) == (bytes(32), [])
    assert market.market.DOMAIN_SEPARATOR() == market.separator


@settings(max_examples=40, deadline=None)
@given(words=struct("Offer"))
def test_offer_digests_agree(market: InProcessMarket, words: list[Any]) -> None:
    assert market.view("market", "offerDigest", words) == market.digest("Offer", words)


@settings(max_examples=40, deadline=None)
@given(words=struct("Bid"))
def test_bid_digests_agree(market: InProcessMarket, words: list[Any]) -> None:
    assert market.view("market", "bidDigest", words) == market.digest("Bid", words)


@settings(max_examples=40, deadline=None)
@given(words=st.tuples(*map(word, TERMS)).map(list))
def test_lease_ids_are_the_hash_of_domain_and_terms(market: InProcessMarket, words: list[Any]) -> None:
    expected = keccak(encode(["bytes32", *TERMS], [market.separator, *words]))
    assert market.view("market", "leaseId", words) == expected


def test_the_node_makes_the_same_digests(market: InProcessMarket, opened: LeaseOpened) -> None:
    contract = Address(bytes.fromhex(str(market.market.address)[2:]))
    domain = typed_data.Domain(chain_id=market.domain["chainId"], market=contract)
    receipt = UsageReceipt(lease=opened.id, milliseconds=2**64 - 1, evidence=Digest(b"\7" * 32), last=True)
    assert typed_data.separator(domain) == market.separator
    assert typed_data.offer_id(domain, an_offer()) == market.offer_id(an_offer())
    assert typed_data.bid_id(domain, a_bid()) == market.bid_id(a_bid())
    assert typed_data.lease_id(domain, opened.terms) == opened.id
    words = [receipt.lease, receipt.milliseconds, receipt.evidence, receipt.last]
    assert typed_data.receipt_digest(domain, receipt) == market.digest("UsageReceipt", words)


@settings(max_examples=25, deadline=None)
@given(
    milliseconds=st.integers(1_000, 15_000),
    evidence=st.binary(min_size=32, max_size=32),
    last=st.booleans(),
)
def test_receipts_signed_by_eth_account_are_the_signers(
    market: InProcessMarket, opened: LeaseOpened, milliseconds: int, evidence: bytes, last: bool
) -> None:
    receipt = UsageReceipt(lease=opened.id, milliseconds=milliseconds, evidence=Digest(evidence), last=last)
    good = market.settlement_words(opened.terms, receipt)
    assert market.view("market", "checkSettlement", good) == SkipReason.NONE
    other = [*good[:2], bytes(31) + b"\1" if evidence == bytes(32) else bytes(32), *good[3:]]
    assert market.view("market", "checkSettlement", other) == SkipReason.RECEIPT_SIGNATURE


def test_a_fork_with_another_chain_id_has_another_domain(market: InProcessMarket) -> None:
    before = market.market.DOMAIN_SEPARATOR()
    original = boa.env.evm.patch.chain_id
    boa.env.evm.patch.chain_id = original + 1
    try:
        assert market.market.DOMAIN_SEPARATOR() != before
        assert market.market.eip712Domain()[3] == original + 1
    finally:
        boa.env.evm.patch.chain_id = original
    assert market.market.DOMAIN_SEPARATOR() == before
