from hashlib import sha256

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.keys import LocalKey
from ledger.chain.signatures import ORDER, check_signed_by, recover
from ledger.market.errors import Rejected
from tests.strategies import digests, signatures

secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
KEY = LocalKey(sha256(b"key").digest())
DIGEST = sha256(b"digest").digest()


def refused(digest: bytes, signature: bytes) -> str:
    with pytest.raises(Rejected) as refusal:
        recover(digest, signature)
    return refusal.value.code


@given(secrets, digests)
def test_who_signed_is_recovered(secret: bytes, digest: bytes) -> None:
    key = LocalKey(secret)
    assert recover(digest, key.sign(digest)) == key.address


@given(secrets, digests)
def test_the_signature_is_eth_accounts_in_compact_form(secret: bytes, digest: bytes) -> None:
    theirs = Account.unsafe_sign_hash(digest, secret)
    compact = theirs.r.to_bytes(32, "big") + (theirs.s | (theirs.v - 27) << 255).to_bytes(32, "big")
    assert LocalKey(secret).sign(digest) == compact
    assert LocalKey(secret).address == bytes.fromhex(Account.from_key(secret).address[2:])


@given(digests, signatures)
def test_any_bytes_are_an_account_or_refused(digest: bytes, signature: bytes) -> None:
    try:
        outcome = len(recover(digest, signature))
    except Rejected as refusal:
        outcome = refusal.code == "bad-signature"
    assert outcome in (20, True)


@given(digests, st.integers(ORDER // 2 + 1, 2**255 - 1), st.booleans())
def test_s_in_the_upper_half_is_refused(digest: bytes, s: int, odd: bool) -> None:
    """Where (r, s) signs, (r, n - s) does too; only the lower one of the two is a signature here."""
    signature = KEY.sign(digest)[:32] + (s | odd << 255).to_bytes(32, "big")
    assert refused(digest, signature) == "bad-signature"


@pytest.mark.parametrize("length", [0, 63, 65, 96])
def test_another_length_is_refused(length: int) -> None:
    assert refused(DIGEST, bytes(length)) == "bad-signature"


@pytest.mark.parametrize(
    "signature", [bytes(64), b"\xff" * 32 + KEY.sign(DIGEST)[32:], KEY.sign(DIGEST)[:32] + bytes(32)]
)
def test_r_and_s_out_of_range_are_refused(signature: bytes) -> None:
    assert refused(DIGEST, signature) == "bad-signature"


def test_a_short_digest_is_refused() -> None:
    assert refused(DIGEST[:31], KEY.sign(DIGEST)) == "bad-signature"


def test_anothers_signature_is_refused() -> None:
    check_signed_by(KEY.address, DIGEST, KEY.sign(DIGEST))
    stranger = LocalKey(sha256(b"stranger").digest())
    with pytest.raises(Rejected) as refusal:
        check_signed_by(KEY.address, DIGEST, stranger.sign(DIGEST))
    assert refusal.value.code == "bad-signature"
