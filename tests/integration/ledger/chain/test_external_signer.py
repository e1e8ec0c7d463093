"""The contract with an external signer: the documented protocol against a server that speaks it, and the
same questions against anvil, which is a real one for its unlocked accounts."""

import socket
from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.chain.external_signer import ExternalSigner
from ledger.chain.keys import LocalKey, Signer, UnsignedTransaction, unsigned_of
from ledger.chain.signatures import ORDER, recover
from ledger.chain.typed_data import (
    Domain,
    TokenDomain,
    TypedMessage,
    bid_id,
    bid_message,
    permit_message,
    receipt_message,
    request_message,
    session_message,
    withdrawal_message,
)
from ledger.market.bid import Bid
from ledger.market.errors import MarketError, Rejected, Unavailable
from ledger.market.identity import Address, Digest, LeaseId, from_text, text
from ledger.market.receipt import UsageReceipt
from ledger.market.withdrawal import Withdrawal
from tests.anvil import anvil, ask
from tests.fakes.web3signer import Web3Signer, web3signer
from tests.strategies import addresses, bids, words

SECRET = sha256(b"held elsewhere").digest()
LOCAL = LocalKey(SECRET)
DOMAIN = Domain(chain_id=31_337, market=Address(b"\x11" * 20))
TOKEN = TokenDomain(name="Test Token", version="1", chain_id=31_337, token=Address(b"\x22" * 20))
TRANSACTION = UnsignedTransaction(
    chain_id=31_337,
    nonce=7,
    to=Address(b"\x33" * 20),
    data=b"\x01\x02",
    gas=100_000,
    max_fee=3 * 10**9,
    tip=10**9,
    value=5,
)
ORDER_TO_PAY = Withdrawal(
    account=LOCAL.address, to=Address(b"\x44" * 20), amount=9, nonce=3, deadline=2**40 - 1
)
RECEIPT = UsageReceipt(
    lease=LeaseId(b"\x55" * 32), milliseconds=2**63, evidence=Digest(b"\x66" * 32), last=True
)
MESSAGES = (
    receipt_message(DOMAIN, RECEIPT),
    withdrawal_message(DOMAIN, ORDER_TO_PAY),
    permit_message(TOKEN, LOCAL.address, DOMAIN.market, 2**255, 0, 2**40 - 1),
    session_message(DOMAIN, LOCAL.address, DOMAIN.market, 2**40 - 1),
    request_message(DOMAIN, "POST", "/v1/jobs?wait=3&name=Grüße", b"\x77" * 32, 2**200, 1_800_000_000),
)


@pytest.fixture(scope="module")
def served() -> Iterator[Web3Signer]:
    with web3signer(SECRET) as signer:
        yield signer


@pytest.fixture
def signer(served: Web3Signer) -> Iterator[ExternalSigner]:
    served.answer, served.status, served.typed_method = lambda _, result: result, 200, "eth_signTypedData"
    external = ExternalSigner(served.url, LOCAL.address)
    yield external
    external.close()


def refusal_of(signer: Signer) -> MarketError:
    with pytest.raises(MarketError) as refusal:
        signer.sign_typed(MESSAGES[0])
    return refusal.value


def transaction_refusal(signer: Signer) -> MarketError:
    with pytest.raises(MarketError) as refusal:
        signer.sign_transaction(TRANSACTION)
    return refusal.value


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type.split("(")[0])
def test_its_signatures_are_those_of_the_key_itself(signer: ExternalSigner, message: TypedMessage) -> None:
    assert signer.sign_typed(message) == LOCAL.sign_typed(message) == LOCAL.sign(message.digest)


@given(bid=bids)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_bid_is_shown_whole(signer: ExternalSigner, bid: Bid) -> None:
    message = bid_message(DOMAIN, bid)
    assert bytes(message.digest) == bid_id(DOMAIN, bid)
    assert signer.sign_typed(message) == LOCAL.sign(message.digest)


@given(
    fields=st.builds(
        UnsignedTransaction,
        chain_id=st.integers(1, 2**52),
        nonce=words(63),
        to=addresses | st.just(Address(b"")),
        data=st.binary(min_size=1, max_size=100),
        gas=st.integers(21_000, 2**24),
        max_fee=words(60),
        tip=words(50),
        value=words(80),
    )
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_its_transactions_are_those_of_the_key_itself(
    signer: ExternalSigner, fields: UnsignedTransaction
) -> None:
    assert signer.sign_transaction(fields) == LOCAL.sign_transaction(fields)


def test_web3signer_is_given_the_data_as_one_text(served: Web3Signer, signer: ExternalSigner) -> None:
    signer.sign_typed(MESSAGES[0])
    method, params = served.asked[-1]
    assert method == "eth_signTypedData"
    assert [type(one) for one in params] == [str, str]


def test_a_wallet_is_given_it_as_an_object(served: Web3Signer, signer: ExternalSigner) -> None:
    served.typed_method = "eth_signTypedData_v4"
    assert signer.sign_typed(MESSAGES[1]) == LOCAL.sign_typed(MESSAGES[1])
    assert signer.sign_typed(MESSAGES[2]) == LOCAL.sign_typed(MESSAGES[2])
    assert [method for method, _ in served.asked[-3:]] == [
        "eth_signTypedData",
        "eth_signTypedData_v4",
        "eth_signTypedData_v4",
    ]


def test_a_transaction_may_come_back_beside_its_fields(served: Web3Signer, signer: ExternalSigner) -> None:
    served.answer = lambda _, result: {"raw": result, "tx": {}}
    assert signer.sign_transaction(TRANSACTION) == LOCAL.sign_transaction(TRANSACTION)


def test_a_bare_digest_is_not_signed(served: Web3Signer, signer: ExternalSigner) -> None:
    before = len(served.asked)
    with pytest.raises(Rejected) as refusal:
        signer.sign(bytes(32))
    assert refusal.value.code == "blind-signature"
    assert len(served.asked) == before


def test_an_account_that_it_holds_passes_the_check(signer: ExternalSigner) -> None:
    signer.check()


def test_an_account_that_it_does_not_hold_is_refused(served: Web3Signer) -> None:
    stranger = ExternalSigner(served.url, Address(b"\x99" * 20))
    with pytest.raises(Rejected) as refusal:
        stranger.check()
    assert refusal.value.code == "unknown-signer-account"
    assert refusal_of(stranger).code == transaction_refusal(stranger).code == "signer-refused"
    stranger.close()


def spoilt(signature: str) -> list[str]:
    raw = bytes.fromhex(signature[2:])
    r, s, v = raw[:32], int.from_bytes(raw[32:64], "big"), raw[64]
    high = r + (ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    return [text(high), text(raw[:64]), text(raw[:64] + b"\x1d"), text(r + raw[32:64] + bytes([55 - v]))]


@pytest.mark.parametrize("which", range(4), ids=["high-s", "short", "odd-v", "other-key"])
def test_a_signature_that_is_not_ours_is_refused(
    served: Web3Signer, signer: ExternalSigner, which: int
) -> None:
    served.answer = lambda _, result: spoilt(result)[which]
    assert refusal_of(signer).code == "signer-answer"


def test_a_parity_of_0_or_1_is_taken_too(served: Web3Signer, signer: ExternalSigner) -> None:
    served.answer = lambda _, result: result[:-2] + f"{int(result[-2:], 16) - 27:02x}"
    assert signer.sign_typed(MESSAGES[0]) == LOCAL.sign_typed(MESSAGES[0])


@pytest.mark.parametrize(
    "answer", [None, 1, "", "0x", "0xzz", [], {}, "0x02", "0x02c0", "0x01c0", "0x02c20102"]
)
def test_what_is_no_signature_is_refused(served: Web3Signer, signer: ExternalSigner, answer: object) -> None:
    served.answer = lambda _, __: answer
    assert refusal_of(signer).code == "signer-answer"
    assert transaction_refusal(signer).code == "signer-answer"


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"nonce": 8},
        {"to": Address(b"\x34" * 20)},
        {"to": Address(b"")},
        {"data": b"\x01"},
        {"gas": 100_001},
        {"max_fee": 4 * 10**9},
        {"tip": 2},
        {"value": 6},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_transaction_other_than_the_one_asked_for_is_refused(
    served: Web3Signer, signer: ExternalSigner, change: dict[str, object]
) -> None:
    fields = {name: getattr(TRANSACTION, name) for name in UnsignedTransaction.__dataclass_fields__}
    other = UnsignedTransaction(**(fields | change))
    assert unsigned_of(LOCAL.sign_transaction(other).raw) == other
    served.answer = lambda _, __: text(LOCAL.sign_transaction(other).raw)
    assert transaction_refusal(signer).code == "signer-answer"


def test_a_transaction_of_another_key_is_refused(served: Web3Signer, signer: ExternalSigner) -> None:
    other = LocalKey(sha256(b"another").digest())
    served.answer = lambda _, __: text(other.sign_transaction(TRANSACTION).raw)
    assert transaction_refusal(signer).code == "signer-answer"


def test_a_signer_that_is_away_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away = ExternalSigner(f"http://user:hunter2@127.0.0.1:{port}", LOCAL.address)
    error = refusal_of(away)
    assert isinstance(error, Unavailable)
    assert error.code == "signer-unreachable"
    assert "hunter2" not in f"{error} {error.facts} {away!r}"
    away.close()


def test_a_signer_that_is_silent_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        silent = ExternalSigner(url, LOCAL.address, timeout=(1.0, 0.05))
        error = refusal_of(silent)
        silent.close()
    assert isinstance(error, Unavailable)


def test_a_web_server_that_is_no_signer_is_unavailable(served: Web3Signer, signer: ExternalSigner) -> None:
    served.respond, before = (lambda _: ["hello"]), served.respond  # type: ignore[method-assign, assignment, return-value]
    try:
        assert refusal_of(signer).code == "signer-unreachable"
    finally:
        served.respond = before  # type: ignore[method-assign]


@pytest.mark.parametrize("url", ["", "127.0.0.1:9000", "ftp://host", "http://", "file:///etc/passwd"])
def test_only_a_url_of_http_names_a_signer(url: str) -> None:
    with pytest.raises(Rejected) as refusal:
        ExternalSigner(url, LOCAL.address)
    assert refusal.value.code == "malformed-url"


def test_anvil_signs_as_an_external_signer() -> None:
    with anvil("--chain-id", "31337") as url:
        account = Address(from_text(ask(url, "eth_accounts")[0], 20))
        signer = ExternalSigner(url, account)
        signer.check()
        for message in MESSAGES:
            assert recover(message.digest, signer.sign_typed(message)) == account
        funds = UnsignedTransaction(
            chain_id=31_337,
            nonce=0,
            to=LOCAL.address,
            data=b"",
            gas=21_000,
            max_fee=3 * 10**9,
            tip=10**9,
            value=10**18,
        )
        signed = signer.sign_transaction(funds)
        assert ask(url, "eth_sendRawTransaction", text(signed.raw)) == text(signed.hash)
        assert int(ask(url, "eth_getBalance", text(LOCAL.address), "latest"), 16) == 10**18
        signer.close()
