"""An epoch's file: cleared and judged by its own rules, or refused with what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from matcher.replay.epoch import main
from scripts.welfare.check import welfare_of
from scripts.welfare.epochs import epoch


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("seed", range(6))
def test_the_allocation_keeps_the_epochs_rules_and_is_worth_what_it_says(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = epoch(seed, 12, 30)
    assert main(written(tmp_path / "epoch.json", made), as_json=True) == 0
    line = capsys.readouterr().out
    answer = json.loads(line)
    assert line.count("\n") == 1
    assert list(answer) == ["welfare", "bound", "milliseconds", "allocation"]
    assert welfare_of(made["offers"], made["bids"], answer["allocation"]) == answer["welfare"]
    assert answer["bound"] == answer["welfare"]


def test_people_get_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(written(tmp_path / "epoch.json", epoch(1, 5, 8)), as_json=False) == 0
    assert "optimal" in capsys.readouterr().out


def broken(change: dict[str, Any]) -> dict[str, Any]:
    made = epoch(1, 2, 2)
    return {**made, "bids": [made["bids"][0] | change, made["bids"][1]]}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "not an object"),
        ({"offers": []}, "list of bids"),
        ({"offers": [1], "bids": []}, "one offer is not an object"),
        (broken({"limit": -1}), "limit of bid 0"),
        (broken({"hours": 1.5}), "hours of bid 0"),
        (broken({"cpu": True}), "cpu of bid 0"),
        (broken({"models": "A100"}), "models of bid 0"),
        (broken({"gang": 0}), "no member"),
        (broken({"gang": 10**9}), "gang of bid 0"),
        (broken({"gpu": 1, "milli": 500}), "both whole devices and a share"),
        (broken({"id": 1}), "two bids have one id"),
    ],
)
def test_a_file_that_is_no_epoch_is_refused_by_name(
    document: object, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(written(tmp_path / "epoch.json", document), as_json=True) == 3
    captured = capsys.readouterr()
    assert named in captured.err
    assert captured.out == ""


def test_a_file_that_is_not_there_or_not_json_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path / "none.json", as_json=True) == 3
    (tmp_path / "text.json").write_text("{", encoding="utf-8")
    assert main(tmp_path / "text.json", as_json=True) == 3
    assert "not JSON" in capsys.readouterr().err
