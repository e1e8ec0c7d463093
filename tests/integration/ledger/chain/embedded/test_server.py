# web3.py's results are dynamically typed
"""The chain's process can be stopped, killed and started again, and there is only ever one."""

import signal
import stat
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound

from ledger.chain.embedded import genesis
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.grid import deploy, initialise, open_chain
from ledger.chain.embedded.server import run, serve, url_of
from ledger.market.errors import Broken, Rejected

Spawning = Callable[..., Any]
ANA = Account.from_key(b"\x21" * 32)


def test_a_restart_continues_where_it_stopped(directory: Path, spawning: Spawning) -> None:
    with spawning() as (grid, process):
        key = grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 70))
        before = grid.web3.eth.wait_for_transaction_receipt(key, timeout=10, poll_latency=0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert url_of(directory) is None
    with spawning() as (grid, _):
        assert grid.web3.eth.get_transaction_receipt(key) == before
        assert grid.token.functions.balanceOf(ANA.address).call() == 70


def test_kills_while_sealing_lose_no_acknowledged_block(spawning: Spawning) -> None:
    seen: dict[bytes, Any] = {}
    for round_ in range(5):
        with spawning() as (grid, process):
            for key, receipt in seen.items():
                assert grid.web3.eth.get_transaction_receipt(HexBytes(key)) == receipt
            total = sum(int(one.logs[0].data.hex(), 16) for one in seen.values())
            assert grid.token.functions.balanceOf(ANA.address).call() >= total
            acknowledge_some(grid, seen, 4 + round_)
            process.kill()


def acknowledge_some(grid: Any, seen: dict[bytes, Any], count: int) -> None:
    nonce = grid.web3.eth.get_transaction_count(grid.faucet.address)
    keys = [
        grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 1 + n, nonce=nonce + n))
        for n in range(count + 8)
    ]
    deadline = time.monotonic() + 20
    wanted = len(seen) + count
    while len(seen) < wanted:
        assert time.monotonic() < deadline
        for key in keys:
            try:
                seen[bytes(key)] = grid.web3.eth.get_transaction_receipt(key)
            except TransactionNotFound:
                break


def test_a_killed_chain_forgets_what_waited_and_takes_it_again(spawning: Spawning) -> None:
    with spawning("on-demand") as (grid, process):
        raw = grid.transfer(ANA.address, 5)
        key = grid.web3.eth.send_raw_transaction(raw)
        process.kill()
    with spawning("on-demand") as (grid, _):
        with pytest.raises(TransactionNotFound):
            grid.web3.eth.get_transaction(key)
        assert grid.web3.eth.send_raw_transaction(raw) == key
        grid.request("evm_mine")
        assert grid.web3.eth.get_transaction_receipt(key).status == 1


def test_a_second_process_on_the_directory_is_refused(directory: Path, spawning: Spawning) -> None:
    with spawning(), pytest.raises(Rejected) as refusal:
        run(directory, clock=time.time, port=0)
    assert refusal.value.code == "chain-already-running"


def test_a_taken_port_is_refused(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    initialise(other, chain_id=7, at=0, faucet_key=b"\1" * 32)
    first, second = open_chain(directory, time.time), open_chain(other, time.time)
    try:
        with serve(first) as server, pytest.raises(Rejected) as refusal, ExitStack() as stack:
            stack.enter_context(serve(second, port=int(server.url.rsplit(":", 1)[1])))
        assert refusal.value.code == "port-taken"
    finally:
        first.close()
        second.close()


def test_there_is_no_chain_where_none_was_founded(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        open_chain(tmp_path, time.time)
    assert refusal.value.code == "chain-not-initialised"


def test_a_chain_is_not_founded_over_another(directory: Path) -> None:
    with pytest.raises(Rejected) as refusal:
        initialise(directory, chain_id=8, at=0, faucet_key=b"\1" * 32)
    assert refusal.value.code == "chain-exists"


def test_a_founding_that_failed_can_be_done_again(tmp_path: Path) -> None:
    place = tmp_path / "grid"

    def fail(chain: EmbeddedChain) -> dict[str, bytes]:
        deploy(chain, bytes.fromhex("fe"))
        return {}

    with pytest.raises(Broken) as failure:
        initialise(place, chain_id=9, at=1_000, faucet_key=b"\1" * 32, populate=fail)
    assert failure.value.code == "deployment-failed"
    assert not genesis.is_initialised(place)
    founded = initialise(place, chain_id=9, at=1_000, faucet_key=b"\1" * 32)
    assert genesis.read(place) == founded
    assert stat.S_IMODE((place / "faucet.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"chainId": "x"}'])
def test_a_damaged_genesis_is_said_to_be_damaged(directory: Path, content: str) -> None:
    (directory / "genesis.json").write_text(content)
    with pytest.raises(Broken) as failure:
        open_chain(directory, time.time)
    assert failure.value.code == "genesis-unreadable"


def test_a_chain_file_that_is_no_database_is_said_to_be_none(directory: Path) -> None:
    (directory / "chain.sqlite3").write_bytes(b"not a database" * 1_000)
    with pytest.raises(Broken) as failure:
        open_chain(directory, time.time)
    assert failure.value.code == "chain-file-unreadable"
