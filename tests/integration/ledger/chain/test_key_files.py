import json
import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.chain import key_files
from ledger.chain.external_signer import ExternalAccount, ExternalSigner
from ledger.chain.key_files import (
    address_in,
    draw_successor,
    former_keys,
    name_successor,
    open_keyring,
    open_signer,
    succeed,
    successor_of,
    write_external,
)
from ledger.chain.keys import LocalKey, create_keystore
from ledger.chain.private_files import keep_beside
from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address
from tests.fakes.web3signer import web3signer

OLD, NEW, NEWER = (sha256(name).digest() for name in (b"first key", b"second key", b"third key"))
NOWHERE = ExternalAccount(url="http://127.0.0.1:1", account=Address(b"\x11" * 20))


def password() -> str:
    return "open sesame"


def never() -> str:
    raise AssertionError("no password is needed")


def address_of(secret: bytes) -> Address:
    return LocalKey(secret).address


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "node-key.json"
    create_keystore(path, password(), OLD)
    return path


def test_a_key_in_a_keystore_opens(keystore: Path) -> None:
    assert open_signer(keystore, password).address == address_in(keystore) == address_of(OLD)


def test_an_account_of_a_signer_opens_without_a_password(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    with web3signer(OLD) as served:
        write_external(path, ExternalAccount(url=served.url, account=address_of(OLD))).close()
    opened = open_signer(path, never)
    assert isinstance(opened, ExternalSigner)
    assert opened.address == address_in(path) == address_of(OLD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    opened.close()


def test_an_account_that_the_signer_does_not_hold_is_not_written_down(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    with web3signer(OLD) as served, pytest.raises(Rejected) as refusal:
        write_external(path, ExternalAccount(url=served.url, account=address_of(NEW)))
    assert refusal.value.code == "unknown-signer-account"
    assert not path.exists()


def test_nor_one_of_a_signer_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        write_external(tmp_path / "wallet.json", NOWHERE)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{}", '{"signer": "http://127.0.0.1:1"}', '{"address": 1}']
)
def test_a_file_that_names_no_key_is_refused(keystore: Path, content: str) -> None:
    keystore.write_text(content)
    with pytest.raises(Rejected):
        address_in(keystore)
    with pytest.raises(Rejected):
        open_signer(keystore, password)


def test_a_successor_takes_the_place_and_the_old_key_is_kept(keystore: Path) -> None:
    new = draw_successor(keystore, password, NEW)
    assert address_in(keystore) == address_of(OLD)
    kept = succeed(keystore)
    assert open_signer(keystore, password).address == new.address == address_of(NEW)
    assert former_keys(keystore) == [kept]
    assert open_signer(kept, password).address == address_of(OLD)
    assert not successor_of(keystore).exists()


def test_keys_that_were_succeeded_are_all_kept(keystore: Path) -> None:
    for secret in (NEW, NEWER):
        draw_successor(keystore, password, secret)
        succeed(keystore)
    assert {address_in(path) for path in former_keys(keystore)} == {address_of(OLD), address_of(NEW)}


def test_a_key_opens_with_those_that_it_succeeded_for_one_word(keystore: Path) -> None:
    for secret in (NEW, NEWER):
        draw_successor(keystore, password, secret)
        succeed(keystore)
    said = iter([password()])
    keys = open_keyring(keystore, lambda: next(said))
    assert keys.current.address == address_of(NEWER)
    assert {key.address for key in keys.former} == {address_of(OLD), address_of(NEW)}


def test_nor_does_it_open_where_a_former_one_does_not(keystore: Path) -> None:
    draw_successor(keystore, password, NEW)
    kept = succeed(keystore)
    kept.chmod(0o644)
    with pytest.raises(Rejected) as refusal:
        open_keyring(keystore, password)
    assert refusal.value.code == "keystore-exposed"


def test_a_rotation_cut_off_after_the_draw_goes_on_with_the_same_key(keystore: Path) -> None:
    draw_successor(keystore, password, NEW)
    assert draw_successor(keystore, password, NEWER).address == address_of(NEW)


def test_one_cut_off_before_the_last_step_goes_on_too(keystore: Path) -> None:
    draw_successor(keystore, password, NEW)
    kept = keystore.parent / key_files.KEPT / f"node-key-{address_of(OLD).hex()}.json"
    keep_beside(keystore, kept)
    assert former_keys(keystore) == []
    assert open_signer(keystore, password).address == address_of(OLD)
    assert succeed(keystore) == kept
    assert address_in(keystore) == address_of(NEW)


def test_without_a_successor_nothing_changes(keystore: Path) -> None:
    with pytest.raises(FileNotFoundError):
        succeed(keystore)
    assert address_in(keystore) == address_of(OLD)
    assert former_keys(keystore) == []


def test_a_kept_key_is_never_written_over(keystore: Path) -> None:
    kept = keystore.parent / key_files.KEPT / f"node-key-{address_of(OLD).hex()}.json"
    kept.parent.mkdir()
    kept.write_text("somebody's")
    draw_successor(keystore, password, NEW)
    with pytest.raises(Rejected) as refusal:
        succeed(keystore)
    assert refusal.value.code == "keystore-exists"
    assert kept.read_text() == "somebody's"
    assert address_in(keystore) == address_of(OLD)


def test_an_account_of_a_signer_succeeds_a_key(keystore: Path) -> None:
    with web3signer(NEW) as served:
        external = ExternalAccount(url=served.url, account=address_of(NEW))
        name_successor(keystore, external).close()
        name_successor(keystore, external).close()
    succeed(keystore)
    assert address_in(keystore) == address_of(NEW)
    assert json.loads(keystore.read_text())["signer"] == external.url


def test_a_drawn_successor_is_not_dropped_for_one(keystore: Path) -> None:
    draw_successor(keystore, password, NEW)
    with pytest.raises(Rejected) as refusal:
        name_successor(keystore, NOWHERE)
    assert refusal.value.code == "key-succession-begun"
    assert address_in(successor_of(keystore)) == address_of(NEW)


def test_a_key_is_drawn_in_the_place_of_an_account_that_was_only_named(keystore: Path) -> None:
    with web3signer(NEW) as served:
        name_successor(keystore, ExternalAccount(url=served.url, account=address_of(NEW))).close()
    assert draw_successor(keystore, password, NEWER).address == address_of(NEWER)
