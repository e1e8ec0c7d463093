"""Delegates: whether a key may act for an account, as the chain says and for a moment remembered.

A laptop, a CI job or a colleague acts for a buyer with a key of its own, an agent for its provider. What
such a key may do is the contract's to say; asking it for every request would make each page of a log a
call to the chain, so a right serves for a few seconds. A revoked key may look that much longer; a bid of
it opens nothing. That a key may do nothing is never remembered: it may have just been given the right.
"""

import threading
from dataclasses import dataclass
from typing import Protocol

from ledger.market.delegation import Delegation, Role
from ledger.market.identity import Address

REMEMBER_SECONDS = 5
_MOST_REMEMBERED = 10_000


class Delegations(Protocol):
    """What is asked of the chain; `ledger.chain.client.MarketClient` is one."""

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        """Without roles where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    delegation: Delegation
    at: int


class Delegates:
    """Asks the chain who may act for whom. Thread-safe."""

    def __init__(self, chain: Delegations) -> None:
        self._chain = chain
        self._known: dict[tuple[Address, Address], _Answer] = {}
        self._lock = threading.Lock()

    def may(self, role: Role, account: Address, key: Address, at: int) -> bool:
        """Whether the key is the account's own, or has the role for it at `at` (seconds since 1970)."""
        return key == account or self._remembered(account, key, at).may(role, at)

    def _remembered(self, account: Address, key: Address, at: int) -> Delegation:
        with self._lock:
            known = self._known.get((account, key))
        if known is not None and 0 <= at - known.at < REMEMBER_SECONDS:
            return known.delegation
        found = self._chain.delegation_of(account, key)
        if not found.roles or at > found.until:
            return found
        with self._lock:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[(account, key)] = _Answer(delegation=found, at=at)
        return found
