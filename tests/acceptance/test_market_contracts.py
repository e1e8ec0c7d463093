"""A market of one's own: put on another network, shown to explorers, and left for its successor."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from web3 import Web3

from contracts.loader import artifact
from ledger.market.identity import Address, from_text, text
from tests.anvil import anvil, ask
from tests.short_grid import CHEAP, ShortGrid, short_grid

RICH = hex(10**20)


@pytest.fixture
def home(tmp_path: Path) -> ShortGrid:
    """A person with the command line and no grid."""
    return ShortGrid(folder=tmp_path)


def deploy(home: ShortGrid, rpc: str, *options: str) -> dict[str, Any]:
    wallet = home.bingwang("wallet", "create")["address"]
    ask(rpc, "anvil_setBalance", wallet, RICH)
    where = ("--journal", str(home.folder / "deployment.json"))
    found: dict[str, Any] = home.bingwang("market", "deploy", "--rpc", rpc, *where, *options)
    return found


def test_a_market_is_put_on_another_network_and_says_its_rules(home: ShortGrid) -> None:
    with anvil() as rpc:
        made = deploy(home, rpc, "--receipt-interval", "30s", "--fee", "50")
        contract = Web3(Web3.HTTPProvider(rpc)).eth.contract(
            address=Web3.to_checksum_address(made["market"]), abi=artifact("ComputeMarket").abi
        )
        assert contract.functions.policy().call() == (30, 86_400, 86_400, 259_200, 604_800, 50, 1_000, 5_000)
        assert contract.functions.jury().call().lower() == made["jury"]
        assert contract.functions.token().call().lower() == made["token"]
        again = home.bingwang(
            "market", "deploy", "--rpc", rpc, "--journal", str(home.folder / "deployment.json"),
            "--receipt-interval", "30s", "--fee", "50",
        )  # fmt: skip
        assert again["market"] == made["market"]


def test_what_explorers_take_is_written_for_each_contract(home: ShortGrid, tmp_path: Path) -> None:
    with anvil() as rpc:
        made = deploy(home, rpc, "--verify", str(tmp_path / "verify"))
        for name in ("ComputeMarket", "ReplicaJury", "TestToken"):
            folder = tmp_path / "verify" / name
            source = json.loads((folder / "standard-input.json").read_text())
            assert source["language"] == "Vyper"
            arguments = (folder / "constructor-arguments.hex").read_text()
            sent = [ask(rpc, "eth_getTransactionByHash", one)["input"] for one in made["transactions"]]
            assert "0x" + artifact(name).bytecode.hex() + arguments in sent


def test_a_wallet_without_coin_deploys_nothing(home: ShortGrid) -> None:
    home.bingwang("wallet", "create")
    with anvil() as rpc:
        journal = str(home.folder / "deployment.json")
        outcome = home.command("market", "deploy", "--rpc", rpc, "--journal", journal, "--json")
    assert (outcome.code, outcome.plain["code"]) == (3, "no-coin-for-gas")


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[ShortGrid]:
    folder = tmp_path / "grid"
    folder.mkdir()
    with short_grid(folder, CHEAP, foreign=True) as running:
        yield running


@pytest.mark.docker
def test_a_provider_moves_its_offers_and_stake_to_the_next_market(grid: ShortGrid) -> None:
    with grid.chain() as chain:
        old, token = chain.market, text(chain.token())
    short = ("--receipt-interval", "2s", "--grace", "5s", "--challenge-window", "4s")
    rest = ("--arbitration-window", "6s", "--unstake-delay", "8s")
    journal = ("--journal", str(grid.folder / "deployment.json"))
    made = grid.bingwang("market", "deploy", "--rpc", grid.rpc_url, "--token", token, *short, *rest, *journal)
    provider = Address(from_text(grid.providers["cheap"], 20))
    with grid.chain() as chain:
        staked = chain.stake_of(provider)
    assert staked > 0
    successor = _second_node(grid, made)
    grid.end("cheap")
    folder = str(grid.folder / "cheap")
    first = grid.command("market", "migrate", successor, "--dir", folder, "--json")
    assert first.code == 4, first.err
    assert "held until" in first.plain["waits_for"]

    def moved() -> dict[str, Any] | None:
        outcome = grid.command("market", "migrate", successor, "--dir", folder, "--json")
        plain: dict[str, Any] = outcome.plain
        return plain if outcome.code == 0 else None

    done = grid.until("the stake has moved", moved)
    assert (done["from"], done["to"], done["stake"]) == (text(old), made["market"], str(staked))
    with grid.chain() as chain:
        assert (chain.stake_of(provider), chain.unstaking_of(provider)[0]) == (0, 0)
    assert not _live(grid.node_url)
    grid.run_provider("cheap")
    grid.until("the offers stand at the new market", lambda: _live(successor) or None)


def _second_node(grid: ShortGrid, made: dict[str, Any]) -> str:
    folder = grid.folder / "second"
    market = ("--market", made["market"], "--first-block", str(made["first_block"]))
    grid._start("second", "node", "run", "--dir", str(folder), "--port", "0", "--rpc", grid.rpc_url, *market)
    url = grid._await_file("second", folder / "node.url")
    account = httpx.get(f"{url}/v1/market", timeout=30).json()["node"]
    with grid.chain() as chain:
        chain.faucet(Address(from_text(account, 20)))
    return url


def _live(node: str) -> list[Any]:
    offers: list[Any] = httpx.get(f"{node}/v1/offers?live=true", timeout=30).json()["offers"]
    return offers
