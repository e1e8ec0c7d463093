"""`scripts/engine` uses the engine that is there, and touches no other."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.engine import ROOT, engine_url

pytestmark = pytest.mark.docker


def _engine(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv: list[str | Path] = [ROOT / "scripts" / "engine", *map(str, arguments)]
    return subprocess.run(argv, check=False, capture_output=True, text=True, env=os.environ | environment)


def test_an_engine_that_answers_is_used(tmp_path: Path) -> None:
    for command in ("start", "url"):
        done = _engine(command, tmp_path / "state", DOCKER_HOST=engine_url())
        assert (done.returncode, done.stdout.strip()) == (0, engine_url())
    assert not (tmp_path / "state").exists()


def test_stopping_what_was_not_started_stops_nothing(tmp_path: Path) -> None:
    done = _engine("stop", tmp_path / "state", DOCKER_HOST=engine_url())
    assert done.returncode == 0
    assert "no engine of ours" in done.stderr
    assert _engine("url", DOCKER_HOST=engine_url()).stdout.strip() == engine_url()


def test_an_unknown_command_shows_the_usage() -> None:
    done = _engine("restart")
    assert done.returncode == 2
    assert "scripts/engine start" in done.stderr
