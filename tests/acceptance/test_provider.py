"""A provider's side of the protocol on real parts: whose key acts, stake, claims, replicas, over kills."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.market.identity import Address, LeaseId, from_text
from tests.short_grid import CHEAP, DEAR, ShortGrid

pytestmark = pytest.mark.docker
THIRD = CHEAP | {"--name": "third", "--domain": "third-lab/oslo"}
PATIENT = ("--heartbeat-timeout", "20", "--lost-after", "40")
"""an agent that is killed and started again has lost nothing"""
TOKEN = 10**6


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[ShortGrid]:
    running = ShortGrid(folder=tmp_path / "grid", options=PATIENT)
    running.folder.mkdir()
    try:
        running.start_chain()
        running.start_node()
        running.open_wallet()
        yield running
    finally:
        running.clean()


def status(grid: ShortGrid, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((grid.folder / name / "status.json").read_text())
    return found


def test_a_key_that_only_operates_earns_for_its_owner_and_touches_no_money(grid: ShortGrid) -> None:
    grid.open_wallet("owner", deposit="")
    folder = grid.folder / "cheap"
    options = [text for pair in CHEAP.items() for text in pair]
    own = ("--dir", str(folder), "--wallet", "owner")
    made = grid.bingwang("provider", "init", "--cores", "1", *options, *own, "--operator", "--stake", "5")
    grid.providers["cheap"] = made["address"]
    assert made["address"] != made["operator"]
    grid.run_provider("cheap")
    stranger = grid.command("provider", "stake", "5", "--dir", str(folder), "--json")
    assert (stranger.code, stranger.plain["code"]) == (3, "not-the-owner")
    assert grid.bingwang("provider", "stake", "5", *own)["free_stake"] == str(5 * TOKEN)
    grid.await_offers(1)
    ended = grid.await_closed(grid.submit("sleep 1"))
    (lease,) = ended["leases"]
    assert (ended["state"], lease["because"]) == ("succeeded", "last-receipt")
    earned, kept = grid.balances(made["address"], made["operator"])
    assert 0 < earned <= int(lease["paid"])
    assert kept == 0
    grid.bingwang("provider", "unstake", "1", *own)
    paid_out = grid.bingwang("provider", "withdraw", *own)
    assert (paid_out["balance"], paid_out["unstaking"]) == ("0", str(TOKEN))
    early = grid.command("provider", "withdraw", *own, "--json")
    assert (early.code, early.plain["code"]) == (3, "nothing-to-withdraw")


def test_a_silent_node_costs_a_provider_no_more_than_two_intervals_and_no_kill_loses_its_claim(
    grid: ShortGrid,
) -> None:
    grid.start_provider(CHEAP)
    grid.await_offers(1)
    script = "echo kept > out/kept.txt; sleep 600"
    job = grid.submit(script, max_duration="5m", outputs=["kept.txt"])
    shown = grid.await_state(job, "running")
    name, lease = shown["lease"], LeaseId(from_text(shown["lease"], 32))
    grid.until("usage was agreed to", lambda: grid.job(job)["leases"][-1]["receipt"])
    grid.end("node", signal.SIGKILL)
    with grid.chain() as chain:
        grid.until("the claim is open", lambda: chain.claim_of(lease), 120)
        grid.end("cheap", signal.SIGKILL)
        grid.run_provider("cheap")
        grid.until("the claim is decided", lambda: chain.lease_of(lease) is None or None, 60)
    grid.start_node()
    ended = grid.await_closed(job)
    (closed,) = ended["leases"]
    assert (closed["lease"], closed["because"], ended["code"]) == (name, "claimed", "receipts-missing")
    assert [one["path"] for one in ended["outputs"]] == ["kept.txt"]
    agreed = int(closed["terms"]["rate"]) * closed["receipt"]["milliseconds"] // 3_600_000_000
    two_intervals = int(closed["terms"]["rate"]) * 4_000 // 3_600_000_000
    assert agreed < int(closed["paid"]) <= agreed + two_intervals + 1


def test_replicas_agree_over_a_kill_of_one_and_each_is_paid_for_its_time(grid: ShortGrid) -> None:
    for which in (CHEAP, DEAR, THIRD):
        grid.start_provider(which)
    grid.await_offers(3)
    script = "echo the same > out/same.txt; sleep 2"
    job = grid.submit(script, outputs=["same.txt"], replicas={"count": 3, "agree": 2})
    grid.await_state(job, "running", "settling")
    time.sleep(1.5)
    grid.end("cheap", signal.SIGKILL)
    grid.run_provider("cheap")
    ended = grid.await_closed(job)
    assert ended["state"] == "succeeded"
    assert [one["verdict"] for one in ended["replicas"]["results"]] == ["agreed"] * 3
    for lease in ended["leases"]:
        due = int(lease["terms"]["rate"]) * lease["receipt"]["milliseconds"] // 3_600_000_000
        assert int(lease["paid"]) == due > 0
    with grid.chain() as chain:
        for account in grid.providers.values():
            assert chain.stake_of(Address(from_text(account, 20))) > 0
    grid.until("every lease is put away", lambda: not status(grid, "cheap")["leases"] or None)
