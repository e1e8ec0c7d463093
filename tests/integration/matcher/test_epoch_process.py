"""An epoch is cleared alike by every process, whatever its hashes are seeded with."""

import json
from pathlib import Path
from typing import Any

from scripts.welfare.epochs import epoch
from tests.fakes.hash_seeds import printed_by_two


def told(line: str) -> dict[str, Any]:
    """The answer but for what the clock decides."""
    answer: dict[str, Any] = json.loads(line)
    del answer["milliseconds"]
    return answer


def test_two_processes_with_other_hash_seeds_clear_a_large_epoch_alike(tmp_path: Path) -> None:
    path = tmp_path / "epoch.json"
    path.write_text(json.dumps(epoch(11, 60, 140)), encoding="utf-8")
    first, second = printed_by_two("-m", "matcher.replay", "--epoch", str(path), "--json")
    assert told(first) == told(second)
