"""An epoch is cleared alike by every process, whatever its hashes are seeded with."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.welfare.epochs import epoch


def cleared(path: Path, seed: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "matcher.replay", "--epoch", str(path), "--json"],
        env=os.environ | {"PYTHONHASHSEED": seed},
        check=True,
        capture_output=True,
        text=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    del answer["milliseconds"]
    return answer


def test_two_processes_with_other_hash_seeds_clear_a_large_epoch_alike(tmp_path: Path) -> None:
    path = tmp_path / "epoch.json"
    path.write_text(json.dumps(epoch(11, 60, 140)), encoding="utf-8")
    assert cleared(path, "1") == cleared(path, "2")
