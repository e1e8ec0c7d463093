"""The scanner at the end of each run finds what it must find, and lets key files be key files.

What is planted here lies outside pytest's own folder, or the run that tests the scanner would fail by it.
"""

import base64
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.keys import create_keystore
from tests.secret_scan import Secrets, gather, scan

ROOT = Path(__file__).parents[2]
SECRET = sha256(b"planted").digest()
PASSWORD = base64.urlsafe_b64encode(sha256(b"password").digest()).decode().rstrip("=")
WRITTEN = (
    SECRET,
    SECRET.hex().encode(),
    SECRET.hex().upper().encode(),
    base64.b64encode(SECRET),
    base64.urlsafe_b64encode(b"x" + SECRET + b"yz"),
    base64.b64encode(b"xy" + SECRET),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def private(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)


@given(
    form=st.sampled_from(WRITTEN),
    before=st.binary(max_size=70),
    after=st.binary(max_size=70),
)
def test_a_secret_is_found_in_whatever_surrounds_it(form: bytes, before: bytes, after: bytes) -> None:
    secrets = Secrets()
    secrets.add("the key", SECRET)
    assert secrets.found_in(before + form + after) == {"the key"}


@given(st.binary(max_size=400))
def test_nothing_is_found_where_nothing_is(data: bytes) -> None:
    secrets = Secrets()
    secrets.add("the key", SECRET)
    assert secrets.found_in(data + SECRET[:-1]) == Secrets().found_in(data) == set()


def test_a_made_up_key_of_one_byte_is_not_searched_for() -> None:
    secrets = Secrets()
    secrets.add("a test's", b"\x01" * 32)
    assert secrets.found_in(b"\x01" * 99) == set()


def test_a_key_file_of_its_owners_is_none_of_the_findings(folder: Path) -> None:
    private(folder / "faucet.key", SECRET.hex())
    assert scan(folder, gather(folder)) == []


def test_a_key_file_that_others_can_read_is_one(folder: Path) -> None:
    private(folder / "faucet.key", SECRET.hex())
    (folder / "faucet.key").chmod(0o644)
    assert [finding.where for finding in scan(folder, gather(folder))] == [str(folder / "faucet.key")]


@pytest.mark.parametrize("form", WRITTEN, ids=range(len(WRITTEN)))
def test_a_key_of_a_keystore_is_found_in_a_log(folder: Path, form: bytes) -> None:
    create_keystore(folder / "keys" / "node-key.json", PASSWORD, SECRET)
    private(folder / "keys" / "node-key.password", PASSWORD)
    (folder / "node.log").write_bytes(b"12:00 signing with " + form + b"\n")
    (finding,) = scan(folder, gather(folder))
    assert finding.where == str(folder / "node.log")
    assert SECRET.hex() not in str(finding)


def test_a_password_is_found_in_a_database(folder: Path) -> None:
    private(folder / "node-key.password", PASSWORD)
    (folder / "books.sqlite3").write_bytes(bytes(5_000) + PASSWORD.encode() + bytes(9))
    assert [finding.where for finding in scan(folder, gather(folder))] == [str(folder / "books.sqlite3")]


PLANTING = """
def test_that_plants(tmp_path):
    (tmp_path / "one.key").write_text("{secret}")
    (tmp_path / "one.key").chmod(0o600)
    {leak}
"""


@pytest.mark.parametrize(
    ("leak", "status"),
    [
        ("(tmp_path / 'node.log').write_text('key {secret}')", 1),
        ("print('key {secret}')", 1),
        ("(tmp_path / 'node.log').write_text('no key')", 0),
    ],
    ids=["in-a-file", "printed", "nowhere"],
)
def test_a_run_that_leaks_a_secret_fails(folder: Path, leak: str, status: int) -> None:
    test = folder / "test_planting.py"
    test.write_text(PLANTING.format(secret=SECRET.hex(), leak=leak.format(secret=SECRET.hex())))
    plugin = folder / "planted.py"
    plugin.write_text(
        "from tests.secret_scan import SecretScan\n"
        "def pytest_configure(config):\n"
        "    config.pluginmanager.register(SecretScan(config))\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "planted", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [
            *command,
            f"--basetemp={folder / 'temporary'}",
            "-c",
            "/dev/null",
            "--rootdir",
            str(folder),
            str(test),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("secrets were written" in done.stdout) == bool(status)
    assert SECRET.hex() not in done.stdout
