# web3.py's results are dynamically typed
"""web3.py, unmodified, gets from the embedded chain what it gets from a public node."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError

from ledger.chain.embedded.faucet import FaucetPolicy
from ledger.chain.embedded.sealing import SealPolicy

Serving = Callable[..., Any]
ANA, BEN = Account.from_key(b"\x21" * 32), Account.from_key(b"\x22" * 32)
FOUNDED = 3
"""transactions, a block each, by which the faucet's account founded the grid: token, jury and market"""
TRANSFER = Web3.keccak(text="Transfer(address,address,uint256)")


def topic(address: str) -> str:
    return "0x" + address[2:].lower().rjust(64, "0")


def mined(grid: Any, raw: bytes) -> Any:
    return grid.web3.eth.wait_for_transaction_receipt(
        grid.web3.eth.send_raw_transaction(raw), timeout=10, poll_latency=0.01
    )


def test_a_contract_call_is_sealed_and_read_back(serving: Serving) -> None:
    grid = serving()
    receipt = mined(grid, grid.transfer(ANA.address, 70))
    assert receipt.status == 1
    assert grid.token.functions.balanceOf(ANA.address).call() == 70
    assert grid.token.events.Transfer().process_receipt(receipt)[0].args.value == 70
    transaction = grid.web3.eth.get_transaction(receipt.transactionHash)
    assert transaction["from"] == grid.faucet.address
    assert transaction.blockHash == receipt.blockHash
    block = grid.web3.eth.get_block(receipt.blockNumber, full_transactions=True)
    assert block.transactions[0].hash == receipt.transactionHash
    assert grid.web3.eth.get_block(receipt.blockHash).transactions == [receipt.transactionHash]
    assert grid.web3.eth.get_block_receipts(receipt.blockNumber)[0] == receipt
    assert grid.web3.eth.get_block_transaction_count(receipt.blockHash) == 1


def test_web3_fills_and_sends_a_transaction_by_itself(serving: Serving) -> None:
    grid = serving()
    fields = grid.token.functions.transfer(ANA.address, 5).build_transaction(
        {"from": grid.faucet.address, "nonce": FOUNDED}
    )
    signed = grid.faucet.sign_transaction(fields)
    receipt = mined(grid, bytes(signed.raw_transaction))
    assert receipt.status == 1
    assert receipt.gasUsed <= fields["gas"] <= receipt.gasUsed * 1.05


@pytest.mark.parametrize("kind", [{"type": 1, "accessList": []}, {}], ids=["type 1", "legacy"])
def test_older_transaction_types_are_taken(serving: Serving, kind: dict[str, Any]) -> None:
    grid = serving()
    fields = {"chainId": 4_242_424_242, "nonce": FOUNDED, "gas": 21_000, "gasPrice": 10**10, "value": 9}
    raw = grid.faucet.sign_transaction({**fields, **kind, "to": ANA.address}).raw_transaction
    receipt = mined(grid, bytes(raw))
    assert grid.web3.eth.get_balance(ANA.address) == 9
    assert grid.web3.eth.get_transaction(receipt.transactionHash).gasPrice == 10**10


def test_logs_are_found_by_address_and_by_any_topic(serving: Serving) -> None:
    grid = serving()
    for who, amount in ((ANA, 1), (BEN, 2), (ANA, 3)):
        mined(grid, grid.transfer(who.address, amount))

    def amounts(**wanted: Any) -> list[int]:
        found = grid.web3.eth.get_logs({"fromBlock": FOUNDED + 1, "toBlock": "latest", **wanted})
        return [int(log.data.hex(), 16) for log in found]

    token, either = grid.token.address, [topic(ANA.address), topic(BEN.address)]
    assert amounts(address=token) == [1, 2, 3]
    assert amounts(address=[ANA.address, token], topics=[TRANSFER]) == [1, 2, 3]
    assert amounts(topics=[None, None, topic(ANA.address)]) == [1, 3]
    assert amounts(topics=[TRANSFER, topic(grid.faucet.address), either]) == [1, 2, 3]
    assert amounts(topics=[None, topic(ANA.address)]) == []
    assert amounts(address=ANA.address) == []
    assert amounts(topics=[None, None, None, None]) == []
    block = grid.web3.eth.get_logs({"fromBlock": FOUNDED + 1, "toBlock": "latest"})[1].blockHash
    assert [log.data for log in grid.web3.eth.get_logs({"blockHash": block})] == [
        HexBytes(2).rjust(32, b"\0")
    ]


def test_a_revert_tells_its_reason(serving: Serving) -> None:
    grid = serving()
    with pytest.raises(ContractLogicError, match="token: balance too small"):
        grid.token.functions.transfer(BEN.address, 1).call({"from": ANA.address})
    with pytest.raises(ContractLogicError, match="token: balance too small"):
        grid.token.functions.transfer(BEN.address, 1).estimate_gas({"from": ANA.address})
    error = grid.request("eth_call", {"to": grid.token.address, "data": "0xffffffff"}, "latest")["error"]
    assert (error["code"], error["data"]) == (3, "0x")


def test_a_reverting_transaction_is_sealed_as_failed(serving: Serving) -> None:
    grid = serving()
    receipt = mined(grid, grid.transfer(ANA.address, 10**30))
    assert (receipt.status, len(receipt.logs)) == (0, 0)


def test_a_deployed_contract_has_its_address_in_the_receipt(serving: Serving) -> None:
    grid = serving()
    receipt = mined(grid, grid.signed(grid.faucet, data=bytes.fromhex("600160005360016000f3"), to=b""))
    assert grid.web3.eth.get_code(receipt.contractAddress) == b"\x01"


def test_a_call_sees_the_present_second_though_no_block_was_sealed(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(on_demand=True))
    timestamp_getter = "0x4260005260206000f3"  # creation code whose result is block.timestamp
    answer = grid.request("eth_call", {"data": timestamp_getter}, "latest")["result"]
    assert abs(int(answer, 16) - time.time()) < 5
    old = grid.request("eth_call", {"data": timestamp_getter}, "0x0")["result"]
    assert int(old, 16) == grid.web3.eth.get_block(0).timestamp


def test_blocks_of_one_second_share_its_timestamp(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(on_demand=True))
    for _ in range(6):
        grid.request("evm_mine")
    stamps = [grid.web3.eth.get_block(number).timestamp for number in range(9)]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= time.time()
    assert len(set(stamps)) < len(stamps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonce": 0}, "nonce too low"),
        ({"chainId": 1}, "invalid chain id"),
        ({"gas": 21_001, "to": ANA.address, "data": b"\1" * 50}, "intrinsic gas too low"),
        ({"gas": 16_777_217}, "gas limit too high"),
        ({"value": 10**30}, "insufficient funds"),
        ({"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, "less than block base fee"),
    ],
)
def test_a_hopeless_transaction_is_refused_at_once(
    serving: Serving, changes: dict[str, Any], message: str
) -> None:
    grid = serving(seal=SealPolicy(on_demand=True))
    with pytest.raises(Web3RPCError, match=message):
        grid.web3.eth.send_raw_transaction(grid.signed(grid.faucet, **{"to": ANA.address, **changes}))


def test_on_demand_nothing_is_sealed_until_told(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(on_demand=True))
    raw = grid.transfer(ANA.address, 1)
    key = grid.web3.eth.send_raw_transaction(raw)
    with pytest.raises(Web3RPCError, match="already known"):
        grid.web3.eth.send_raw_transaction(raw)
    with pytest.raises(TransactionNotFound):
        grid.web3.eth.get_transaction_receipt(key)
    assert grid.web3.eth.get_transaction(key)["blockHash"] is None
    nonces = [grid.web3.eth.get_transaction_count(grid.faucet.address, tag) for tag in ("latest", "pending")]
    assert nonces == [FOUNDED, FOUNDED + 1]
    assert grid.request("bingwang_seal")["result"]["transactions"] == [f"0x{key.hex()}"]
    assert grid.web3.eth.get_transaction_receipt(key).status == 1


def test_many_transactions_share_a_block(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(on_demand=True))
    for amount in range(1, 21):
        grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, amount))
    sealed = grid.request("evm_mine") and grid.web3.eth.get_block("latest")
    assert len(sealed.transactions) == 20
    assert grid.token.functions.balanceOf(ANA.address).call() == 210
    indices = [log.logIndex for log in grid.web3.eth.get_logs({"blockHash": sealed.hash})]
    assert indices == list(range(20))


def test_one_that_became_invalid_does_not_spoil_the_block(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(on_demand=True))
    grid.request("bingwang_faucet", ANA.address)
    grid.request("evm_mine")
    drain = grid.signed(ANA, to=BEN.address, value=9 * 10**17, gas=21_000)
    grid.web3.eth.send_raw_transaction(drain)
    more = grid.signed(ANA, to=BEN.address, value=9 * 10**17, gas=21_000)
    assert (
        "insufficient funds" in grid.request("eth_sendRawTransaction", f"0x{more.hex()}")["error"]["message"]
    )
    grid.web3.eth.send_raw_transaction(grid.transfer(BEN.address, 1))
    assert len(grid.request("bingwang_seal")["result"]["transactions"]) == 2


def test_final_is_two_behind_and_a_quiet_chain_gets_there(serving: Serving) -> None:
    grid = serving()
    receipt = mined(grid, grid.transfer(ANA.address, 1))
    deadline = time.monotonic() + 10
    while grid.web3.eth.get_block("finalized").number < receipt.blockNumber:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    head = grid.web3.eth.block_number
    assert grid.web3.eth.get_block("safe").number == head - 2
    time.sleep(0.2)
    assert grid.web3.eth.block_number == head


def test_a_reorg_takes_blocks_back_and_their_transactions_wait_again(serving: Serving) -> None:
    grid = serving(seal=SealPolicy(on_demand=True), allow_reorg=True)
    key = grid.web3.eth.send_raw_transaction(grid.transfer(ANA.address, 8))
    grid.request("evm_mine")
    lost = grid.web3.eth.get_block("latest")
    assert grid.request("bingwang_reorg", "0x1")["result"]["number"] == hex(lost.number + 1)
    assert grid.web3.eth.get_block(lost.number).hash != lost.hash
    assert grid.web3.eth.get_block(lost.hash).hash == lost.hash
    assert grid.token.functions.balanceOf(ANA.address).call() == 0
    assert grid.web3.eth.get_logs({"fromBlock": lost.number, "toBlock": "latest"}) == []
    with pytest.raises(TransactionNotFound):
        grid.web3.eth.get_transaction_receipt(key)
    grid.request("evm_mine")
    assert grid.web3.eth.get_transaction_receipt(key).blockNumber == lost.number + 2
    assert grid.token.functions.balanceOf(ANA.address).call() == 8


def test_a_grid_that_did_not_allow_it_has_no_reorg(serving: Serving) -> None:
    assert serving().request("bingwang_reorg", 1)["error"]["code"] == -32601


def test_the_faucet_gives_coin_and_token_until_its_limit(serving: Serving) -> None:
    grid = serving(faucet=FaucetPolicy(per_address=2, per_hour=3))
    for _ in range(2):
        sent = grid.request("bingwang_faucet", ANA.address)["result"]["transactions"]
        for key in sent:
            grid.web3.eth.wait_for_transaction_receipt(HexBytes(key), timeout=10, poll_latency=0.01)
    assert grid.web3.eth.get_balance(ANA.address) == 2 * 10**18
    assert grid.token.functions.balanceOf(ANA.address).call() == 2 * 10**9
    assert "this address" in grid.request("bingwang_faucet", ANA.address)["error"]["message"]
    assert "result" in grid.request("bingwang_faucet", BEN.address)
    other = Account.from_key(b"\x23" * 32).address
    assert "3 grants within an hour" in grid.request("bingwang_faucet", other)["error"]["message"]


def test_fees_are_suggested_and_remembered(serving: Serving) -> None:
    grid = serving()
    mined(grid, grid.transfer(ANA.address, 1))
    history = grid.web3.eth.fee_history(2, "latest", [0, 50, 100])
    assert len(history.baseFeePerGas) == 3
    assert all(len(rewards) == 3 for rewards in history.reward)
    assert grid.web3.eth.gas_price > grid.web3.eth.max_priority_fee > 0


def post(url: str, body: bytes) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read() or b"null")


def test_batches_are_answered_in_order(serving: Serving) -> None:
    grid = serving()
    with grid.web3.batch_requests() as batch:
        batch.add(grid.web3.eth.get_block(0))
        batch.add(grid.web3.eth.get_block(1))
        assert [block.number for block in batch.execute()] == [0, 1]


def test_requests_that_are_no_json_rpc_get_the_specifications_errors(serving: Serving) -> None:
    url = serving().web3.provider.endpoint_uri
    assert post(url, b"{")["error"]["code"] == -32700
    assert post(url, b"[]")["error"]["code"] == -32600
    assert post(url, b"7")["error"]["code"] == -32600
    assert [one["error"]["code"] for one in post(url, b"[1,2]")] == [-32600, -32600]
    call = {"jsonrpc": "2.0", "id": 7}
    for method, params, code in [
        ("eth_nothing", [], -32601),
        ("eth_getBalance", [], -32602),
        ("eth_getBalance", ["0x1"], -32602),
        ("eth_getBalance", {"a": 1}, -32602),
        ("eth_getBlockByNumber", ["soon"], -32602),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}], -32602),
        ("eth_getBalance", ["0x" + "11" * 20, "0xffff"], -32000),
        ("eth_getBalance", ["0x" + "11" * 20, hex(2**255)], -32000),
        ("eth_accounts", ["0x1"], -32602),
    ]:
        answer = post(url, json.dumps({**call, "method": method, "params": params}).encode())
        assert (answer["id"], answer["error"]["code"]) == (7, code), method
    assert post(url, b'{"jsonrpc":"2.0","method":"eth_chainId"}') is None


def test_unknown_things_are_null(serving: Serving) -> None:
    grid = serving()
    nothing = "0x" + "77" * 32
    asked: list[tuple[str, list[object]]] = [
        ("eth_getBlockByNumber", ["0xffff", False]),
        ("eth_getBlockByHash", [nothing, False]),
        ("eth_getTransactionByHash", [nothing]),
        ("eth_getTransactionReceipt", [nothing]),
        ("eth_getBlockReceipts", [nothing]),
    ]
    for method, params in asked:
        assert grid.request(method, *params)["result"] is None
