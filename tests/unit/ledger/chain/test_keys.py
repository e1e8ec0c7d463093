import copy
import json
import pickle
import stat
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.keys import (
    LocalKey,
    UnsignedTransaction,
    change_password,
    create_keystore,
    open_keystore,
    unsigned_of,
)
from ledger.chain.signatures import ORDER
from ledger.chain.typed_data import keccak
from ledger.market.errors import Rejected
from tests.strategies import addresses, words

SECRET = sha256(b"secret").digest()
KEY = LocalKey(SECRET)
transactions = st.builds(
    UnsignedTransaction,
    chain_id=st.integers(1, 2**52),
    nonce=words(64),
    to=addresses,
    data=st.binary(max_size=100),
    gas=words(24),
    max_fee=words(60),
    tip=words(50),
    value=words(80),
)


def refusal_of(path: Path, password: str = "open sesame") -> str:
    with pytest.raises(Rejected) as refusal:
        open_keystore(path, password)
    return refusal.value.code


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "wallet.json"
    create_keystore(path, "open sesame", SECRET)
    return path


def test_a_key_shows_its_address_alone() -> None:
    shown = f"{KEY!r} {KEY}"
    assert KEY.address.hex() in shown
    assert SECRET.hex() not in shown


@pytest.mark.parametrize("written", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_a_key_is_neither_copied_nor_written_out(written: Callable[[object], object]) -> None:
    with pytest.raises((Rejected, TypeError)) as refusal:
        written(KEY)
    assert SECRET.hex() not in str(refusal.value)


def test_a_key_does_not_show_in_a_traceback_with_its_variables() -> None:
    def failing(key: LocalKey) -> None:
        key.sign(b"no digest")

    with pytest.raises(Rejected) as refusal:
        failing(KEY)
    shown = traceback.TracebackException.from_exception(refusal.value, capture_locals=True).format()
    text = "".join(shown)
    assert KEY.address.hex() in text
    assert SECRET.hex() not in text
    assert repr(SECRET) not in text


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32, "big"), b"", bytes(31), bytes(33)])
def test_a_secret_outside_the_curve_is_refused(secret: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        LocalKey(secret)
    assert refusal.value.code == "malformed-key"


def test_only_digests_are_signed() -> None:
    with pytest.raises(Rejected) as refusal:
        KEY.sign(b"text")
    assert refusal.value.code == "digest-length"


@given(transactions)
def test_a_signed_transaction_says_what_was_asked(fields: UnsignedTransaction) -> None:
    signed = KEY.sign_transaction(fields)
    assert unsigned_of(signed.raw) == fields
    assert keccak(signed.raw) == signed.hash
    assert Account.recover_transaction(signed.raw) == Account.from_key(SECRET).address
    assert KEY.sign_transaction(fields) == signed


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"\x01\xc0", b"\xc0", b"\x02\xff\xff"])
def test_other_bytes_are_no_transaction(raw: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        unsigned_of(raw)
    assert refusal.value.code == "malformed-transaction"


def test_a_stored_key_opens_with_its_password(stored: Path) -> None:
    assert open_keystore(stored, "open sesame").address == KEY.address
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert json.loads(stored.read_text())["version"] == 3
    assert [file.name for file in stored.parent.iterdir()] == ["wallet.json"]


def test_another_password_is_refused(stored: Path) -> None:
    assert refusal_of(stored, "sesame open") == "wrong-password"


def test_a_changed_password_opens_in_the_place_of_the_old_one(stored: Path) -> None:
    assert change_password(stored, "open sesame", "another").address == KEY.address
    assert open_keystore(stored, "another").address == KEY.address
    assert refusal_of(stored) == "wrong-password"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert [file.name for file in stored.parent.iterdir()] == ["wallet.json"]


def test_a_password_is_changed_by_who_knows_it(stored: Path) -> None:
    before = stored.read_bytes()
    with pytest.raises(Rejected) as refusal:
        change_password(stored, "sesame open", "another")
    assert refusal.value.code == "wrong-password"
    assert stored.read_bytes() == before


def test_a_stored_key_is_never_overwritten(stored: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        create_keystore(stored, "other", sha256(b"other").digest())
    assert refusal.value.code == "keystore-exists"
    assert open_keystore(stored, "open sesame").address == KEY.address


def test_a_file_that_others_can_read_is_refused(stored: Path) -> None:
    stored.chmod(0o644)
    assert refusal_of(stored) == "keystore-exposed"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "none.json") == "keystore-missing"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 4, "crypto": {"mac": "00"}}',
        '{"version": 3, "crypto": 1}',
        '{"version": 3, "crypto": {"mac": "00"}}',
        '{"version": 3, "crypto": {"mac": "00", "kdf": "none"}}',
    ],
)
def test_a_file_that_is_no_keystore_is_refused(stored: Path, content: str) -> None:
    stored.write_text(content)
    assert refusal_of(stored) == "malformed-keystore"


@pytest.mark.parametrize("key", ["mac", "ciphertext", "kdfparams", "cipherparams"])
def test_a_damaged_keystore_is_refused(stored: Path, key: str) -> None:
    content = json.loads(stored.read_text())
    content["crypto"][key] = "zz"
    stored.write_text(json.dumps(content))
    assert refusal_of(stored) == "malformed-keystore"
