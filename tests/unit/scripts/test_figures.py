"""A measurement says whether its goals hold: in lines for people, in a document, and as its exit status."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.figures import Figure, at_least, at_most, command_line, percentile, report

KEPT = [at_least("speed", 1_234.5, "bids/s", 1_000), at_most("size", 7, "MiB", None)]
MISSED = at_most("time", 51, "ms", 50)


def test_goals_that_hold_end_well_and_a_missed_one_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KEPT, None, decimals=1) == 0
    assert report([*KEPT, MISSED], None) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["speed", "1,234.5", "bids/s", "goal", "1,000.0", "✓"]
    assert lines[1] == ["size", "7.0", "MiB"]
    assert lines[-1] == ["time", "51.00", "ms", "goal", "50.00", "✗"]


def test_a_figure_is_shown_before_the_next_one_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    def measured() -> Iterator[Figure]:
        yield KEPT[0]
        assert "speed" in capsys.readouterr().out
        yield KEPT[1]

    assert report(measured(), None) == 0


def test_the_document_has_the_figures_and_what_they_are_made_of(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert report(iter([MISSED]), file, offers=3) == 1
    expected = {"name": "time", "value": 51, "unit": "ms", "goal": 50, "holds": False}
    assert json.loads(file.read_text(encoding="utf-8")) == {"figures": [expected], "offers": 3}


def test_every_measurement_takes_the_file_of_its_document() -> None:
    assert command_line("Measures.").parse_args(["--json", "out.json"]).json == Path("out.json")
    assert command_line("Measures.").parse_args([]).json is None


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 3), (99, 4), (100, 4)])
def test_a_percentile_is_one_of_the_values(percent: int, value: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == value
