"""Digests equal those of eth-account, an independent EIP-712 implementation."""

from typing import Any

from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak as keccak256
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.documents import canonical
from ledger.chain.typed_data import (
    Domain,
    TokenDomain,
    bid_id,
    commitment,
    lease_id,
    model_tag,
    offer_id,
    permit_digest,
    receipt_digest,
    request_digest,
    result_hash,
    withdrawal_digest,
)
from ledger.market.bid import Bid
from ledger.market.facts import OutputFile
from ledger.market.identity import Address, Digest, LeaseId
from ledger.market.lease import LeaseTerms
from ledger.market.offer import Offer
from ledger.market.receipt import UsageReceipt
from ledger.market.withdrawal import Withdrawal
from tests.factories import a_digest, an_address, some_terms
from tests.strategies import addresses, bids, digests, lease_ids, lease_terms, offers, receipts, words

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
WITHDRAW = "address account,address to,uint256 amount,uint64 nonce,uint40 deadline"
PERMIT = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"
REQUEST = "string method,string target,bytes32 bodyHash,uint256 nonce,uint40 deadline"

domains = st.builds(Domain, chain_id=words(64), market=addresses)
token_domains = st.builds(
    TokenDomain, name=st.text(max_size=20), version=st.text(max_size=3), chain_id=words(64), token=addresses
)
withdrawals = st.builds(
    Withdrawal, account=addresses, to=addresses, amount=words(256), nonce=words(64), deadline=words(40)
)
output_files = st.builds(
    OutputFile, path=st.text("abc/", min_size=1, max_size=5), sha256=st.just("ab" * 32), size=words(20)
)


def theirs(domain: Domain | TokenDomain, name: str, members: str, values: dict[str, Any]) -> bytes:
    """The digest by eth-account."""
    types = {
        name: [dict(zip(("type", "name"), member.split(), strict=True)) for member in members.split(",")]
    }
    separator: dict[str, Any] = {"name": "ComputeMarket", "version": "1", "chainId": domain.chain_id}
    if isinstance(domain, Domain):
        separator["verifyingContract"] = "0x" + domain.market.hex()
    else:
        separator |= {"name": domain.name, "version": domain.version}
        separator["verifyingContract"] = "0x" + domain.token.hex()
    signable = encode_typed_data(domain_data=separator, message_types=types, message_data=values)
    return bytes(keccak256(b"\x19" + signable.version + signable.header + signable.body))


def plain(value: Any) -> Any:
    if hasattr(value, "pack"):
        return value.pack()
    return "0x" + value.hex() if isinstance(value, bytes) and len(value) == 20 else value


def members_of(value: Offer | Bid | UsageReceipt | Withdrawal, members: str) -> dict[str, Any]:
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


@given(domains, withdrawals)
def test_a_withdrawals_digest_is_its_typed_data_digest(domain: Domain, withdrawal: Withdrawal) -> None:
    expected = theirs(domain, "Withdraw", WITHDRAW, members_of(withdrawal, WITHDRAW))
    assert withdrawal_digest(domain, withdrawal) == expected


@given(token_domains, addresses, addresses, words(256), words(256))
def test_a_permits_digest_is_its_typed_data_digest(
    domain: TokenDomain, owner: Address, spender: Address, value: int, nonce: int
) -> None:
    members = {"owner": plain(owner), "spender": plain(spender), "value": value}
    expected = theirs(domain, "Permit", PERMIT, members | {"nonce": nonce, "deadline": 7})
    assert permit_digest(domain, owner, spender, value, nonce, 7) == expected


@given(lease_ids, addresses, digests, digests)
def test_a_commitment_is_the_hash_of_what_the_jury_encodes(
    lease: LeaseId, provider: Address, result: Digest, salt: Digest
) -> None:
    encoded = encode(["bytes32", "address", "bytes32", "bytes32"], [lease, provider, result, salt])
    assert commitment(lease, provider, result, salt) == keccak256(encoded)


@given(
    st.integers(0, 255), st.lists(output_files, max_size=4, unique_by=lambda file: file.path), st.randoms()
)
def test_a_results_hash_does_not_depend_on_the_order_of_its_outputs(
    exit_code: int, outputs: list[OutputFile], chance: Any
) -> None:
    shuffled = chance.sample(outputs, len(outputs))
    assert result_hash(exit_code, shuffled) == result_hash(exit_code, outputs)


def test_a_results_hash_is_that_of_its_canonical_document() -> None:
    outputs = [OutputFile(path="b", sha256="cd" * 32, size=1), OutputFile(path="a", sha256="ab" * 32, size=2)]
    files = [{"path": "a", "sha256": "ab" * 32}, {"path": "b", "sha256": "cd" * 32}]
    assert result_hash(3, outputs) == keccak256(canonical({"exit_code": 3, "outputs": files}))


def test_another_exit_code_or_content_is_another_result() -> None:
    one = OutputFile(path="a", sha256="ab" * 32, size=1)
    other = OutputFile(path="a", sha256="cd" * 32, size=1)
    assert (
        len({result_hash(0, [one]), result_hash(1, [one]), result_hash(0, [other]), result_hash(0, [])}) == 4
    )


def test_another_salt_is_another_commitment() -> None:
    lease, result = LeaseId(a_digest("lease")), a_digest("result")
    one, other = (
        commitment(lease, an_address("provider"), result, a_digest(salt)) for salt in ("one", "other")
    )
    assert one != other


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
