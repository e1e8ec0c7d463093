"""The command prints one line of figures, or one line that says what is wrong."""

import json
from pathlib import Path

import pytest

from matcher.replay.command import main
from tests.fakes.hash_seeds import printed_by_two


@pytest.fixture
def trace(tmp_path: Path) -> list[str]:
    """A cluster of ours, with tasks of every kind."""
    kinds = ("64000,262144,2,P100", "96000,393216,8,G2", "104000,524288,2,T4", "16000,122880,2,P100")
    machines = "".join(f"m{number},{kinds[number % 4]}\n" for number in range(60))
    shapes = """12000,16384,1,1000,
3152,5000,1,810,
8000,1000,1,470,T4|G2
32000,9000,0,0,
4000,8000,1,320,
16000,64000,2,1000,
4000,100,1,160,P100
6000,9000,1,230,""".splitlines()
    tasks = "".join(f"t{number},{shapes[number * 5 % 8]}\n" for number in range(90))
    (tmp_path / "n.csv").write_text(f"sn,cpu_milli,memory_mib,gpu,model\n{machines}", encoding="utf-8")
    header = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
    (tmp_path / "t.csv").write_text(f"{header}{tasks}", encoding="utf-8")
    return ["--nodes", str(tmp_path / "n.csv"), "--tasks", str(tmp_path / "t.csv")]


def decided(line: str) -> dict[str, object]:
    """The figures that no clock decides."""
    told: dict[str, object] = json.loads(line)
    return {name: told[name] for name in ("allocated_percent", "dropped")}


def test_one_line_of_json_has_the_figures(trace: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*trace, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["allocated_percent", "dropped", "placements_per_second", "p50_us", "p99_us"]
    assert list(told["allocated_percent"]) == ["100", "130"]
    assert 80 < told["allocated_percent"]["100"] <= 100
    assert told["placements_per_second"] > 0


def test_a_load_that_is_never_reached_is_null(trace: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*trace, "--load", "1.0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["allocated_percent"]["130"] is None


def test_all_policies_stand_in_one_table(trace: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*trace, "--policy", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["policy", "ours", "fgd", "bestfit", "random"]


def test_all_policies_stand_in_one_line_of_json(trace: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*trace, "--policy", "all", "--demand", "online", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["policies"]) == ["ours", "fgd", "bestfit", "random"]


def test_an_order_from_a_file_is_the_order(
    trace: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "order.txt").write_text("1 " * 120, encoding="utf-8")
    assert main([*trace, "--order", str(tmp_path / "order.txt"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["allocated_percent"] == {"100": 100.0, "130": None}
    assert told["dropped"] == 15


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--load", "none"], "load-out-of-range"),
        (["--seed", "-1"], "seed-out-of-range"),
        (["--nodes", "/nowhere.csv"], "file-unreadable"),
        (["--order", "/nowhere.txt"], "file-unreadable"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    trace: list[str], words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*trace, *words, "--json"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{code}: ")
    assert said.err.count("\n") == 1


def test_a_trace_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "1"]) == 3
    assert "trace-missing" in capsys.readouterr().err


def test_an_epoch_is_cleared_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--epoch", str(tmp_path / "none.json"), "--json"]) == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("policy", ["ours", "random"])
def test_hash_seeds_change_nothing(trace: list[str], policy: str) -> None:
    first, second = printed_by_two("-m", "matcher.replay", *trace, "--policy", policy, "--json")
    assert decided(first) == decided(second)
