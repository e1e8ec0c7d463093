"""Whatever goes wrong leaves one cause, one remedy and its exit code; never a traceback."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.market.identity import Address, LeaseId
from ledger.market.usage_plain import SettledLine, settled_line_to_plain
from ledger.market.usage_tree import UsageLine, UsageProof
from node.cli.failures import show, unforeseen, wants_json
from node.cli.main import run
from tests.fakes.joined_home import NOWHERE, join


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    code: int
    out: str
    err: str


def bingwang(home: Path, arguments: Sequence[str], password: str | None = "secret") -> Outcome:
    """One command in a home of its own; the environment is given, not patched."""
    env = {"BINGWANG_HOME": str(home), "BINGWANG_PASSWORD": password, "COLUMNS": "200"}
    with CliRunner().isolation(env=env) as (out, err, _):
        code = run(arguments)
        return Outcome(code=code, out=out.getvalue().decode(), err=err.getvalue().decode())


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["submit"], 2, "usage"),
        (["nonsense"], 2, "usage"),
        (["jobs", "--frobnicate"], 2, "usage"),
        (["search"], 3, "no-profile"),
        (["join", "ftp://x"], 3, "malformed-url"),
        (["join", NOWHERE], 4, "node-unreachable"),
        (["wallet", "create", "../x"], 3, "malformed-wallet-name"),
        (["audit", "--rpc", NOWHERE, "--market", "0x12"], 3, "malformed-hex"),
        (["usage", "verify", "absent.json", "--rpc", NOWHERE], 3, "proof-unreadable"),
        (["usage", "prove", "0x" + "00" * 32, "--line", "0"], 3, "no-profile"),
        (["audit", "--rpc", NOWHERE, "--market", "0x" + "11" * 20], 4, "rpc-unreachable"),
    ],
)
def test_a_stranger_without_anything_gets_a_typed_error(
    arguments: list[str], code: int, kind: str, tmp_path: Path
) -> None:
    outcome = bingwang(tmp_path, [*arguments, "--json"])
    problem = json.loads(outcome.out)
    assert (outcome.code, problem["code"], problem["exit_code"]) == (code, kind, code)
    assert problem["cause"]
    assert problem["remedy"]
    spoken = bingwang(tmp_path, arguments)
    assert (spoken.code, spoken.out) == (code, "")
    assert f"[{kind}]" in spoken.err
    assert "Traceback" not in spoken.err


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["search"], 4, "node-unreachable"),
        (["jobs"], 3, "no-wallet"),
        (["jobs", "--wallet", "buyer"], 4, "node-unreachable"),
        (["wallet", "show", "buyer"], 4, "rpc-unreachable"),
        (["wallet", "deposit", "0.0000001", "--wallet", "buyer"], 3, "too-precise"),
        (["submit", "absent.yaml", "--wallet", "buyer"], 3, "file-not-found"),
        (["status", "0xzz", "--wallet", "buyer"], 4, "node-unreachable"),
        (["image", "push", "absent.tar", "--wallet", "buyer"], 3, "image-not-found"),
        (["image", "push", "x", "--wallet", "buyer", "--engine", "unix:///no.sock"], 4, "engine-unreachable"),
        (["wallet", "create", "buyer"], 3, "keystore-exists"),
        (["usage", "lines", "0x" + "00" * 32, "--wallet", "buyer"], 4, "node-unreachable"),
    ],
)
def test_a_part_that_is_down_is_named(arguments: list[str], code: int, kind: str, tmp_path: Path) -> None:
    join(tmp_path)
    assert bingwang(tmp_path, ["wallet", "create", "buyer"]).code == 0
    outcome = bingwang(tmp_path, [*arguments, "--json"])
    assert (outcome.code, json.loads(outcome.out)["code"]) == (code, kind)


LINE = UsageLine(lease=LeaseId(b"\7" * 32), sequence=0, milliseconds=1, cpu_ns=0, peak_bytes=0, last=True)
PROOF = SettledLine(
    chain_id=7,
    market=Address(b"\1" * 20),
    proof=UsageProof(line=LINE, lines=1, path=()),
    transaction=bytes(32),
)


@pytest.mark.parametrize(
    ("written", "arguments", "code", "kind"),
    [
        ("not json", [], 3, "proof-unreadable"),
        ("{}", [], 3, "missing-key"),
        (json.dumps(settled_line_to_plain(PROOF)), ["--market", "0x" + "22" * 20], 3, "other-market"),
        (json.dumps(settled_line_to_plain(PROOF)), ["--market", "0x" + "01" * 20], 4, "rpc-unreachable"),
    ],
)
def test_a_proof_is_checked_without_a_node_or_a_wallet(
    written: str, arguments: list[str], code: int, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "proof.json"
    file.write_text(written)
    outcome = bingwang(tmp_path, ["usage", "verify", str(file), "--rpc", NOWHERE, "--json", *arguments])
    assert (outcome.code, json.loads(outcome.out)["code"]) == (code, kind)


def test_a_wallet_is_made_once_and_says_its_address(tmp_path: Path) -> None:
    outcome = bingwang(tmp_path, ["wallet", "create", "me", "--json"])
    made = json.loads(outcome.out)
    assert outcome.code == 0
    assert len(made["address"]) == 42
    assert Path(made["keystore"]).stat().st_mode & 0o077 == 0


def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    join(tmp_path)
    assert bingwang(tmp_path, ["wallet", "create"]).code == 0
    outcome = bingwang(tmp_path, ["fetch", "0x" + "00" * 32, "out", "--json"], password="other")
    assert (outcome.code, json.loads(outcome.out)["code"]) == (3, "wrong-password")


def test_without_a_terminal_a_password_is_asked_of_nobody(tmp_path: Path) -> None:
    outcome = bingwang(tmp_path, ["wallet", "create", "--json"], password=None)
    assert (outcome.code, json.loads(outcome.out)["code"]) == (3, "no-password")


def test_json_behind_the_double_dash_belongs_to_the_job() -> None:
    assert wants_json(["run", "image", "--json", "--", "ls"])
    assert not wants_json(["run", "image", "--", "tool", "--json"])


def test_help_is_no_failure(tmp_path: Path) -> None:
    outcome = bingwang(tmp_path, ["submit", "--help"])
    assert outcome.code == 0
    assert "--dry-run" in outcome.out


def test_a_defect_is_told_as_one_and_stops(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(unforeseen(ZeroDivisionError("division by zero")), as_json=True) == 5
    assert json.loads(capsys.readouterr().out)["code"] == "internal-error"
