"""One way to drive every chain that is measured: take signed transactions, seal a block of them.

Ours runs as a library on a file with `synchronous=FULL`; eth-tester as its users run it, in memory; anvil
(revm, compiled Rust) as a process over HTTP. The figures therefore put our durable Python chain against one
that writes nothing, and against what native code can do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from eth_tester import PyEVMBackend  # type: ignore[import-untyped]  # it has no type information
from eth_utils.address import to_checksum_address

from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.genesis import FAUCET_COIN, GAS_LIMIT
from ledger.chain.embedded.grid import initialise, open_chain
from scripts.gas.evm import CHAIN_ID, key_of
from scripts.ledger_bench.workload import FAUCET_KEY, START
from tests.anvil import anvil

PURSE = to_checksum_address(key_of("purse").address)


class Bench(Protocol):
    """A chain under measurement."""

    def block(self, raws: Sequence[bytes]) -> None:
        """Take these transactions and seal a block with all of them."""

    def logs(self) -> int:
        """How many events the last block has."""


class Ours:
    """The embedded chain."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain

    def block(self, raws: Sequence[bytes]) -> None:
        for raw in raws:
            self.chain.submit(raw)
        sealed = self.chain.seal(empty=not raws)
        assert sealed is not None
        assert len(sealed.included) == len(raws), sealed.invalid

    def logs(self) -> int:
        head = self.chain.head()
        with self.chain.store.reading() as query:
            count = query.transaction_count(head.hash)
            return sum(len(query.logs_of(head.hash, place)) for place in range(count))


class EthTester:
    """eth-tester's py-evm backend.

    Its front end mines on every transaction, or undoes each and runs it again: it is passed by, a favour.
    """

    def __init__(self) -> None:
        parameters = PyEVMBackend.generate_genesis_params({"timestamp": START, "gas_limit": GAS_LIMIT})
        account = {"balance": FAUCET_COIN, "nonce": 0, "code": b"", "storage": {}}
        self._backend = PyEVMBackend(parameters, {bytes.fromhex(PURSE[2:]): account})
        self._backend.chain.chain_id = CHAIN_ID

    def block(self, raws: Sequence[bytes]) -> None:
        for raw in raws:
            self._backend.send_raw_transaction(raw)
        list(self._backend.mine_blocks(1))

    def logs(self) -> int:
        block = self._backend.get_block_by_number("latest", full_transaction=False)
        return sum(len(self._backend.get_transaction_receipt(key)["logs"]) for key in block["transactions"])


class Anvil:
    """anvil over HTTP: a batch of transactions (which it takes in any order), then `evm_mine`."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._url = url
        self._client = client
        self._ask([("anvil_setBalance", [PURSE, hex(FAUCET_COIN)])])

    def block(self, raws: Sequence[bytes]) -> None:
        self._ask([("eth_sendRawTransaction", [f"0x{raw.hex()}"]) for raw in raws])
        self._ask([("evm_mine", [])])

    def logs(self) -> int:
        return len(self._ask([("eth_getLogs", [{"fromBlock": "latest", "toBlock": "latest"}])])[0])

    def _ask(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        questions = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": parameters}
            for place, (method, parameters) in enumerate(calls)
        ]
        answers = self._client.post(self._url, json=questions).raise_for_status().json()
        errors = [answer["error"] for answer in answers if "error" in answer]
        assert not errors, errors[0]
        return [answer["result"] for answer in answers]


@contextmanager
def ours(directory: Path) -> Iterator[Ours]:
    """A new embedded chain in `directory`, which the bench's purse owns."""
    initialise(directory, chain_id=CHAIN_ID, at=START, faucet_key=FAUCET_KEY)
    chain = open_chain(directory, lambda: START)
    try:
        yield Ours(chain)
    finally:
        chain.close()


@contextmanager
def anvils() -> Iterator[Anvil]:
    """A new anvil of the same rules."""
    options = ("--no-mining", "--chain-id", str(CHAIN_ID), "--timestamp", str(START), "--hardfork", "prague")
    limits = ("--gas-limit", str(GAS_LIMIT), "--order", "fifo")
    with anvil(*options, *limits) as url, httpx.Client(timeout=60) as client:
        yield Anvil(url, client)


def warm_up(chain: Bench, founding: Sequence[bytes]) -> None:
    """Found the market, a block for each transaction."""
    for raw in founding:
        chain.block([raw])
