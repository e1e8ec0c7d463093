"""The fuzzing's command line: what it is asked, and what it adds up."""

from pathlib import Path

import pytest

from scripts.fuzzing.__main__ import Report, arguments


def test_a_seed_is_drawn_where_none_is_given() -> None:
    assert arguments(["--steps", "5"]).seed != arguments(["--steps", "5"]).seed
    assert arguments(["--steps", "5", "--seed", "7"]).seed == 7


def test_files_are_meant_from_where_it_was_called(tmp_path: Path) -> None:
    asked = arguments(["--steps", "5", "--violations", "found", "--called-from", str(tmp_path)])
    assert asked.violations == tmp_path / "found"


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--steps", "0"],
        ["--steps", "many"],
        ["--steps", "1", "--jobs", "0"],
        ["--steps", "1", "--evm", "x"],
    ],
)
def test_wrong_arguments_end_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(wrong)
    assert ended.value.code == 2


def test_a_report_adds_up_what_workers_say() -> None:
    report = Report(seed=1, evm="both", seconds=2.0)
    report.add({"runs": 1, "steps": 10, "calls": 30, "happened": {"LeaseOpened": 2}})
    report.add({"runs": 1, "steps": 10, "calls": 20, "anvil_steps": 10, "happened": {"LeaseOpened": 1}})
    report.add({"violation": "found/1-0.txt", "seed": 1})
    told = report.to_plain()
    assert (told["steps"], told["calls"], told["anvil_steps"]) == (20, 50, 10)
    assert told["steps_per_second"] == 10.0
    assert told["violations"] == ["found/1-0.txt"]
    assert told["happened"] == {"LeaseOpened": 3}
    assert "1 violations" in report.line()
