"""The soak of the books as it is called, short; and that it would see a difference."""

import json
import subprocess
import sys
from pathlib import Path

from ledger.books import money_rules
from ledger.books.books import open_books
from ledger.books.compare import compare
from scripts.soaking.market import DEPTH, RandomMarket
from scripts.soaking.soak import Soak
from tests.books_url import tamper

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def test_a_short_run_agrees_and_writes_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.soaking", "--events", "2000", "--seed", "1"]
    command += ["--json", "figures.json", "--called-from", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert told["happened"]["events"] >= 2_000
    for trouble in ("reorganisations", "crashes", "duplicates", "openings", "branches that came back"):
        assert told["happened"][trouble] > 0, trouble
    for kind in ("UsageSettled", "ClaimDecided", "StakeBurned", "Unstaked", "Withdrawn", "LeaseClosed"):
        assert told["event_kinds"][kind] > 0, kind
    assert all(figure["holds"] for figure in told["figures"])


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.soaking", "--events", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_row_that_somebody_changed_afterwards_is_a_difference(tmp_path: Path) -> None:
    url = str(tmp_path / "books.db")
    soak = Soak(url, seed=3)
    assert soak.run(100, lambda done: None).differences == []
    for statement in money_rules.lifted("sqlite"):
        tamper(url, statement)
    assert tamper(url, "UPDATE transfers SET low = low + 1 WHERE id = 1") == 1
    with open_books(url) as books:
        found = compare(books, soak.chain_state())
    assert [(one.table, one.row, one.field) for one in found] == [("transfers", "1", "low")]


def test_a_market_that_was_taken_back_goes_on_as_another_branch() -> None:
    market = RandomMarket(seed=1)
    blocks = [market.seal(3) for _ in range(DEPTH + 10)]
    assert market.reach == DEPTH
    rewound, vanished = market.rewind(DEPTH)
    assert rewound.to == blocks[9].block == market.head
    assert vanished == blocks[10:]
    other = market.seal(3)
    assert other.block.parent == blocks[9].block.hash
    assert other.block.hash != blocks[10].block.hash
