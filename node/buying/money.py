"""Money in and out of the market for a buyer without the chain's coin: what is signed, the node sends.

A deposit is the token's own permit (ERC-2612) to the market, a withdrawal the signed type `Withdraw` of
PROTOCOL. Whoever delivers either can neither change it nor use it twice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.client import MarketClient
from ledger.chain.keys import Signer
from ledger.chain.wallet import sign_permit, sign_withdrawal
from ledger.market.errors import Rejected, Unavailable
from ledger.market.identity import Address
from node.buying.client import NodeClient, Plain
from node.buying.nonces import NonceCounter

DEADLINE_SECONDS = 600
_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class RelayedMoney:
    """One wallet's signed orders at one node. `clock` gives seconds since 1970."""

    key: Signer
    chain: MarketClient
    node: NodeClient
    nonces: NonceCounter
    clock: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def deposit(self, amount: int) -> Plain:
        """Sign a permit of `amount` base units, have the node deposit it, and wait; the relay's end."""
        signed = sign_permit(self.chain, self.key, amount, self._deadline())
        return self._await(self.node.relay_deposit(signed))

    def withdraw(self, amount: int, to: Address) -> Plain:
        """Sign an order to pay `amount` base units to `to`, have the node deliver it, and wait."""
        (nonce,) = self.nonces.take(1)
        signed = sign_withdrawal(
            self.chain, self.key, to=to, amount=amount, nonce=nonce, deadline=self._deadline()
        )
        return self._await(self.node.relay_withdrawal(signed))

    def _deadline(self) -> int:
        return int(self.clock()) + DEADLINE_SECONDS

    def _await(self, accepted: Plain) -> Plain:
        name, until = str(accepted["relay"]), self.clock() + _WAIT_SECONDS
        while self.clock() < until:
            shown = self.node.relay(name)
            if shown["state"] == "done":
                return shown
            if shown["state"] == "failed":
                raise Rejected(
                    "relay-failed",
                    str(shown["cause"]),
                    "Look at the balance, then sign it again.",
                    relay=name,
                )
            self.sleep(_PAUSE_SECONDS)
        raise Unavailable(
            "relay-under-way", "The node has not got it into a block yet.", "Look at the balance later."
        )
