"""The same transactions on the embedded chain and on anvil: what differs is one EVM's or the other's."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account

from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.debug_methods import DebugMethods
from ledger.chain.embedded.eth_methods import EthMethods
from ledger.chain.embedded.grid import initialise, open_chain
from ledger.chain.embedded.transactions import TRANSACTION_GAS_CAP
from tests.anvil import anvil, ask
from tests.factories import NOW

CHAIN_ID = 77
KEY = b"\x05" * 32
SENDER = Account.from_key(KEY).address
GAS = 2_000_000
_FEES = {"maxFeePerGas": 4 * 10**9, "maxPriorityFeePerGas": 10**6}


@dataclass
class TwoChains:
    """One account, rich on both; every transaction sent is in a block of its own."""

    chain: EmbeddedChain
    url: str
    nonce: int = 0

    def waiting(self, **fields: Any) -> str:
        """Send it to both, where anvil mines it at once; its hash."""
        defaults = {"type": 2, "chainId": CHAIN_ID, "nonce": self.nonce, "gas": GAS, "value": 0}
        raw = bytes(Account.sign_transaction({**defaults, **_FEES, **fields}, KEY).raw_transaction)
        self.nonce += 1
        key = self.chain.submit(raw)
        assert ask(self.url, "eth_sendRawTransaction", f"0x{raw.hex()}") == f"0x{key.hex()}"
        return f"0x{key.hex()}"

    def send(self, **fields: Any) -> str:
        """Mine it on both; its hash."""
        key = self.waiting(**fields)
        assert self.chain.seal() is not None
        return key

    def deploy(self, creation: bytes, **fields: Any) -> bytes:
        """The address of a new contract, the same on both."""
        key = self.send(data=creation, **{"gas": TRANSACTION_GAS_CAP} | fields)
        receipt = ask(self.url, "eth_getTransactionReceipt", key)
        assert receipt["status"] == "0x1"
        with self.chain.store.reading() as query:
            included = query.transaction(bytes.fromhex(key[2:]))
            assert included is not None
            contract = query.receipt(included.block, included.position).contract
        assert contract == bytes.fromhex(receipt["contractAddress"][2:])
        return contract


@contextmanager
def two_chains(directory: Path) -> Iterator[TwoChains]:
    """Both of them, new, Prague."""
    initialise(directory, chain_id=CHAIN_ID, at=NOW, faucet_key=KEY)
    chain = open_chain(directory, lambda: NOW)
    try:
        with anvil("--chain-id", str(CHAIN_ID), "--hardfork", "prague", "--steps-tracing") as url:
            ask(url, "anvil_setBalance", SENDER, hex(10**24))
            yield TwoChains(chain=chain, url=url)
    finally:
        chain.close()


def debugging(chain: EmbeddedChain, clock: Callable[[], float] = time.monotonic) -> DebugMethods:
    """A chain's traces, as it is served with them."""
    eth = EthMethods(chain)
    return DebugMethods(chain, eth.references, eth.settings, clock)
