from hashlib import sha256

import pytest

from ledger.chain.keys import LocalKey, SignedTransaction, UnsignedTransaction
from ledger.chain.sessions import (
    GRANTED_BYTES,
    LONGEST_SECONDS,
    SessionSigner,
    request_signer,
    requests_by_session,
)
from ledger.chain.signatures import recover
from ledger.chain.typed_data import Domain, TypedMessage, request_message, withdrawal_message
from ledger.market.errors import Rejected
from ledger.market.identity import Address, Digest
from ledger.market.withdrawal import Withdrawal

KEY = LocalKey(sha256(b"held elsewhere").digest())
DOMAIN = Domain(chain_id=7, market=Address(b"\x11" * 20))
OTHER = Domain(chain_id=8, market=Address(b"\x11" * 20))
NOW = 1_800_000_000
REQUEST = request_message(DOMAIN, "GET", "/v1/jobs", bytes(32), 1, NOW + 60)
ORDER = Withdrawal(account=KEY.address, to=KEY.address, amount=1, nonce=1, deadline=NOW)


class Elsewhere:
    """A signer that is not a key of this process; it counts how often it is asked."""

    def __init__(self) -> None:
        self.address = KEY.address
        self.asked: list[TypedMessage] = []

    def sign(self, digest: bytes) -> bytes:
        return KEY.sign(digest)

    def sign_typed(self, message: TypedMessage) -> bytes:
        self.asked.append(message)
        return KEY.sign_typed(message)

    def sign_transaction(self, fields: UnsignedTransaction) -> SignedTransaction:
        return KEY.sign_transaction(fields)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def drawn(count: int) -> bytes:
    return sha256(b"session").digest()[:count]


@pytest.fixture
def holder() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(holder: Elsewhere, clock: Clock) -> SessionSigner:
    return SessionSigner(holder, clock, drawn)


def vouching(
    signature: bytes, at: int = NOW, domain: Domain = DOMAIN, account: Address = KEY.address
) -> Address:
    return request_signer(domain, account, REQUEST.digest, signature, at)


def refusal_of(signature: bytes, at: int = NOW) -> str:
    with pytest.raises(Rejected) as refusal:
        vouching(signature, at)
    return refusal.value.code


def test_the_account_vouches_for_what_its_session_signed(signer: SessionSigner) -> None:
    signature = signer.sign_typed(REQUEST)
    assert len(signature) == GRANTED_BYTES
    assert vouching(signature) == KEY.address


def test_the_account_vouches_for_what_it_signed_itself() -> None:
    assert vouching(KEY.sign_typed(REQUEST)) == KEY.address


def test_one_grant_serves_many_requests(signer: SessionSigner, holder: Elsewhere) -> None:
    for nonce in range(5):
        signer.sign_typed(request_message(DOMAIN, "GET", "/", bytes(32), nonce, NOW))
    assert len(holder.asked) == 1


def test_a_grant_is_renewed_before_its_end(signer: SessionSigner, holder: Elsewhere, clock: Clock) -> None:
    signer.sign_typed(REQUEST)
    clock.now += LONGEST_SECONDS - 10
    assert vouching(signer.sign_typed(REQUEST), clock.now) == KEY.address
    assert len(holder.asked) == 2


def test_another_market_needs_a_grant_of_its_own(signer: SessionSigner, holder: Elsewhere) -> None:
    signature = signer.sign_typed(REQUEST)
    signer.sign_typed(request_message(OTHER, "GET", "/", bytes(32), 1, NOW))
    assert len(holder.asked) == 2
    assert vouching(signature, domain=OTHER) != KEY.address


def test_money_is_signed_by_the_account_alone(signer: SessionSigner, holder: Elsewhere) -> None:
    message = withdrawal_message(DOMAIN, ORDER)
    assert recover(message.digest, signer.sign_typed(message)) == KEY.address
    assert holder.asked == [message]
    assert recover(Digest(bytes(32)), signer.sign(bytes(32))) == KEY.address


def test_a_session_that_is_over_is_refused(signer: SessionSigner) -> None:
    assert refusal_of(signer.sign_typed(REQUEST), NOW + LONGEST_SECONDS + 1) == "session-over"


def test_one_that_is_granted_for_too_long_is_refused(signer: SessionSigner) -> None:
    assert refusal_of(signer.sign_typed(REQUEST), NOW - 301) == "session-over"


def test_a_session_of_another_key_is_refused(signer: SessionSigner) -> None:
    signature = signer.sign_typed(REQUEST)
    stranger = LocalKey(sha256(b"stranger").digest())
    assert refusal_of(stranger.sign_typed(REQUEST) + signature[64:]) == "bad-signature"
    assert vouching(signature[:84] + (NOW + 99).to_bytes(5, "big") + signature[89:]) != KEY.address
    assert vouching(signature, account=stranger.address) not in (KEY.address, stranger.address)


def test_a_key_of_this_process_needs_no_session(holder: Elsewhere) -> None:
    assert requests_by_session(KEY, Clock(), drawn) is KEY
    assert isinstance(requests_by_session(holder, Clock(), drawn), SessionSigner)
