"""The demo, checked as a stranger would: from its JSON file alone, with a bare web3 client."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3
from web3.logs import DISCARD

from contracts.loader import artifact
from tests.engine import engine_url, python_image

pytestmark = pytest.mark.docker
NONCE = "stranger-4711"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the demo wrote; its grid keeps running for the questions below."""
    folder = tmp_path_factory.mktemp("demo")
    python_image()
    demo = [sys.executable, "-m", "scripts.demonstration", "--folder", str(folder / "grid")]
    environment = os.environ | {"DOCKER_HOST": engine_url()}
    target = folder / "record.json"
    try:
        done = subprocess.run(
            [*demo, "--keep", "--json", str(target), "--nonce", NONCE],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield json.loads(target.read_text())
    finally:
        subprocess.run([*demo, "--stop"], env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def chain(record: dict[str, Any]) -> Web3:
    return Web3(Web3.HTTPProvider(record["rpc_url"]))


@pytest.fixture(scope="module")
def market(record: dict[str, Any], chain: Web3) -> Any:
    return chain.eth.contract(
        address=Web3.to_checksum_address(record["market"]), abi=artifact("ComputeMarket").abi
    )


def job(record: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in record["jobs"] if one["name"] == name)
    assert isinstance(found, dict)
    return found


def balance(record: dict[str, Any], when: str, party: str) -> int:
    (found,) = (one for one in record["balances"][when] if one["party"] == party)
    return int(found["balance"])


def address_of(record: dict[str, Any], party: str) -> str:
    (found,) = (one for one in record["balances"]["after"] if one["party"] == party)
    return str(found["address"])


def test_the_chain_is_the_one_that_the_file_names(record: dict[str, Any], chain: Web3) -> None:
    assert chain.eth.chain_id == record["chain_id"]


def test_the_cheaper_eligible_provider_got_the_main_job(record: dict[str, Any]) -> None:
    assert job(record, "digits")["provider"] == address_of(record, "harbour")


def test_the_constrained_job_went_to_the_dearer_provider(record: dict[str, Any]) -> None:
    constrained = job(record, "elsewhere")
    assert constrained["provider"] == address_of(record, "summit")
    assert int(constrained["rate"]) > int(job(record, "digits")["rate"])


def test_the_impossible_limit_was_refused_with_a_price_and_moved_nothing(record: dict[str, Any]) -> None:
    refused = job(record, "too-cheap")
    assert refused["code"] == "no-match"
    assert int(refused["would_match_at"]) > 0
    assert refused["lease"] is None
    assert refused["transactions"] == []


def test_the_cancelled_job_paid_only_for_its_time(record: dict[str, Any]) -> None:
    cancelled = job(record, "endless")
    assert cancelled["state"] == "cancelled"
    assert 0 < cancelled["milliseconds"] < 60_000
    assert int(cancelled["paid"]) == int(cancelled["rate"]) * cancelled["milliseconds"] // 3_600_000_000
    assert int(cancelled["refunded"]) > int(cancelled["paid"])


@pytest.mark.parametrize("name", ["digits", "elsewhere", "endless"])
def test_what_was_paid_and_refunded_is_what_the_chain_logged(
    record: dict[str, Any], chain: Web3, market: Any, name: str
) -> None:
    entry = job(record, name)
    opened, settled, closed = [], [], []
    for one in entry["transactions"]:
        receipt = chain.eth.get_transaction_receipt(one["hash"])
        assert (receipt["status"], receipt["gasUsed"]) == (1, one["gas_used"])
        opened += market.events.LeaseOpened().process_receipt(receipt, errors=DISCARD)
        settled += market.events.UsageSettled().process_receipt(receipt, errors=DISCARD)
        closed += market.events.LeaseClosed().process_receipt(receipt, errors=DISCARD)
    (opening,) = (one for one in opened if one["args"]["lease"].hex() == entry["lease"][2:])
    (closing,) = (one for one in closed if one["args"]["lease"].hex() == entry["lease"][2:])
    mine = [one for one in settled if one["args"]["lease"].hex() == entry["lease"][2:]]
    assert opening["args"]["rate"] == int(entry["rate"])
    assert opening["args"]["escrow"] == int(entry["escrow"])
    assert sum(one["args"]["amount"] for one in mine) == int(entry["paid"]) == closing["args"]["paid"]
    assert sum(one["args"]["fee"] for one in mine) == int(entry["fee"]) == int(entry["paid"]) // 100
    assert closing["args"]["refunded"] == int(entry["refunded"])
    assert int(entry["paid"]) + int(entry["refunded"]) == int(entry["escrow"])
    assert market.functions.leaseOf(bytes.fromhex(entry["lease"][2:])).call()[4] == 0


def test_balances_moved_by_exactly_what_the_jobs_paid(record: dict[str, Any], market: Any) -> None:
    got = {"harbour": 0, "summit": 0, "node": 0}
    for name in ("digits", "elsewhere", "endless"):
        entry = job(record, name)
        party = next(who for who in got if address_of(record, who) == entry["provider"])
        got[party] += int(entry["paid"]) - int(entry["fee"])
        got["node"] += int(entry["fee"])
    assert got["node"] > 0
    for party, amount in got.items():
        assert balance(record, "after", party) - balance(record, "before", party) == amount
        account = Web3.to_checksum_address(address_of(record, party))
        assert market.functions.balanceOf(account).call() == balance(record, "after", party)
    spent = balance(record, "before", "buyer") - balance(record, "after", "buyer")
    assert spent == sum(got.values())


def test_every_lock_went_back_to_the_free_stake(record: dict[str, Any], market: Any) -> None:
    for party in ("harbour", "summit"):
        before, after = (
            next(int(one["stake"]) for one in record["balances"][when] if one["party"] == party)
            for when in ("before", "after")
        )
        assert before == after > 0
        assert market.functions.stakeOf(Web3.to_checksum_address(address_of(record, party))).call() == after


def test_the_outputs_are_the_files_that_were_named_and_carry_the_nonce(record: dict[str, Any]) -> None:
    outputs = {one["path"]: one for one in job(record, "digits")["outputs"]}
    assert set(outputs) == {"predictions.csv", "confusion.csv", "metrics.json"}
    for one in outputs.values():
        content = Path(one["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"]
        assert len(content) == one["size"]
    metrics = json.loads(Path(outputs["metrics.json"]["file"]).read_text())
    assert metrics["nonce"] == NONCE
    rows = Path(outputs["predictions.csv"]["file"]).read_text().splitlines()[1:]
    right = sum(row.split(",")[1] == row.split(",")[2] for row in rows)
    assert len(rows) == metrics["tested"]
    assert metrics["accuracy"] == pytest.approx(right / len(rows))
    assert metrics["accuracy"] > 0.9
    confusion = Path(outputs["confusion.csv"]["file"]).read_text().splitlines()
    cells = [[int(cell) for cell in row.split(",")] for row in confusion]
    assert sum(map(sum, cells)) == len(rows)
    assert sum(cells[digit][digit] for digit in range(10)) == right
