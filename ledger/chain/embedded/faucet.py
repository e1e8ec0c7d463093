"""Gives newcomers of an embedded grid coin and test token; neither is worth anything outside.

A grant is written down before its transactions are made, so a kill in between costs the asker a turn and
never pays twice beyond the limit.
"""

import threading
from dataclasses import dataclass

from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth_keys.datatypes import PrivateKey
from eth_typing import Address

from ledger.chain.embedded import fees
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.market.errors import Rejected, Unavailable

HOUR = 3_600
_TRANSFER_SELECTOR = bytes.fromhex("a9059cbb")  # transfer(address,uint256), ERC-20
_TRANSFER_GAS = 21_000
_TOKEN_GAS = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FaucetPolicy:
    """A grant in wei and token base units, and how many an hour one address and all together may get."""

    coin: int = 10**18
    token: int = 1_000 * 10**6
    per_address: int = 3
    per_hour: int = 200


class Faucet:
    """Signs with the grid's faucet key; one grant at a time, so that its nonces never collide."""

    def __init__(self, chain: EmbeddedChain, policy: FaucetPolicy) -> None:
        self._chain = chain
        self._policy = policy
        self._turn = threading.Lock()

    def grant(self, address: bytes) -> list[bytes]:
        """Send coin, and token where the grid has one; the transactions' hashes.

        Raises `Rejected` for an address that had its share this hour, `Unavailable` when everybody had.
        """
        with self._turn:
            now = self._chain.now()
            self._check(address, now)
            self._chain.record_grant(address, now)
            sent = [self.send(address, value=self._policy.coin, gas=_TRANSFER_GAS)]
            token = self._chain.genesis.contracts.get("token")
            if token is not None:
                call = _TRANSFER_SELECTOR + address.rjust(32, b"\0") + self._policy.token.to_bytes(32, "big")
                sent.append(self.send(token, data=call, gas=_TOKEN_GAS))
            return sent

    def send(self, to: bytes, *, gas: int, value: int = 0, data: bytes = b"") -> bytes:
        """Sign and pool a transaction of the faucet's account; its hash."""
        return self._chain.submit(sign(self._chain, to=to, gas=gas, value=value, data=data))

    def _check(self, address: bytes, now: int) -> None:
        with self._chain.store.reading() as query:
            own, everybody = query.grants(now - HOUR, address), query.grants(now - HOUR)
        if own >= self._policy.per_address:
            raise Rejected(
                "faucet-limit",
                f"faucet limit reached: this address had {own} grants within an hour.",
                "Wait an hour, or use another account.",
            )
        if everybody >= self._policy.per_hour:
            raise Unavailable(
                "faucet-exhausted",
                f"faucet limit reached: {everybody} grants within an hour.",
                "Try again later.",
            )


def sign(chain: EmbeddedChain, *, to: bytes, gas: int, value: int = 0, data: bytes = b"") -> bytes:
    """A raw transaction of the faucet's account at its next nonce; `to` empty creates a contract."""
    unsigned = PragueTransactionBuilder.new_unsigned_dynamic_fee_transaction(
        chain_id=chain.genesis.chain_id,
        nonce=chain.next_nonce(chain.genesis.faucet),
        max_priority_fee_per_gas=fees.TIP,
        max_fee_per_gas=2 * fees.next_base_fee(chain.head()) + fees.TIP,
        gas=gas,
        to=Address(to),
        value=value,
        data=data,
        access_list=(),
    )
    return bytes(unsigned.as_signed_transaction(PrivateKey(chain.faucet_key)).encode())
