import stat
from pathlib import Path

from node.operator_key import KEYSTORE, PASSWORD, operator_key


def test_the_key_is_made_once_and_for_its_owners_eyes_alone(tmp_path: Path) -> None:
    key = operator_key(tmp_path)
    assert operator_key(tmp_path).address == key.address
    for name in (KEYSTORE, PASSWORD):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_crash_before_the_password_was_whole_leaves_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / f".{PASSWORD}.partial").write_text("half")
    operator_key(tmp_path)
    assert len((tmp_path / PASSWORD).read_text()) > 30
