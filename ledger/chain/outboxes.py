"""Why a party with two keys has two outboxes: nonces, and what is in flight, belong to the account that sent.

The current key's takes every new wish but those that name a former key; a former one's finishes what it has
in flight, and sends what names it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from ledger.chain.keyring import Keyring
from ledger.chain.keys import Signer
from ledger.chain.outbox import Outbox
from ledger.chain.outbox_ports import OutboxChain, OutboxPolicy, OutboxStore
from ledger.market.errors import MarketError
from ledger.market.identity import Address
from ledger.market.instructions import Instruction

Takes = Callable[[Instruction], bool]


class Steps(Protocol):
    """One account's outbox; `ledger.chain.outbox.Outbox` is one."""

    def step(self, at: int) -> int: ...


class Outboxes:
    """Steps each in its turn; one that fails does not keep the others from going on."""

    def __init__(self, outboxes: Sequence[Steps]) -> None:
        self._outboxes = outboxes

    def step(self, at: int) -> int:
        """How much all of them did; the first failure, once all were stepped."""
        done, failures = 0, []
        for outbox in self._outboxes:
            try:
                done += outbox.step(at)
            except MarketError as exc:
                failures.append(exc)
        if failures:
            raise failures[0]
        return done


def outboxes_of(
    keys: Keyring,
    store_of: Callable[[Address, Takes | None], OutboxStore],
    chain: OutboxChain,
    policy: OutboxPolicy,
) -> Outboxes:
    """One outbox a key; `store_of` gives the store of an account, which shows what `Takes` lets through."""

    def outbox(key: Signer) -> Outbox:
        def sends(wish: Instruction) -> bool:
            return keys.sender_of(wish) == key.address

        return Outbox(store_of(key.address, sends if keys.former else None), chain, key, policy)

    return Outboxes([outbox(key) for key in keys.all()])
