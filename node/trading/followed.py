"""Followed: what the chain says of accounts, answered from the events that the node has followed.

A door that asked the chain for each bid would be as slow as the chain's RPC. Every balance, epoch, spent
nonce and delegation is an event, so the books know them as of the last block that was followed. That may be
a moment old, in two directions. Where it is too strict (a deposit, a new delegate not yet seen), the
exchange asks the chain before it refuses. Where it is too lax (a withdrawal, a nonce cancelled a second
ago), the order is planned and the contract, which alone moves money, skips it: `BidSkipped` frees what was
planned and costs one call's gas. The same could always happen, since no answer of the chain binds the next
block; what was followed is only a little older than what the head would have said.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ledger.books.door_queries import NONCES_A_WORD
from ledger.books.queries import Queries
from ledger.market.delegation import Delegation, revoked
from ledger.market.events import LeaseOpened, MarketEvent, NoncesCancelled
from ledger.market.facts import GangPlanned, LeasePlanned, PlanFailed
from ledger.market.identity import NOBODY, Address
from node.trading.admission import Order

_MOST_REMEMBERED = 100_000


class AccountView(Protocol):
    """What is asked of accounts: of the chain's head, or of what was followed."""

    def balance_of(self, account: Address) -> int: ...

    def epoch_of(self, account: Address) -> int: ...

    def nonce_used(self, account: Address, nonce: int) -> bool: ...

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        """Without roles where there is none."""
        ...


class Followed:
    """An `AccountView` over the books; under the exchange's lock."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._balances: dict[Address, int] = {}
        self._epochs: dict[Address, int] = {}
        self._delegations: dict[tuple[Address, Address], Delegation] = {}
        self._spent: dict[tuple[Address, int], int] = {}

    def rebuild(self) -> None:
        """Everything anew from the books."""
        self._forget_all()
        spent: dict[tuple[Address, int], int] = defaultdict(int)
        for account, word, mask in self._queries.spent_nonces():
            spent[(account, word)] |= mask
        self._spent = dict(spent)

    def take(self, moves: Iterable[MarketEvent | LeasePlanned | GangPlanned | PlanFailed]) -> None:
        """Nonces that these events spent are spent; a second time changes nothing."""
        for event in moves:
            match event:
                case NoncesCancelled(account=account, word=word, mask=mask):
                    self._spend(account, word, mask)
                case LeaseOpened(terms=terms, nonce=nonce):
                    self._spend(terms.buyer, nonce // NONCES_A_WORD, 1 << nonce % NONCES_A_WORD)
                case _:
                    pass

    def forget(self, accounts: Iterable[Address]) -> None:
        """These accounts' money, keys or epochs have changed."""
        gone = set(accounts)
        for account in gone:
            self._balances.pop(account, None)
            self._epochs.pop(account, None)
        for pair in [pair for pair in self._delegations if pair[0] in gone]:
            del self._delegations[pair]

    def balance_of(self, account: Address) -> int:
        if account not in self._balances:
            self._make_room()
            self._balances[account] = self._queries.balance(account)
        return self._balances[account]

    def epoch_of(self, account: Address) -> int:
        if account not in self._epochs:
            self._make_room()
            self._epochs[account] = self._queries.epoch_of(account)
        return self._epochs[account]

    def nonce_used(self, account: Address, nonce: int) -> bool:
        word, bit = divmod(nonce, NONCES_A_WORD)
        return bool(self._spent.get((account, word), 0) >> bit & 1)

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        if (account, key) not in self._delegations:
            self._make_room()
            found = self._queries.delegation(account, key)
            self._delegations[(account, key)] = found or revoked(key)
        return self._delegations[(account, key)]

    def _spend(self, account: Address, word: int, mask: int) -> None:
        self._spent[(account, word)] = self._spent.get((account, word), 0) | mask

    def _make_room(self) -> None:
        if len(self._balances) + len(self._epochs) + len(self._delegations) > _MOST_REMEMBERED:
            self._forget_all()

    def _forget_all(self) -> None:
        self._balances.clear()
        self._epochs.clear()
        self._delegations.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An `AccountView` of one order's buyer, as the chain's head told it."""

    balance: int
    epoch: int
    used: frozenset[int]
    delegation: Delegation

    def balance_of(self, _account: Address) -> int:
        return self.balance

    def epoch_of(self, _account: Address) -> int:
        return self.epoch

    def nonce_used(self, _account: Address, nonce: int) -> bool:
        return nonce in self.used

    def delegation_of(self, _account: Address, _key: Address) -> Delegation:
        return self.delegation


def told_by(chain: AccountView, order: Order) -> Told:
    """All that the chain's head says of an order's buyer; several calls."""
    buyer = order.bid.buyer
    nonces = [signed.bid.nonce for signed in order.ways[0].attempts]
    return Told(
        balance=chain.balance_of(buyer),
        epoch=chain.epoch_of(buyer),
        used=frozenset(nonce for nonce in nonces if chain.nonce_used(buyer, nonce)),
        delegation=revoked(NOBODY)
        if order.delegate == NOBODY
        else chain.delegation_of(buyer, order.delegate),
    )
