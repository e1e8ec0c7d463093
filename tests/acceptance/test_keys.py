"""Keys change hands under a running job: the node's goes to a signer outside, the agent's to a new one."""

from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest

from ledger.chain.keys import LocalKey
from ledger.market.events import LeaseOpened
from ledger.market.identity import text
from node.buying.profile import read_profile
from tests.anvil import anvil, ask
from tests.fakes.web3signer import web3signer
from tests.short_grid import CHEAP, ShortGrid, short_grid

HELD_OUTSIDE = sha256(b"a buyer's key, held outside").digest()
PATIENT = ("--heartbeat-timeout", "10", "--lost-after", "60")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortGrid]:
    """One provider, whose agent's key operates for the default wallet, and a buyer's wallet."""
    with short_grid(tmp_path_factory.mktemp("grid"), options=PATIENT) as grid:
        options = [text for pair in CHEAP.items() for text in pair]
        made = grid.bingwang("provider", "init", *agent(grid), "--cores", "1", "--operator", *options)
        grid.providers["cheap"] = made["address"]
        grid.bingwang("provider", "stake", "50", *agent(grid))
        grid.run_provider("cheap")
        grid.await_offers(1)
        grid.open_wallet("buyer")
        yield grid


def agent(grid: ShortGrid) -> tuple[str, str]:
    return "--dir", str(grid.folder / "cheap")


def node(grid: ShortGrid) -> tuple[str, str]:
    return "--dir", str(grid.folder / "node")


def opened(grid: ShortGrid, job: str) -> LeaseOpened:
    """The chain's own word on the job's lease."""
    (lease,) = grid.job(job)["leases"]
    with grid.chain() as client:
        logged = client.logs(0, client.block("latest").number)
    events = (one.event for one in logged if isinstance(one.event, LeaseOpened))
    return next(event for event in events if text(event.id) == lease["lease"])


def test_a_job_outlives_the_keys_of_the_node_and_of_the_agent(grid: ShortGrid) -> None:
    profile = read_profile(grid.home / "profiles" / "default.json")
    job = grid.submit("sleep 15; echo done", "--wallet", "buyer")
    grid.await_state(job, "running")
    with anvil("--chain-id", str(profile.chain_id)) as signer:
        account = ask(signer, "eth_accounts")[0]
        outside = ("--signer", signer, "--signer-account", account)
        refused = grid.command("node", "key", "rotate", *node(grid), *outside, "--json")
        assert refused.plain["code"] == "node-already-running"
        grid.end("node")
        rotated = grid.bingwang("node", "key", "rotate", *node(grid), *outside)
        assert (rotated["former"], rotated["current"]) == (text(profile.node), account)
        grid.end("cheap")
        changed = grid.bingwang("provider", "rotate", *agent(grid))
        assert len(changed["revoked"]) == 1
        grid.start_node()
        grid.run_provider("cheap")

        assert grid.await_closed(job)["state"] == "succeeded"
        first = opened(grid, job)
        assert text(first.terms.matcher) == text(first.terms.signer) == text(profile.node)

        with web3signer(HELD_OUTSIDE) as held:
            buyer = text(LocalKey(HELD_OUTSIDE).address)
            where = ("--signer", held.url, "--signer-account", buyer)
            grid.bingwang("wallet", "create", "outside", *where)
            grid.bingwang("wallet", "faucet", "outside")
            grid.bingwang("wallet", "deposit", "20", "--wallet", "outside")
            grid.await_offers(1)
            second = grid.submit("sleep 3; echo again", "--wallet", "outside")
            assert grid.await_closed(second)["state"] == "succeeded"
            assert {method for method, _ in held.asked} >= {"eth_signTypedData", "eth_signTransaction"}
        lease = opened(grid, second)
        assert text(lease.terms.buyer) == buyer
        assert text(lease.terms.matcher) == text(lease.terms.signer) == account

        paid = grid.bingwang("node", "key", "withdraw", *node(grid), "--to", grid.providers["cheap"])
        assert [one["from"] for one in paid["withdrawn"]] == [account, text(profile.node)]
        assert grid.balances(account, text(profile.node)) == [0, 0]


def test_a_wallet_that_changes_its_key_takes_its_money_along(grid: ShortGrid) -> None:
    before = grid.bingwang("wallet", "show", "buyer")
    rotated = grid.bingwang("wallet", "rotate", "buyer")
    after = grid.bingwang("wallet", "show", "buyer")
    assert after["address"] == rotated["address"] != before["address"]
    assert int(after["token"]) == int(before["token"]) + int(before["balance"])
    assert int(before["coin"]) > int(after["coin"]) > 0
    former = grid.bingwang("wallet", "show", rotated["former"])
    assert (former["address"], former["token"], former["balance"]) == (before["address"], "0", "0")
    grid.bingwang("wallet", "deposit", "5", "--wallet", "buyer")


def test_a_provider_wallet_keeps_the_key_that_its_stake_is_bound_to(grid: ShortGrid) -> None:
    refused = grid.command("wallet", "rotate", "--json")
    assert refused.plain["code"] == "stake-in-the-way"
    assert httpx.get(f"{grid.node_url}/v1/health", timeout=30).is_success


def test_a_password_is_changed(grid: ShortGrid) -> None:
    new = grid.folder / "new-password"
    new.write_text("another\n")
    changed = grid.bingwang("wallet", "passwd", "buyer", "--new-password-file", str(new))
    old = grid.command("wallet", "withdraw", "1", "--wallet", "buyer", "--json")
    assert old.plain["code"] == "wrong-password"
    grid.bingwang("wallet", "withdraw", "1", "--wallet", "buyer", "--password-file", str(new))
    assert grid.bingwang("wallet", "show", "buyer")["address"] == changed["address"]
