from pathlib import Path

import pytest

from ledger.chain.external_signer import ExternalAccount
from ledger.market.errors import Rejected
from ledger.market.identity import Address
from node.cli.home import asked_password, external

URL, ACCOUNT = "http://127.0.0.1:9000", "0x" + "11" * 20


def test_a_signer_and_its_account_are_named_together() -> None:
    assert external(None, None) is None
    assert external(URL, ACCOUNT) == ExternalAccount(url=URL, account=Address(b"\x11" * 20))


@pytest.mark.parametrize(
    ("url", "account", "code"),
    [
        (URL, None, "signer-without-account"),
        (None, ACCOUNT, "signer-without-account"),
        (URL, "me", "malformed-hex"),
    ],
)
def test_one_without_the_other_is_refused(url: str | None, account: str | None, code: str) -> None:
    with pytest.raises(Rejected) as refusal:
        external(url, account)
    assert refusal.value.code == code


def test_a_new_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("another\nrest")
    assert asked_password(tmp_path / "new") == "another"


def test_a_file_without_a_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        asked_password(tmp_path / "none")
    assert refusal.value.code == "password-file"
