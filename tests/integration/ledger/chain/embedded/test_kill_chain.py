"""The short form of `scripts/kill_chain`: what a killed chain had acknowledged is there."""

from pathlib import Path

import pytest

from scripts.killing.trial import KEPT_STATES, Lost, check, kill_repeatedly


def test_killed_under_load_it_keeps_every_acknowledged_block(tmp_path: Path) -> None:
    trials = kill_repeatedly(tmp_path, times=4, seed=5)
    assert [trial.acknowledged for trial in trials] == sorted({trial.acknowledged for trial in trials})
    assert all(trial.transactions >= trial.acknowledged for trial in trials)
    assert trials[-1].oldest_state == max(0, trials[-1].head - KEPT_STATES)
    notes = (tmp_path / "notes").read_text(encoding="ascii")
    transaction, _, number = notes.splitlines()[0].split()
    with pytest.raises(Lost, match="is gone"):
        check(tmp_path / "chain", f"{notes}{transaction} 0x{'00' * 32} {number}\n")
