# web3.py's results are dynamically typed
"""Clients that follow the chain hear of every block, log and transaction once, and of those taken back."""

import asyncio
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import AsyncWeb3, WebSocketProvider
from web3.utils.subscriptions import LogsSubscription, NewHeadsSubscription
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ledger.chain.embedded.grid import open_chain
from ledger.chain.embedded.rows import LogRow
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve
from ledger.chain.embedded.subscriptions import MAX_SUBSCRIPTIONS

Serving = Callable[..., Any]
ANA = Account.from_key(b"\x21" * 32)
TIMEOUT = 20.0


@pytest.fixture
def grid(serving: Serving) -> Any:
    return serving(seal=SealPolicy(on_demand=True), allow_reorg=True)


def url_of(grid: Any) -> str:
    return str(grid.web3.provider.endpoint_uri)


@contextmanager
def socket_to(grid: Any, **options: Any) -> Iterator[ClientConnection]:
    with connect(url_of(grid).replace("http", "ws"), **options) as connection:
        yield connection


def ask(connection: ClientConnection, method: str, *params: object) -> Any:
    connection.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    answer = json.loads(connection.recv(TIMEOUT))
    return answer.get("result", answer.get("error"))


def news(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(TIMEOUT))["params"]["result"]


def result(grid: Any, method: str, *params: object) -> Any:
    return grid.request(method, *params)["result"]


def assert_taken_back_and_done_again(logs: list[Any]) -> None:
    """A log, the same log removed, and again in a later block."""
    first, removed, again = logs
    assert first["removed"] is again["removed"] is False
    assert removed == {**first, "removed": True}
    assert again["transactionHash"] == first["transactionHash"]
    assert int(again["blockNumber"], 16) == int(first["blockNumber"], 16) + 2
    assert again["blockHash"] != first["blockHash"]


def test_a_reorganisation_takes_logs_back_and_announces_them_anew(grid: Any) -> None:
    with socket_to(grid) as connection:
        ask(connection, "eth_subscribe", "logs", {"address": grid.token.address})
        grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 8))
        grid.request("evm_mine")
        first = news(connection)
        grid.request("bingwang_reorg", 1)
        removed = news(connection)
        grid.request("evm_mine")
        assert_taken_back_and_done_again([first, removed, news(connection)])


def test_a_reorganisation_announces_the_heads_of_the_new_branch(grid: Any) -> None:
    with socket_to(grid) as connection:
        ask(connection, "eth_subscribe", "newHeads")
        for _ in range(3):
            grid.request("evm_mine")
        old = [news(connection) for _ in range(3)]
        grid.request("bingwang_reorg", 3)
        new = [news(connection) for _ in range(4)]
    assert new[0]["parentHash"] == old[0]["parentHash"]
    assert [head["parentHash"] for head in new[1:]] == [head["hash"] for head in new[:3]]
    assert new[-1]["hash"] == grid.web3.eth.get_block("latest").hash.to_0x_hex()


def test_a_filter_tells_of_a_reorganisation_too(grid: Any) -> None:
    logs = result(grid, "eth_newFilter", {"address": grid.token.address})
    blocks = result(grid, "eth_newBlockFilter")
    grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 8))
    grid.request("evm_mine")
    first = result(grid, "eth_getFilterChanges", logs)
    grid.request("bingwang_reorg", 1)
    grid.request("evm_mine")
    both = result(grid, "eth_getFilterChanges", logs)
    assert_taken_back_and_done_again([*first, *both])
    head = grid.web3.eth.block_number
    hashes = [grid.web3.eth.get_block(number).hash.to_0x_hex() for number in range(head - 2, head + 1)]
    assert result(grid, "eth_getFilterChanges", blocks) == hashes


def test_what_was_done_and_undone_between_two_looks_is_not_told(grid: Any) -> None:
    logs = result(grid, "eth_newFilter", {"address": grid.token.address})
    grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 8))
    grid.request("evm_mine")
    grid.request("bingwang_reorg", 1)
    assert result(grid, "eth_getFilterChanges", logs) == []


def test_a_filters_heights_bound_what_it_tells(grid: Any) -> None:
    later = hex(grid.web3.eth.block_number + 2)
    only_later = result(grid, "eth_newFilter", {"fromBlock": later, "toBlock": later})
    for amount in (1, 2, 3):
        grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, amount))
        grid.request("evm_mine")
    assert [int(log["data"], 16) for log in result(grid, "eth_getFilterChanges", only_later)] == [2]


def test_more_logs_than_anybody_should_be_sent_are_refused(grid: Any) -> None:
    key = result(grid, "eth_newFilter", {"address": ANA.address})
    grid.request("evm_mine")
    head = grid.web3.eth.get_block("latest")
    address = bytes.fromhex(ANA.address[2:])
    rows = (
        (*LogRow(bytes(head.hash), n, head.number, 0, bytes(32), address, None, None, None, None, b""), 1)
        for n in range(20_001)
    )
    with sqlite3.connect(grid.directory / "chain.sqlite3") as file:
        file.executemany(f"INSERT INTO logs VALUES ({','.join('?' * 12)})", rows)
    file.close()
    for method, wanted in (("eth_getLogs", {"address": ANA.address}), ("eth_getFilterChanges", key)):
        assert grid.request(method, wanted)["error"]["code"] == -32005
    assert result(grid, "eth_getFilterChanges", key) == []


def test_a_subscriber_hears_whole_transactions_when_it_asks_for_them(grid: Any) -> None:
    with socket_to(grid) as connection:
        ask(connection, "eth_subscribe", "newPendingTransactions", True)
        key = grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 8))
        assert news(connection)["hash"] == key.to_0x_hex()
        assert ask(connection, "eth_subscribe", "newPendingTransactions", 7)["code"] == -32602


def test_one_connection_has_its_limit_of_subscriptions(grid: Any) -> None:
    with socket_to(grid) as connection:
        keys = {ask(connection, "eth_subscribe", "newHeads") for _ in range(MAX_SUBSCRIPTIONS)}
        assert len(keys) == MAX_SUBSCRIPTIONS
        assert ask(connection, "eth_subscribe", "newHeads")["code"] == -32005
        assert ask(connection, "eth_unsubscribe", keys.pop()) is True
        assert isinstance(ask(connection, "eth_subscribe", "newHeads"), str)


def test_one_connections_subscriptions_are_nobody_elses(grid: Any) -> None:
    with socket_to(grid) as one, socket_to(grid) as other:
        key = ask(one, "eth_subscribe", "newHeads")
        assert ask(other, "eth_unsubscribe", key)["code"] == -32000
        grid.request("evm_mine")
        assert news(one)["number"] == hex(grid.web3.eth.block_number)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://192.0.2.1", "null", "http://localhost.evil"]
)
def test_a_page_of_another_site_is_not_answered(grid: Any, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal, socket_to(grid, origin=origin):
        pass
    assert refusal.value.response.status_code == 403
    with pytest.raises(urllib.error.HTTPError) as failure:
        post(grid, origin)
    with failure.value:
        assert failure.value.code == 403


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:80", "moz-extension://a"]
)
def test_a_page_of_this_host_and_a_wallet_are_answered(grid: Any, origin: str) -> None:
    with socket_to(grid, origin=origin) as connection:
        assert ask(connection, "eth_chainId") == hex(grid.web3.eth.chain_id)
    assert post(grid, origin)["result"] == hex(grid.web3.eth.chain_id)


def post(grid: Any, origin: str) -> Any:
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'
    with urllib.request.urlopen(urllib.request.Request(url_of(grid), body, {"Origin": origin})) as response:
        return json.loads(response.read())


def test_a_server_that_stops_ends_its_connections(directory: Path) -> None:
    with closing(open_chain(directory, time.time)) as chain, ExitStack() as client:
        with serve(chain, policy=ServePolicy(seal=SealPolicy(on_demand=True))) as server:
            connection = client.enter_context(connect(server.url.replace("http", "ws")))
            ask(connection, "eth_subscribe", "newHeads")
        with pytest.raises(ConnectionClosed):
            connection.recv(TIMEOUT)


def test_web3_follows_heads_and_logs_over_its_websocket_provider(grid: Any) -> None:
    heads, logs = asyncio.run(follow(grid))
    assert heads == [grid.web3.eth.block_number]
    assert logs == [8]


async def follow(grid: Any) -> tuple[list[int], list[int]]:
    heads, logs, enough = list[int](), list[int](), asyncio.Event()

    async def on_head(context: Any) -> None:
        heads.append(context.result["number"])
        if logs:
            enough.set()

    async def on_log(context: Any) -> None:
        logs.append(int(context.result["data"].hex(), 16))
        if heads:
            enough.set()

    async with AsyncWeb3(WebSocketProvider(url_of(grid).replace("http", "ws"))) as web3:
        await web3.subscription_manager.subscribe(
            [
                NewHeadsSubscription(handler=on_head),
                LogsSubscription(address=grid.token.address, handler=on_log),
            ]
        )
        handling = asyncio.create_task(web3.subscription_manager.handle_subscriptions())
        await web3.eth.send_raw_transaction(grid.transfer(ANA.address, 8))
        await asyncio.to_thread(grid.request, "evm_mine")
        await asyncio.wait_for(enough.wait(), TIMEOUT)
        handling.cancel()
        await asyncio.gather(handling, return_exceptions=True)
    return heads, logs
