"""The settlement protocol on real parts: delegates, relays, running on, gangs, alternatives, stake, pause.

Each part is asked for through the command line, runs in real containers, and is checked on the chain.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import calls
from ledger.chain.keys import open_keystore
from ledger.chain.wallet import Patience, send_and_wait
from ledger.market.identity import Address, LeaseId, from_text
from tests.engine import engine_url
from tests.short_grid import CHEAP, DEAR, ShortGrid, short_grid

pytestmark = pytest.mark.docker
TOKEN = 10**6
ONLY_CHEAP = {"domains": {"allow": ["cheap-lab/*"]}}
ONLY_DEAR = {"domains": {"allow": ["dear-lab/*"]}}
NOWHERE = {"domains": {"allow": ["no-such-lab/*"]}}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    with short_grid(tmp_path_factory.mktemp("protocol"), CHEAP, DEAR) as running:
        operator_key = running.chain_folder / "faucet.key"
        running.bingwang("wallet", "import", str(operator_key), "operator")
        yield running


def give_tokens(grid: ShortGrid, to: str, amount: int) -> None:
    """Tokens of the default wallet, and no coin, to another account."""
    grid.bingwang("wallet", "withdraw", str(amount // TOKEN))
    key = open_keystore(grid.home / "wallets" / "default.json", "demo")
    patience = Patience(clock=time.time, sleep=time.sleep)
    with grid.chain() as chain:
        receiver = Address(from_text(to, 20))
        send_and_wait(chain, key, calls.transfer(chain.token(), receiver, amount), patience)


def coin(grid: ShortGrid, account: str) -> int:
    with grid.chain() as chain:
        return chain.coin_balance(Address(from_text(account, 20)))


def container(lease: dict[str, Any]) -> dict[str, Any]:
    """The engine's container that was made for a lease, as it is now."""
    docker = ["docker", "--host", engine_url()]
    label = f"label=bingwang.lease={lease['lease'].removeprefix('0x')}"
    made = subprocess.run(
        [*docker, "ps", "-aq", "--no-trunc", "--filter", label],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    shown = subprocess.run([*docker, "inspect", *made], check=True, stdout=subprocess.PIPE, text=True)
    (found,) = json.loads(shown.stdout)
    return dict(found)


def test_a_ci_key_spends_its_allowance_and_not_more(grid: ShortGrid) -> None:
    owner = grid.bingwang("wallet", "show")["address"]
    key = grid.bingwang("wallet", "create", "ci")["address"]
    own = ("--wallet", "ci", "--for", owner)
    unknown = grid.command("submit", str(grid.job_file("true")), *own, "--json")
    assert unknown.code == 3, unknown.out
    grid.bingwang("wallet", "delegate", "add", key, "--allowance", "0.4", "--until", "friday")
    (before,) = grid.balances(owner)
    job = grid.submit("echo by ci", *own)
    ended = grid.await_closed(job)
    assert (ended["state"], ended["buyer"]) == ("succeeded", owner)
    (lease,) = ended["leases"]
    assert before - grid.balances(owner)[0] == int(lease["paid"])
    (delegate,) = grid.bingwang("wallet", "delegate", "list")["delegates"]
    assert int(delegate["allowance"]) == TOKEN * 4 // 10 - int(lease["escrow"])
    too_long = grid.command("submit", str(grid.job_file("true", max_duration="1h")), *own, "--json")
    assert (too_long.code, too_long.plain["code"]) == (3, "allowance-too-small")
    grid.bingwang("wallet", "delegate", "revoke", key)
    revoked = grid.command("submit", str(grid.job_file("true")), *own, "--json")
    assert revoked.code == 3, revoked.out
    assert grid.bingwang("wallet", "delegate", "list")["delegates"] == []


def test_a_buyer_without_coin_deposits_buys_cancels_and_withdraws(grid: ShortGrid) -> None:
    poor = grid.bingwang("wallet", "create", "poor")["address"]
    give_tokens(grid, poor, 5 * TOKEN)
    grid.bingwang("wallet", "deposit", "5", "--relay", "--wallet", "poor")
    assert grid.balances(poor) == [5 * TOKEN]
    ended = grid.await_closed(grid.submit("echo poor", "--wallet", "poor"))
    assert ended["state"] == "succeeded"
    running = grid.submit("sleep 60", "--wallet", "poor")
    grid.await_state(running, "running")
    assert grid.bingwang("cancel", running, "--wallet", "poor")["transactions"] == []
    assert grid.await_closed(running)["state"] == "cancelled"
    (left,) = grid.balances(poor)
    grid.bingwang("wallet", "withdraw", "4", "--relay", "--wallet", "poor")
    assert grid.balances(poor) == [left - 4 * TOKEN]
    assert grid.bingwang("wallet", "show", "poor")["token"] == str(4 * TOKEN)
    assert coin(grid, poor) == 0


def test_a_relayed_withdrawal_beyond_the_balance_is_refused(grid: ShortGrid) -> None:
    outcome = grid.command("wallet", "withdraw", "100000", "--relay", "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "insufficient-balance")


def test_a_running_job_is_extended_and_resized_in_its_container(grid: ShortGrid) -> None:
    script = "for i in $(seq 200); do echo $i; sleep 0.1; done"
    job = grid.submit(script, max_duration="25s", max_price="40/h", **ONLY_CHEAP)
    first = grid.await_state(job, "running")["leases"][-1]
    before = container(first)
    extended = grid.bingwang("extend", job, "--by", "20s")
    assert extended["job"] == job
    second = grid.until("the extension is open", lambda: _active(grid, job, 2))
    assert second["terms"]["duration"] > first["terms"]["duration"]
    grid.bingwang("resize", job, "--memory", "96MiB", "--cpus", "200m", "--max-price", "80/h")
    third = grid.until("the resize is open", lambda: _active(grid, job, 3))
    assert int(third["terms"]["rate"]) > int(second["terms"]["rate"])
    after = grid.until("the container is larger", lambda: _with_memory(first, 96 << 20))
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    ended = grid.await_closed(job)
    assert ended["state"] == "succeeded"
    assert grid.bingwang("logs", job)["log"] == "".join(f"{i}\n" for i in range(1, 201))
    assert [lease["because"] for lease in ended["leases"]] == ["continued", "continued", "last-receipt"]
    billed = sum(lease["settled_milliseconds"] for lease in ended["leases"])
    assert 18_000 < billed < 30_000
    for lease in ended["leases"]:
        due = int(lease["terms"]["rate"]) * lease["settled_milliseconds"] // 3_600_000_000
        assert int(lease["paid"]) == due


def _active(grid: ShortGrid, job: str, count: int) -> dict[str, Any] | None:
    leases = grid.job(job)["leases"]
    open_now = [lease for lease in leases if lease["state"] == "active"]
    return open_now[-1] if len(leases) == count and open_now == leases[-1:] else None


def _with_memory(lease: dict[str, Any], limit: int) -> dict[str, Any] | None:
    made = container(lease)
    return made if made["HostConfig"]["Memory"] == limit else None


def test_a_job_that_ended_is_not_extended(grid: ShortGrid) -> None:
    job = grid.submit("true")
    grid.await_closed(job)
    outcome = grid.command("extend", job, "--by", "1m", "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "not-running")


def test_a_gang_runs_at_distinct_providers_and_each_member_has_its_outputs(
    grid: ShortGrid, tmp_path: Path
) -> None:
    script = "echo $BINGWANG_MEMBER of $BINGWANG_MEMBERS > out/who.txt"
    job = grid.submit(script, gang={"count": 2, "distinct": "yes"}, outputs=["who.txt"])
    ended = grid.await_closed(job)
    assert ended["state"] == "succeeded"
    assert len({lease["terms"]["provider"] for lease in ended["leases"]}) == 2
    assert len({lease["transactions"]["opened"] for lease in ended["leases"]}) == 1
    fetched = grid.bingwang("fetch", job, str(tmp_path))["outputs"]
    assert sorted(Path(one["file"]).read_text() for one in fetched) == ["0 of 2\n", "1 of 2\n"]


def test_a_gang_that_does_not_fit_whole_is_refused_whole(grid: ShortGrid) -> None:
    job_file = grid.job_file("true", gang={"count": 3, "distinct": "yes"})
    outcome = grid.command("submit", str(job_file), "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "no-match")


def test_the_first_form_that_matches_is_bought_and_no_other(grid: ShortGrid) -> None:
    owner = grid.bingwang("wallet", "show")["address"]
    (before,) = grid.balances(owner)
    job = grid.submit("true", any_of=[NOWHERE, ONLY_DEAR])
    ended = grid.await_closed(job)
    assert ended["state"] == "succeeded"
    (lease,) = ended["leases"]
    assert lease["terms"]["provider"] == grid.providers["dear"]
    assert before - grid.balances(owner)[0] == int(lease["paid"])


def test_forms_that_all_match_nowhere_are_refused(grid: ShortGrid) -> None:
    outcome = grid.command(
        "submit", str(grid.job_file("true", any_of=[NOWHERE, NOWHERE | {"max_price": "30/h"}])), "--json"
    )
    assert (outcome.code, outcome.plain["code"]) == (3, "no-match")


def test_stake_is_locked_while_a_job_runs_and_free_after_it(grid: ShortGrid) -> None:
    account = Address(from_text(grid.providers["cheap"], 20))
    job = grid.submit("sleep 2", **ONLY_CHEAP)
    (lease,) = grid.await_state(job, "running")["leases"]
    with grid.chain() as chain:
        free = chain.stake_of(account)
        assert chain.lease_of(LeaseId(from_text(lease["lease"], 32))) is not None
    grid.await_closed(job)
    with grid.chain() as chain:
        assert chain.stake_of(account) - free == int(lease["escrow"]) // 10


def test_reputation_grows_with_fees_and_is_a_constraint(grid: ShortGrid) -> None:
    listed = {one["provider"]: one for one in grid.bingwang("providers")["providers"]}
    record = listed[grid.providers["cheap"]]["reputation"]
    assert record["completed"] > 0
    found = grid.bingwang("search", "--min-reputation", "1")["offers"]
    assert all(offer["reputation"] == 1000 for offer in found)
    outcome = grid.command("submit", str(grid.job_file("true", min_reputation="1")), "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "no-match")
    assert any("reputation" in one["dimensions"] for one in outcome.plain["excluded"])


def test_a_pause_stops_new_business_and_no_exit(grid: ShortGrid) -> None:
    job = grid.submit("sleep 3")
    grid.await_state(job, "running")
    stranger = grid.command("market", "pause", "--json")
    assert stranger.code == 3, stranger.out
    grid.bingwang("market", "pause", "--wallet", "operator")
    try:
        refused = grid.command("submit", str(grid.job_file("true")), "--json")
        assert (refused.code, refused.plain["code"]) == (4, "market-paused")
        assert grid.await_closed(job)["state"] == "succeeded"
        grid.bingwang("wallet", "withdraw", "1")
    finally:
        grid.bingwang("market", "unpause", "--wallet", "operator")
    assert grid.await_closed(grid.submit("true"))["state"] == "succeeded"
