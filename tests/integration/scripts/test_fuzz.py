"""The fuzzing as it is called: figures in a file, and a failing sequence where something broke."""

import json
import subprocess
import sys
from pathlib import Path

from hypothesis.stateful import invariant

from scripts.fuzzing.rounds import play
from scripts.fuzzing.worker import Share, Worker
from tests.fakes.recording import Recording
from tests.machines.test_market_machine import MarketMachine

ROOT = Path(__file__).resolve().parent.parent.parent.parent


class OnceOpened(MarketMachine):
    """A machine with a law that does not hold: no lease is ever open."""

    @invariant()
    def nothing_is_open(self) -> None:
        assert not self.twin.model.state.leases


def test_a_short_run_ends_well_and_writes_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.fuzzing", "--steps", "20", "--jobs", "1", "--seed", "3"]
    command += ["--json", "figures.json", "--called-from", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert told["steps"] >= 20
    assert told["anvil_steps"] == told["steps"]
    assert told["violations"] == []
    assert "0 violations" in done.stdout


def test_what_breaks_a_law_is_told_with_the_calls_that_led_to_it(tmp_path: Path) -> None:
    ended: list[Recording] = []
    found = play(1, 5, lambda recording, _: ended.append(recording), 5, OnceOpened)
    assert found
    assert "nothing_is_open" in found.cause
    assert "open_the_first_leases" in found.cause
    assert any(call.function == "matchBids" for call in found.recording.calls)
    share = Share(seed=1, stride=1, steps=1, anvil=False, folder=tmp_path / "found")
    Worker(share).tell(found)
    assert (tmp_path / "found" / "1-0.txt").read_text("utf-8") == found.cause
    assert Recording.read(tmp_path / "found" / "1-0.jsonl").calls == found.recording.calls
