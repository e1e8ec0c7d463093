"""Funds: what a buyer can still promise. An order is accepted where its limit is covered beside all that
was accepted before; an order that rests takes part only while it is still covered, since a match that the
contract skips for want of funds costs the node gas, again and again. What a delegate signs must fit into
its allowance in the same way."""

from collections.abc import Sequence
from typing import Protocol

from ledger.books.queries import Queries
from ledger.books.rows import JobRow, LeaseRow
from ledger.market.delegation import Delegation, Role
from ledger.market.errors import Rejected
from ledger.market.identity import NOBODY, Address, text
from ledger.market.lifecycle import LeaseState
from ledger.market.money import escrow_for, pay_for
from node.trading.admission import Order, bad_signature
from node.trading.resting import INCLUSION_SECONDS


class Balances(Protocol):
    """What the chain's head says of a buyer's money, in base units, and of who may spend it."""

    def balance_of(self, account: Address) -> int: ...

    def delegation_of(self, account: Address, key: Address) -> Delegation:
        """Without roles where there is none."""
        ...


class Funds:
    """Reads the chain for new orders (a deposit may be a moment old) and the books for resting ones."""

    def __init__(self, queries: Queries, chain: Balances) -> None:
        self._queries = queries
        self._chain = chain

    def free(self, buyer: Address) -> int:
        """Base units of the buyer in the market that no unopened order has reserved."""
        return max(0, self._chain.balance_of(buyer) - self._queries.reserved(buyer))

    def check(self, buyer: Address, needed: int, refund: int = 0) -> None:
        """`Rejected` where `needed` base units are not covered; `refund` comes back in the same call."""
        held = self.free(buyer) + refund
        if held < needed:
            raise Rejected(
                "insufficient-balance",
                f"The bid may lock up to {needed} base units, {held} are free.",
                "Deposit more (bingwang wallet deposit), or lower max_price or max_duration.",
                needed=str(needed),
                held=str(held),
            )

    def check_delegate(self, order: Order, at: int) -> None:
        """`Rejected` where the key that signed may not spend so much for the buyer, or not long enough for
        a match to be mined."""
        if order.delegate == NOBODY:
            return
        buyer, key = order.bid.buyer, order.delegate
        given = self._chain.delegation_of(buyer, key)
        if Role.SPEND not in given.roles:
            raise bad_signature(buyer)
        if not given.may(Role.SPEND, at + INCLUSION_SECONDS):
            raise Rejected(
                "delegate-expired",
                f"The key {text(key)} may spend for {text(buyer)} until {given.until}; it is {at}.",
                "Let the buyer name the key again (bingwang wallet delegate).",
                until=given.until,
            )
        left = max(0, given.allowance - self._queries.reserved(buyer, key))
        if left < needed_by(order):
            raise Rejected(
                "allowance-too-small",
                f"The bid may lock up to {needed_by(order)} base units, the key's allowance leaves {left}.",
                "Let the buyer raise the allowance (bingwang wallet delegate), or lower the limit.",
                needed=str(needed_by(order)),
                left=str(left),
            )

    def covered(self, resting: Sequence[JobRow]) -> list[JobRow]:
        """Of resting orders, first come first: those that what the buyer holds covers at their limits."""
        left: dict[Address, int] = {}
        covered = []
        for row in resting:
            if row.buyer not in left:
                left[row.buyer] = self._queries.balance(row.buyer)
        for lease in self._queries.leases(states=(LeaseState.PLANNED,)) if left else ():
            if lease.terms.buyer in left:
                left[lease.terms.buyer] -= escrow_for(lease.terms.rate, lease.terms.duration)
        for row in resting:
            if left[row.buyer] >= row.reserve:
                left[row.buyer] -= row.reserve
                covered.append(row)
        return covered


def needed_by(order: Order) -> int:
    """Base units that the dearest way of an order would lock at its limit, with all its members."""
    return max(way.bid.members * escrow_for(way.bid.limit_rate, way.bid.duration) for way in order.ways)


def refund_of(previous: LeaseRow, milliseconds: int) -> int:
    """What closing a lease with a last receipt of so much gives back to its buyer."""
    due = min(previous.escrow, pay_for(previous.terms.rate, milliseconds, previous.terms.duration))
    return previous.escrow - max(previous.paid, due)
