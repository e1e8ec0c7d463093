"""Funds: what a buyer can still promise. An order is accepted where its limit is covered beside all that
was accepted before; an order that rests takes part only while it is still covered, since a match that the
contract skips for want of funds costs the node gas, again and again. What a delegate signs must fit into
its allowance in the same way."""

from typing import Protocol

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow
from ledger.market.errors import Rejected
from ledger.market.identity import Address
from ledger.market.money import escrow_for, pay_for
from node.trading.admission import Order


class Balances(Protocol):
    """What the chain's head says of a buyer's money, in base units."""

    def balance_of(self, account: Address) -> int: ...


class Funds:
    """Asks the chain's head: for what a page shows, and for orders that continue a lease. All others are
    judged in `node.trading.intake`."""

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
            raise uncovered(needed, held)


def uncovered(needed: int, held: int) -> Rejected:
    """The error of an order that the buyer's free base units do not cover."""
    return Rejected(
        "insufficient-balance",
        f"The bid may lock up to {needed} base units, {held} are free.",
        "Deposit more (bingwang wallet deposit), or lower max_price or max_duration.",
        needed=str(needed),
        held=str(held),
    )


def needed_by(order: Order) -> int:
    """Base units that the dearest way of an order would lock at its limit, with all its members."""
    return max(way.bid.members * escrow_for(way.bid.limit_rate, way.bid.duration) for way in order.ways)


def refund_of(previous: LeaseRow, milliseconds: int) -> int:
    """What closing a lease with a last receipt of so much gives back to its buyer."""
    due = min(previous.escrow, pay_for(previous.terms.rate, milliseconds, previous.terms.duration))
    return previous.escrow - max(previous.paid, due)
