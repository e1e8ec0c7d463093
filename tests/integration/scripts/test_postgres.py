"""The tests' own PostgreSQL: started once, and gone with all that it kept."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.books_url import tamper

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The scripts of a clone of their own, whose server is therefore another."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "scripts" / "postgres"


def run(script: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([script, *arguments], check=False, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout.strip()


def test_a_server_is_started_once_and_removed_with_its_data(clone: Path) -> None:
    assert run(clone, "url") == (4, "")
    code, url = run(clone, "start")
    try:
        assert (code, run(clone, "start"), run(clone, "url")) == (0, (0, url), (0, url))
        tamper(url, "CREATE TABLE kept (id integer)")
    finally:
        assert run(clone, "stop") == (0, "")
    assert run(clone, "url") == (4, "")
    assert not Path(url.partition("host=")[2]).exists()


def test_an_unknown_command_is_refused_with_how_to_use_it(clone: Path) -> None:
    assert run(clone, "restart")[0] == 2
