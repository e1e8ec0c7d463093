"""`bingwang explain` where something is missing: one cause, one remedy, no traceback."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli.main import run
from tests.fakes.joined_home import join

JOB = "image: x\ncommand: [y]\nmax_price: 1/h\nmax_duration: 1h\n"


def explained(home: Path, target: str) -> tuple[int, str]:
    with CliRunner().isolation(env={"BINGWANG_HOME": str(home)}) as (out, _, _):
        code = run(["explain", target, "--json"])
        return code, str(json.loads(out.getvalue().decode())["code"])


def test_without_a_node_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert explained(tmp_path, "job.yaml") == (3, "no-profile")


@pytest.mark.parametrize(
    ("target", "code", "kind"),
    [
        ("absent.yaml", 3, "file-not-found"),
        ("0x" + "00" * 32, 4, "node-unreachable"),
        ("0x1234", 3, "no-wallet"),
    ],
)
def test_what_cannot_be_found_is_named(target: str, code: int, kind: str, tmp_path: Path) -> None:
    join(tmp_path)
    assert explained(tmp_path, target) == (code, kind)


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [(JOB, 4, "node-unreachable"), (JOB + "gpus: 1\n", 3, "unknown-key"), ("", 3, "malformed-yaml")],
)
def test_a_job_file_is_read_before_the_node_is_asked(text: str, code: int, kind: str, tmp_path: Path) -> None:
    join(tmp_path)
    file = tmp_path / "job.yaml"
    file.write_text(text)
    assert explained(tmp_path, str(file)) == (code, kind)
