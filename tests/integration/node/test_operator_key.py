import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.chain.external_signer import ExternalAccount, ExternalSigner
from ledger.chain.keys import LocalKey
from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address
from node.operator_key import KEYSTORE, PASSWORD, check_present, operator_keys, rotate
from tests.fakes.web3signer import web3signer

ROOT = Path(__file__).parents[3]
SECRET = sha256(b"held elsewhere").digest()
ELSEWHERE = LocalKey(SECRET).address


def test_the_key_is_made_once_and_for_its_owners_eyes_alone(tmp_path: Path) -> None:
    keys = operator_keys(tmp_path)
    assert operator_keys(tmp_path).addresses == keys.addresses == (keys.current.address,)
    for name in (KEYSTORE, PASSWORD):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_crash_before_the_password_was_whole_leaves_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / f".{PASSWORD}.1.partial").write_text("half")
    operator_keys(tmp_path)
    assert len((tmp_path / PASSWORD).read_text()) > 30


def test_a_rotated_key_stays_beside_the_new_one(tmp_path: Path) -> None:
    old = operator_keys(tmp_path).current.address
    first, second = rotate(tmp_path), rotate(tmp_path)
    assert (first.former, second.former) == (old, first.current)
    keys = operator_keys(tmp_path)
    assert keys.current.address == second.current
    assert set(keys.addresses) == {old, first.current, second.current}


def test_a_key_is_rotated_only_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        check_present(tmp_path)
    assert refusal.value.code == "no-node-key"
    operator_keys(tmp_path)
    check_present(tmp_path)


def test_with_an_external_signer_no_key_is_made(tmp_path: Path) -> None:
    with web3signer(SECRET) as served:
        keys = operator_keys(tmp_path, ExternalAccount(url=served.url, account=ELSEWHERE))
        again = operator_keys(tmp_path)
    assert isinstance(keys.current, ExternalSigner)
    assert keys.addresses == again.addresses == (ELSEWHERE,)
    assert not (tmp_path / PASSWORD).exists()


def test_an_external_signer_succeeds_a_key_of_the_folder_once(tmp_path: Path) -> None:
    old = operator_keys(tmp_path).current.address
    with web3signer(SECRET) as served:
        external = ExternalAccount(url=served.url, account=ELSEWHERE)
        assert operator_keys(tmp_path, external).addresses == (ELSEWHERE, old)
        assert operator_keys(tmp_path, external).addresses == (ELSEWHERE, old)


def test_a_signer_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    old = operator_keys(tmp_path).current.address
    with pytest.raises(Unavailable):
        operator_keys(tmp_path, ExternalAccount(url="http://127.0.0.1:1", account=Address(b"\x11" * 20)))
    assert operator_keys(tmp_path).addresses == (old,)


def test_a_rotation_killed_before_any_of_its_steps_loses_no_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fakes.killed_rotation", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
