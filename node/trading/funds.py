"""Funds: what a buyer can still promise. An order is accepted where its limit is covered beside all that
was accepted before; an order that rests takes part only while it is still covered, since a match that the
contract skips for want of funds costs the node gas, again and again."""

from collections.abc import Sequence
from typing import Protocol

from ledger.books.queries import Queries
from ledger.books.rows import JobRow
from ledger.market.bid import Bid
from ledger.market.errors import Rejected
from ledger.market.identity import Address
from ledger.market.lifecycle import LeaseState
from ledger.market.money import escrow_for


class Balances(Protocol):
    """The market's balances at the chain's head, in base units."""

    def balance_of(self, account: Address) -> int: ...


class Funds:
    """Reads the chain for new orders (a deposit may be a moment old) and the books for resting ones."""

    def __init__(self, queries: Queries, chain: Balances) -> None:
        self._queries = queries
        self._chain = chain

    def free(self, buyer: Address) -> int:
        """Base units of the buyer in the market that no unopened order has reserved."""
        return max(0, self._chain.balance_of(buyer) - self._queries.reserved(buyer))

    def check(self, bid: Bid) -> None:
        """`Rejected` where the bid's limit is not covered."""
        needed, held = escrow_for(bid.limit_rate, bid.duration), self.free(bid.buyer)
        if held < needed:
            raise Rejected(
                "insufficient-balance",
                f"The bid may lock up to {needed} base units, {held} are free.",
                "Deposit more (bingwang wallet deposit), or lower max_price or max_duration.",
                needed=str(needed),
                held=str(held),
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
