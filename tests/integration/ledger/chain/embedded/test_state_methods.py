"""What an account holds is told for every block whose state is kept, and refused by name for others."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.eth_methods import EthMethods
from ledger.chain.embedded.faucet import sign
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.rpc import Dispatcher
from ledger.chain.embedded.rpc_error import RpcError

ANA = "0x" + "0a" * 20
CALL = {"to": ANA}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    initialise(tmp_path, chain_id=77, at=int(time.time()), faucet_key=b"\x05" * 32)
    opened = open_chain(tmp_path, time.time, finality=1, keep_states=3)
    for _ in range(6):
        opened.submit(sign(opened, to=bytes.fromhex(ANA[2:]), value=1, gas=21_000))
        opened.seal()
    yield opened
    opened.close()


@pytest.fixture
def node(chain: EmbeddedChain) -> Dispatcher:
    return Dispatcher(EthMethods(chain).table())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", [ANA]),
        ("eth_getCode", [ANA]),
        ("eth_getStorageAt", [ANA, "0x0"]),
        ("eth_getTransactionCount", [ANA]),
        ("eth_getProof", [ANA, []]),
        ("eth_call", [CALL]),
        ("eth_estimateGas", [CALL]),
        ("eth_createAccessList", [CALL]),
    ],
)
def test_a_pruned_state_is_a_missing_trie_node_and_a_kept_one_answers(
    node: Dispatcher, method: str, params: list[Any]
) -> None:
    assert node.call(method, [*params, "0x4"])
    with pytest.raises(RpcError, match="missing trie node") as refusal:
        node.call(method, [*params, "0x1"])
    assert refusal.value.code == -32000


def test_a_replaced_block_is_refused_where_a_canonical_one_is_required(
    chain: EmbeddedChain, node: Dispatcher
) -> None:
    replaced = f"0x{chain.head().hash.hex()}"
    assert node.call("eth_getBalance", [ANA, {"blockHash": replaced, "requireCanonical": True}]) == "0x6"
    chain.reorg(1)
    assert node.call("eth_getBalance", [ANA, {"blockHash": replaced}]) == "0x6"
    with pytest.raises(RpcError, match="not currently canonical"):
        node.call("eth_getBalance", [ANA, {"blockHash": replaced, "requireCanonical": True}])


@pytest.mark.parametrize(
    "reference", [{}, {"blockHash": "0x" + "11" * 32, "blockNumber": "0x1"}, {"blockHash": "0x1"}]
)
def test_a_reference_names_a_block_in_one_way(node: Dispatcher, reference: object) -> None:
    with pytest.raises(RpcError) as refusal:
        node.call("eth_getBalance", [ANA, reference])
    assert refusal.value.code == -32602


@pytest.mark.parametrize(
    ("state", "header", "message"),
    [
        ([], None, "state overrides must be an object"),
        ({ANA: {"colour": "0x1"}}, None, "account override colour is not supported"),
        ({ANA: {"nonce": hex(2**64)}}, None, "nonce is out of range"),
        ({ANA: {"stateDiff": {"0x0": "0x1"}}}, None, "odd length"),
        (None, {"colour": "0x1"}, "block override colour is not supported"),
    ],
)
def test_overrides_that_mean_nothing_are_refused(
    node: Dispatcher, state: object, header: object, message: str
) -> None:
    with pytest.raises(RpcError, match=message) as refusal:
        node.call("eth_call", [CALL, "latest", state, header])
    assert refusal.value.code == -32602


def test_the_pending_state_follows_the_pool(chain: EmbeddedChain, node: Dispatcher) -> None:
    assert node.call("eth_getBalance", [ANA, "pending"]) == "0x6"
    chain.submit(sign(chain, to=bytes.fromhex(ANA[2:]), value=4, gas=21_000))
    assert node.call("eth_getBalance", [ANA, "pending"]) == "0xa"
    assert node.call("eth_getBalance", [ANA, "latest"]) == "0x6"
    chain.seal()
    assert (
        node.call("eth_getBalance", [ANA, "latest"]) == node.call("eth_getBalance", [ANA, "pending"]) == "0xa"
    )


def test_a_call_on_the_head_sees_the_present_second(chain: EmbeddedChain, node: Dispatcher) -> None:
    now = chain.head().timestamp + 1_000
    chain.clock = lambda: now
    code = {ANA: {"code": "0x425f5260205ff3"}}  # returns its block's timestamp
    assert int(str(node.call("eth_call", [CALL, "latest", code])), 16) == now
    assert int(str(node.call("eth_call", [CALL, "pending", code])), 16) == now
    head = hex(chain.head().number)
    assert int(str(node.call("eth_call", [CALL, head, code])), 16) == chain.head().timestamp
