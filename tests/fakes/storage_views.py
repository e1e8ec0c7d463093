"""A contract's views answered from its storage words, without running its code.

A state machine asks some hundred views after each step; through the EVM that is most of its time. Here the
words are read where the committed layout says that they lie, so the comparison sees them all the same. What
is no view of state (calls, checks, digests) goes to the contract.
"""

from functools import lru_cache
from typing import Any

import boa
from boa.contracts.abi.abi_contract import ABIContract
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from contracts.loader import artifact
from tests.fakes.in_process_market import ARTIFACTS, InProcessMarket

AMOUNT = 2**88 - 1
LANES = 2**224 - 1


@lru_cache(maxsize=2**16)
def place(slot: int, *keys: bytes) -> int:
    """Where a map's value lies."""
    at = slot.to_bytes(32, "big")
    for key in keys:
        at = keccak(at + key.rjust(32, b"\0"))
    return int.from_bytes(at, "big")


def raw(address: Any) -> bytes:
    return bytes.fromhex(str(address)[2:])


class StorageViews:
    """The contract itself, but for the views that a subclass answers."""

    def __init__(self, contract: ABIContract, role: str) -> None:
        self._contract = contract
        self._at = raw(contract.address)
        self._layout = artifact(ARTIFACTS[role]).storage_layout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contract, name)

    def _word(self, path: str, *keys: bytes) -> int:
        slot: Any = self._layout
        for name in path.split("."):
            slot = slot[name]
        return int(boa.env.evm.vm.state.get_storage(self._at, place(slot["slot"], *keys)))


class MarketViews(StorageViews):
    """The market's."""

    def _account(self, account: Any) -> int:
        return self._word("accounts._words", raw(account))

    def balanceOf(self, account: Any) -> int:  # noqa: N802 - the contract's name
        return self._account(account) & AMOUNT

    def stakeOf(self, account: Any) -> int:  # noqa: N802
        return self._account(account) >> 88 & AMOUNT

    def epochOf(self, account: Any) -> int:  # noqa: N802
        return self._account(account) >> 176 & 2**32 - 1

    def nonceUsed(self, account: Any, nonce: int) -> bool:  # noqa: N802
        word = self._account(account)
        if nonce >> 5 == word >> 240:
            return bool(word >> 208 >> (nonce & 31) & 1)
        bits = self._word("accounts._bitmaps", raw(account), (nonce >> 8).to_bytes(32, "big"))
        return bool(bits >> (nonce & 255) & 1)

    def unstakingOf(self, account: Any) -> tuple[int, int]:  # noqa: N802
        word = self._word("staking._queues", raw(account))
        return word & 2**128 - 1, word >> 128

    def delegateOf(self, account: Any, key: Any) -> tuple[int, int, int]:  # noqa: N802
        word = self._word("delegates._words", raw(account), raw(key))
        return word >> 168, word & 2**128 - 1, word >> 128 & 2**40 - 1

    def guardian(self) -> str:
        return str(to_checksum_address(self._word("pausing.guardian").to_bytes(20, "big")))

    def pausedUntil(self) -> int:  # noqa: N802
        return self._word("pausing.pausedUntil")

    def burned(self) -> int:
        return self._word("staking.burned")

    def usedOf(self, digest: bytes) -> int:  # noqa: N802
        return self._word("registry._words", digest) & LANES

    def offerFlags(self, digest: bytes) -> int:  # noqa: N802
        return self._word("registry._words", digest) >> 224

    def leaseOf(self, lease: bytes) -> tuple[int, int, int, int, int]:  # noqa: N802
        word = self._word("leases._words", lease)
        return (
            word & AMOUNT,
            word >> 88 & AMOUNT,
            word >> 176 & 2**40 - 1,
            word >> 216 & 2**32 - 1,
            word >> 248,
        )

    def claimOf(self, lease: bytes) -> tuple[int, int, int]:  # noqa: N802
        word = self._word("claims._words", lease)
        return word & AMOUNT, word >> 88 & AMOUNT, word >> 176


class JuryViews(StorageViews):
    """The jury's."""

    def commitmentOf(self, lease: bytes) -> bytes:  # noqa: N802
        return self._word("_commitments", lease).to_bytes(32, "big")

    def resultOf(self, lease: bytes) -> bytes:  # noqa: N802
        return self._word("_results", lease).to_bytes(32, "big")

    def commitsOf(self, bid: bytes) -> int:  # noqa: N802
        return self._word("_commits", bid)


class TokenViews(StorageViews):
    """The test token's."""

    def balanceOf(self, account: Any) -> int:  # noqa: N802
        return self._word("balanceOf", raw(account))

    def allowance(self, owner: Any, spender: Any) -> int:
        return self._word("allowance", raw(owner), raw(spender))

    def nonces(self, owner: Any) -> int:
        return self._word("nonces", raw(owner))


def read_storage(chain: InProcessMarket) -> None:
    """From now on the chain's views are read from storage."""
    chain.market = MarketViews(chain.market, "market")
    chain.jury = JuryViews(chain.jury, "jury")
    chain.token = TokenViews(chain.token, "token")


def ask_contracts(chain: InProcessMarket) -> None:
    """From now on they are asked of the contracts again."""
    for role in ARTIFACTS:
        view = getattr(chain, role)
        if isinstance(view, StorageViews):
            setattr(chain, role, view._contract)
