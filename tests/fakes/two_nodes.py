"""The embedded chain and anvil side by side, founded alike, with the same history sent to both.

Keys, nonces and fees are the same, so every transaction hash, gas figure, balance and root of transactions
or receipts is too. Only what a block's producer chooses differs, and with it block hashes.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from ledger.chain.embedded.genesis import BASE_FEE, FAUCET_COIN, GAS_LIMIT
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.sealing import SealPolicy
from ledger.chain.embedded.server import ServePolicy, serve
from tests.anvil import anvil

CHAIN_ID = 4242
KEY = b"\x05" * 32
RICH: LocalAccount = Account.from_key(KEY)
"""holds all the coin, and is the blocks' coinbase"""
POOR: LocalAccount = Account.from_key(b"\x06" * 32)
NOBODY = "0x" + "12" * 20
UNKNOWN = "0x" + "77" * 32
FIRST_BASE_FEE = BASE_FEE * 7 // 8
"""of block 1, after an empty block 0"""
BLOCK_FORKS = (
    "homestead",
    "eip150",
    "eip155",
    "eip158",
    "byzantium",
    "constantinople",
    "petersburg",
    "istanbul",
    "berlin",
    "london",
)
TIME_FORKS = ("shanghai", "cancun", "prague")


@dataclass
class Node:
    """One of the two, as a client sees it; `blocks` names the hashes that are its own."""

    name: str
    url: str
    client: httpx.Client
    blocks: dict[str, str] = field(default_factory=dict)

    def post(self, body: bytes) -> Any:
        """What it answers to an HTTP body; None when it answers nothing."""
        response = self.client.post(self.url, content=body, headers={"Content-Type": "application/json"})
        return response.json() if response.content else None

    def ask(self, method: str, *params: object) -> dict[str, Any]:
        """The answer's `result` or `error`, alone."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self.post(json.dumps(request).encode())
        return {key: value for key, value in answer.items() if key in ("result", "error")}

    def get(self, method: str, *params: object) -> Any:
        """The result of what cannot fail here."""
        answer = self.ask(method, *params)
        assert "result" in answer, (self.name, method, answer)
        return answer["result"]

    def mine(self, *raws: str) -> None:
        """Seal a block of these transactions and learn its hash."""
        for raw in raws:
            self.get("eth_sendRawTransaction", raw)
        assert len(self.mine_waiting()["transactions"]) == len(raws)

    def mine_waiting(self) -> dict[str, Any]:
        """Seal a block of what waits, and learn its hash; the block."""
        self.get("evm_mine")
        block: dict[str, Any] = self.get("eth_getBlockByNumber", "latest", False)
        self.blocks[block["hash"]] = f"block {int(block['number'], 16)}"
        return block

    def hash_of(self, number: int) -> str:
        """Its own hash of that block."""
        return next(key for key, name in self.blocks.items() if name == f"block {number}")


Pair = tuple[Node, Node]
"""ours and anvil"""


def signed(nonce: int, account: LocalAccount = RICH, **fields: Any) -> str:
    """A raw transaction; type 2 unless `type` says otherwise."""
    common: dict[str, Any] = {"chainId": CHAIN_ID, "gas": 200_000, "nonce": nonce, "value": 0, "type": 2}
    if fields.get("type", 2) == 2:
        common.update(maxFeePerGas=4 * 10**9, maxPriorityFeePerGas=10**6)
    body = {**common, **fields}
    if body["type"] == 0:
        del body["type"]
    return "0x" + bytes(account.sign_transaction(body).raw_transaction).hex()


def hash_of(raw: str) -> str:
    """A transaction's hash."""
    return "0x" + keccak(bytes.fromhex(raw[2:])).hex()


def created(nonce: int) -> str:
    """The address of the contract that `RICH` creates with that nonce."""
    return to_checksum_address(keccak(rlp.encode([bytes.fromhex(RICH.address[2:]), nonce]))[-20:])


def word(value: int) -> str:
    """32 bytes in hex."""
    return f"0x{value:064x}"


def creation(code: str) -> str:
    """Creation code of a contract with this runtime code (at most 255 bytes)."""
    size = len(bytes.fromhex(code))
    # push1 size, dup1, push1 9, push0, codecopy, push0, return
    return f"0x60{size:02x}8060095f395ff3{code}"


REVERTS, STORES, LOOKS, BREAKS, LOGS, FORWARDS = (created(nonce) for nonce in range(6))
_CODES = {
    REVERTS: "365f5f37365ffd",  # reverts with what it was called with
    STORES: "36600c575f545f5260205ff35b5f355f5500",  # slot 0: read without input, written with
    # number, gasprice, chainid, caller, blockhash(number - 1), coinbase, gaslimit, selfbalance
    LOOKS: "435f523a6020524660405233606052600143034060805241" + "60a0524560c0524760e0526101005ff3",
    BREAKS: "fe",
    LOGS: "6040356020355f355f5260205fa200",  # logs word 0 under the topics word 1 and word 2
    # calls STORES with its own input; reverts where that fails
    FORWARDS: f"365f5f375f5f365f5f73{STORES[2:].lower()}5af16026575f5ffd5b00",
}
FIRST_FREE_NONCE = 15
LOGGED = [(1, 70, 80), (2, 70, 81), (3, 71, 80)]
"""data word and the two topics of the logs, all in block 2"""


def emit(value: int, first: int, second: int) -> str:
    """Input that makes LOGS log `value` under two topics."""
    return word(value) + word(first)[2:] + word(second)[2:]


def history() -> list[list[str]]:
    """The transactions of blocks 1 to 4."""
    creations = [signed(n, to=b"", data=creation(code)) for n, code in enumerate(_CODES.values())]
    logs = [signed(6 + n, to=LOGS, data=emit(*one)) for n, one in enumerate(LOGGED)]
    access = [{"address": STORES, "storageKeys": [word(0)]}]
    others = [
        signed(9, type=0, to=NOBODY, value=9, gas=21_000, gasPrice=2 * 10**9),
        signed(10, type=1, to=STORES, data=word(5), gasPrice=10**9, accessList=access),
        signed(11, to=REVERTS, data="0x1234"),
        signed(12, to=STORES, data=word(0)),
        signed(13, to=STORES, data=word(6)),
    ]
    return [creations, [*logs, *others], [], [signed(14, to=NOBODY, value=10**18, gas=21_000)]]


@contextmanager
def two_nodes(directory: Path) -> Iterator[Pair]:
    """Both, with the history mined."""
    at = int(time.time())
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=60))
        ours = Node("embedded", stack.enter_context(_embedded(directory, at)), client)
        theirs = Node("anvil", stack.enter_context(_anvil(directory, at)), client)
        for node in (ours, theirs):
            node.blocks[node.get("eth_getBlockByNumber", "0x0", False)["hash"]] = "block 0"
            for transactions in history():
                node.mine(*transactions)
        yield ours, theirs


@contextmanager
def _embedded(directory: Path, at: int) -> Iterator[str]:
    initialise(directory / "chain", chain_id=CHAIN_ID, at=at, faucet_key=KEY)
    chain = open_chain(directory / "chain", time.time)
    try:
        with serve(chain, policy=ServePolicy(seal=SealPolicy(on_demand=True))) as server:
            yield server.url
    finally:
        chain.close()


@contextmanager
def _anvil(directory: Path, at: int) -> Iterator[str]:
    path = directory / "genesis.json"
    path.write_text(json.dumps(_genesis(at)))
    options = {
        "--init": path,
        "--chain-id": CHAIN_ID,
        "--hardfork": "prague",
        "--order": "fifo",
        "--slots-in-an-epoch": 1,
        "--gas-limit": GAS_LIMIT,
        "--block-base-fee-per-gas": FIRST_BASE_FEE,
        "--balance": 0,
    }
    flat = [str(part) for option in options.items() for part in option]
    with anvil("--no-mining", *flat) as url:
        yield url


def _genesis(at: int) -> dict[str, object]:
    return {
        "config": {
            "chainId": CHAIN_ID,
            "terminalTotalDifficulty": 0,
            **{f"{fork}Block": 0 for fork in BLOCK_FORKS},
            **{f"{fork}Time": 0 for fork in TIME_FORKS},
        },
        "alloc": {RICH.address: {"balance": hex(FAUCET_COIN)}},
        "coinbase": RICH.address,
        "difficulty": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "baseFeePerGas": hex(BASE_FEE),
        "timestamp": hex(at),
        "nonce": "0x0",
        "extraData": "0x",
        "mixHash": "0x" + "00" * 32,
    }


Params = tuple[object, ...] | Callable[[Node], tuple[object, ...]]
