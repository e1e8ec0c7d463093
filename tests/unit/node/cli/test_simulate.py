"""A market on files: what it prints, and that a faulty entry is named with its file and line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from node.cli.main import run

MARKETS = Path(__file__).parent / "markets"
OFFERS, BIDS = MARKETS / "offers.yaml", MARKETS / "bids.yaml"


def bingwang(home: Path, arguments: Sequence[str], columns: int = 80) -> tuple[int, str, str]:
    env = {"BINGWANG_HOME": str(home), "COLUMNS": str(columns)}
    with CliRunner().isolation(env=env) as (out, err, _):
        code = run(arguments)
        return code, out.getvalue().decode(), err.getvalue().decode()


def simulated(home: Path, bids: Path, *more: str, offers: Path = OFFERS) -> dict[str, Any]:
    arguments = ["simulate", "--offers", str(offers), "--bids", str(bids), "--json", *more]
    _, out, _ = bingwang(home, arguments)
    plain: dict[str, Any] = json.loads(out)
    return plain


def test_a_market_on_files_says_who_was_served_and_who_was_not(tmp_path: Path) -> None:
    told = simulated(tmp_path, BIDS)
    assert told["orders"] == {"served": 4, "asked": 5, "per_mille": 800}
    assert [one["bid"] for one in told["served"]] == ["train", "train", "web", "late"]
    assert told["prices"].keys() == {"cpu", "NVIDIA A100"}
    (left,) = told["left_out"]
    assert left["bid"] == "cheap"
    assert left["obstacles"]["price"] == 2
    assert simulated(tmp_path, BIDS) == told


@pytest.mark.parametrize("bids", ["bids.csv", "bids.json"])
def test_bids_may_come_as_csv_or_json(bids: str, tmp_path: Path) -> None:
    told = simulated(tmp_path, MARKETS / bids)
    assert told["orders"]["per_mille"] == 1_000


def test_a_person_reads_it_on_one_screen(tmp_path: Path) -> None:
    code, out, _ = bingwang(tmp_path, ["simulate", "--offers", str(OFFERS), "--bids", str(BIDS)])
    assert code == 0
    assert "4 of 5 (80.0 %)" in out
    assert "NVIDIA A100" in out
    assert "Left out: 1" in out


def test_a_lease_locks_stake_where_the_market_asks_for_it(tmp_path: Path) -> None:
    none = simulated(tmp_path, BIDS, "--stake-bps", "1000")
    assert none["orders"]["served"] == 0
    assert none["left_out_by"]["stake"] == 5
    staked = tmp_path / "offers.yaml"
    staked.write_text(OFFERS.read_text().replace("- name:", "- stake: 1000\n  name:"))
    assert simulated(tmp_path, BIDS, "--stake-bps", "1000", offers=staked)["orders"]["served"] == 4


FAULTS = [
    ("- max_price: 1/h\n", "bids.yaml", "missing-key", 1),
    ("- max_price: 1/h\n  max_duration: 1h\n  rescources: {}\n", "bids.yaml", "unknown-key", 3),
    ("- max_price: 1\n  max_duration: 1h\n", "bids.yaml", "malformed-price", 1),
    ("- {max_price: 1/h, max_duration: 1h, at: soon}\n", "bids.yaml", "malformed-time", 1),
    ("- {max_price: 1/h, max_duration: 1h, count: 0}\n", "bids.yaml", "count-out-of-range", 1),
    ("- &a {max_price: 1/h, max_duration: *a}\n", "bids.yaml", "wrong-type", 1),
    ("- just text\n", "bids.yaml", "malformed-file", 1),
    ("bids: 1\n", "bids.yaml", "malformed-file", 1),
    ("- {a: [}\n", "bids.yaml", "malformed-file", 1),
    ("max_price,max_duration\n1/h,1h\n2,1h\n", "bids.csv", "malformed-price", 3),
    ("max_price,max_duration,resources.cpu\n1/h,1h,1\n", "bids.csv", "unknown-key", 2),
    ("max_price,max_duration\n1/h,1h,1\n", "bids.csv", "malformed-file", 2),
    ('max_price,max_duration\n"1/h,1h\n', "bids.csv", "malformed-file", 2),
]


@pytest.mark.parametrize(("text", "name", "code", "line"), FAULTS, ids=[f"{f[1]} {f[2]}" for f in FAULTS])
def test_a_faulty_entry_is_named(text: str, name: str, code: str, line: int, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    told = simulated(tmp_path, file)
    assert (told["code"], told["line"]) == (code, line)
    assert told["file"] == str(file)
    assert str(file) in told["cause"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- {name: x}\n", "missing-key"),
        ("- {resources: {cpus: 1, memory: 1GiB}, domain: Nowhere}\n", "malformed-domain"),
        ("- {resources: {cpus: 1, memory: 1GiB}, prices: {core: -1}}\n", "malformed-price"),
        ("- {resources: {cpus: 1, memory: 1GiB}, prices: {cores: 1}}\n", "unknown-key"),
        ("- {resources: {cpus: 1, memory: 1GiB}, region: mars}\n", "unknown-region"),
        ("- {resources: {cpus: 1, memory: 1GiB}, prices: {core: 1e999999999}}\n", "malformed-price"),
        ("- &a {resources: {cpus: 1, memory: 1GiB, accelerators: *a}}\n", "unknown-key"),
        ("- {resources: {cpus: 1, memory: 1GiB}, count: 700000}\n" * 2, "count-out-of-range"),
    ],
)
def test_a_faulty_offer_is_named(text: str, code: str, tmp_path: Path) -> None:
    file = tmp_path / "offers.yaml"
    file.write_text(text)
    told = simulated(tmp_path, BIDS, offers=file)
    assert (told["code"], told["file"]) == (code, str(file))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "no-market"),
        (["--offers", str(OFFERS)], "no-market"),
        (["--offers", str(OFFERS), "--bids", str(BIDS), "--from", "2027-01-31"], "no-market"),
        (["--offers", "absent.yaml", "--bids", str(BIDS)], "file-not-found"),
        (["--offers", str(OFFERS), "--bids", str(BIDS), "--epoch", "0"], "epoch-too-short"),
        (["--offers", str(OFFERS), "--bids", str(BIDS), "--epoch", "ten"], "malformed-time"),
        (["--history", "absent.sqlite3"], "books-not-found"),
        (["--history", "absent.sqlite3", "--from", "yesterday"], "malformed-moment"),
    ],
)
def test_what_is_no_market_is_refused(arguments: list[str], code: str, tmp_path: Path) -> None:
    exit_code, out, _ = bingwang(tmp_path, ["simulate", "--json", *arguments])
    assert (exit_code, json.loads(out)["code"]) == (3, code)
