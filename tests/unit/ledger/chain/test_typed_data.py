"""Digests equal those of eth-account, an independent EIP-712 implementation."""

from typing import Any

from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak as keccak256
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.typed_data import (
    Domain,
    bid_id,
    lease_id,
    model_tag,
    offer_id,
    receipt_digest,
    request_digest,
)
from ledger.market.bid import Bid
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import UsageReceipt
from tests.factories import an_address, some_terms
from tests.strategies import addresses, bids, lease_terms, offers, receipts, words

OFFER = (
    "address provider,uint256 capacity,uint256 ask,uint256 traits,uint32 minSeconds,uint32 maxSeconds,"
    "uint40 validUntil,uint64 epoch,uint64 salt,bytes32 document"
)
BID = (
    "address buyer,address signer,uint256 want,uint256 traits,uint96 limitRate,uint16 maxOverAskBps,"
    "uint32 duration,uint40 startBy,uint40 validUntil,uint40 openAfter,uint8 members,uint8 flags,"
    "uint64 epoch,uint64 nonce,bytes32 job,address provider,address matcher,bytes32 continues"
)
RECEIPT = "bytes32 lease,uint64 milliseconds,bytes32 evidence,bool last"
REQUEST = "string method,string target,bytes32 bodyHash,uint256 nonce,uint40 deadline"

domains = st.builds(Domain, chain_id=words(64), market=addresses)


def theirs(domain: Domain, name: str, members: str, values: dict[str, Any]) -> bytes:
    """The digest by eth-account."""
    types = {
        name: [dict(zip(("type", "name"), member.split(), strict=True)) for member in members.split(",")]
    }
    separator = {
        "name": "ComputeMarket",
        "version": "1",
        "chainId": domain.chain_id,
        "verifyingContract": "0x" + domain.market.hex(),
    }
    signable = encode_typed_data(domain_data=separator, message_types=types, message_data=values)
    return bytes(keccak256(b"\x19" + signable.version + signable.header + signable.body))


def plain(value: Any) -> Any:
    if hasattr(value, "pack"):
        return value.pack()
    return "0x" + value.hex() if isinstance(value, bytes) and len(value) == 20 else value


def members_of(value: Offer | Bid | UsageReceipt, members: str) -> dict[str, Any]:
    """The members by their Solidity names."""
    names = [member.split()[1] for member in members.split(",")]
    return {name: plain(getattr(value, snake(name))) for name in names}


def snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


@given(domains, offers)
def test_an_offers_id_is_its_typed_data_digest(domain: Domain, offer: Offer) -> None:
    assert offer_id(domain, offer) == theirs(domain, "Offer", OFFER, members_of(offer, OFFER))


@given(domains, bids)
def test_a_bids_id_is_its_typed_data_digest(domain: Domain, bid: Bid) -> None:
    assert bid_id(domain, bid) == theirs(domain, "Bid", BID, members_of(bid, BID))


@given(domains, receipts)
def test_a_receipts_digest_is_its_typed_data_digest(domain: Domain, receipt: UsageReceipt) -> None:
    expected = theirs(domain, "UsageReceipt", RECEIPT, members_of(receipt, RECEIPT))
    assert receipt_digest(domain, receipt) == expected


@given(
    domains,
    st.sampled_from(["GET", "POST"]),
    st.text(max_size=30).filter(str.isascii),
    words(256),
    words(40),
)
def test_a_requests_digest_is_its_typed_data_digest(
    domain: Domain, method: str, target: str, nonce: int, deadline: int
) -> None:
    body = bytes(31) + b"\x01"
    values: dict[str, object] = {
        "method": method,
        "target": target,
        "bodyHash": body,
        "nonce": nonce,
        "deadline": deadline,
    }
    ours = request_digest(domain, method, target, body, nonce, deadline)
    assert ours == theirs(domain, "Request", REQUEST, values)


@given(lease_terms, words(64))
def test_a_lease_has_another_id_on_another_chain(terms: LeaseTerms, chain_id: int) -> None:
    here = Domain(chain_id=chain_id, market=an_address("market"))
    there = Domain(chain_id=chain_id + 1, market=an_address("market"))
    assert lease_id(here, terms) != lease_id(there, terms)


def test_another_rate_is_another_lease() -> None:
    domain = Domain(chain_id=1, market=an_address("market"))
    assert lease_id(domain, some_terms(rate=1)) != lease_id(domain, some_terms(rate=2))


def test_a_models_tag_ignores_case_and_spacing() -> None:
    assert model_tag("NVIDIA  H100 PCIe") == model_tag("nvidia h100 pcie") != 0
    assert model_tag("nvidia h100 pcie") != model_tag("nvidia h200")
    assert model_tag(" ") == 0
