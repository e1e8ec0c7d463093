"""Why the figures are a chain's own: every measured call is a signed transaction in a block of its own.

py-evm under Prague rules in memory, as the embedded chain runs it; what counts is the receipt's gas, so
calldata, the base cost and refunds are in. Keys, addresses and chain id are fixed, so that a figure is the
same on every machine.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from eth.abc import SignedTransactionAPI
from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from ledger.chain.embedded.evm import SharedSecondVM
from ledger.chain.embedded.genesis import Genesis, header_fields, state
from ledger.chain.embedded.transactions import pooled
from ledger.market.identity import Address

CHAIN_ID = 31_337
NOW = 1_800_000_000
MAX_GAS = 16_777_216
"""what one transaction may have (EIP-7825)"""
_FEE = 2 * 10**9
_COIN = 10**20


def key_of(name: str) -> LocalAccount:
    """The same key for a name, always."""
    return Account.from_key(sha256(name.encode()).digest())  # type: ignore[no-any-return]


def address_of(key: LocalAccount) -> Address:
    return Address(bytes.fromhex(str(key.address)[2:]))


class BenchChain(MiningChain):
    """py-evm's own chain under the embedded chain's rules."""

    vm_configuration = ((0, SharedSecondVM),)  # type: ignore[assignment]  # py-evm annotates no ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """What a transaction used, the bytes of its call data, and the contract that it made, if one."""

    gas: int
    calldata: int
    created: Address
    topics: tuple[bytes, ...]
    """the first topic of each of its logs"""
    data: tuple[bytes, ...]
    indexed: tuple[tuple[bytes, ...], ...]


class Refused(Exception):
    """A transaction of the benchmark failed: the benchmark is wrong."""


@dataclass(slots=True)
class Evm:
    """A chain in memory; `at` is the second of the next block."""

    at: int = NOW
    nonces: dict[str, int] = field(default_factory=dict)
    chain: BenchChain = field(init=False)
    purse: LocalAccount = field(default_factory=lambda: key_of("purse"))

    def __post_init__(self) -> None:
        identity = Genesis(chain_id=CHAIN_ID, timestamp=NOW, faucet=address_of(self.purse))
        chosen = BenchChain.configure(__name__="BenchChain", chain_id=CHAIN_ID)
        founded = chosen.from_genesis(AtomicDB(), header_fields(identity), state(identity))
        assert isinstance(founded, BenchChain)
        self.chain = founded

    def grant(self, *keys: LocalAccount) -> None:
        """Give coin to those who send transactions."""
        for key in keys:
            self._mine(self._signed(self.purse, address_of(key), b"", 21_000, _COIN), b"")

    def deploy(self, key: LocalAccount, code: bytes) -> Mined:
        """Create a contract."""
        return self._mine(self._signed(key, None, code, MAX_GAS), code)

    def send(self, key: LocalAccount, to: Address, data: bytes) -> Mined:
        """One call of a contract; `Refused` where it reverts."""
        return self._mine(self._signed(key, to, data, MAX_GAS), data)

    def _signed(
        self, key: LocalAccount, to: Address | None, data: bytes, gas: int, value: int = 0
    ) -> SignedTransactionAPI:
        name = str(key.address)
        nonce = self.nonces.get(name, 0)
        self.nonces[name] = nonce + 1
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": _FEE,
            "maxPriorityFeePerGas": 1,
            "value": value,
            "data": data,
        }
        if to is not None:
            fields["to"] = to_checksum_address(to)
        return pooled(bytes(key.sign_transaction(fields).raw_transaction), CHAIN_ID).signed

    def _mine(self, transaction: SignedTransactionAPI, data: bytes) -> Mined:
        self.chain.header = self.chain.header.copy(timestamp=self.at)
        result, receipts, computations = self.chain.mine_all([transaction])
        if computations[0].is_error:
            raise Refused(computations[0].output[4:].rstrip(b"\0").decode("ascii", "replace"))
        logs = receipts[0].logs
        topics = [tuple(topic.to_bytes(32, "big") for topic in log.topics) for log in logs]
        return Mined(
            gas=result.imported_block.header.gas_used,
            calldata=len(data),
            created=Address(bytes(computations[0].msg.storage_address)),
            topics=tuple(log_topics[0] for log_topics in topics),
            data=tuple(bytes(log.data) for log in logs),
            indexed=tuple(log_topics[1:] for log_topics in topics),
        )
