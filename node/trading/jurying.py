"""Jurying: replicas are judged as soon as they can be, so that who worked is paid and who lied is burned.

Anybody may call the jury; the node does it for the bids that it keeps, since the call needs the signed
bid. The windows are the jury's: results may be committed until the last member's time is over and two
receipt intervals more, and revealed for another two.
"""

from collections import defaultdict
from collections.abc import Sequence

from ledger.books.books import Books
from ledger.books.rows import LeaseRow
from ledger.market.identity import BidId
from ledger.market.instructions import DecideReplicas
from ledger.market.policy import Policy
from node.trading.open_lease import as_lease
from node.trading.wishing import MARGIN_SECONDS, wish_again


class Jurying:
    """Wishes for verdicts; every sweep may be repeated."""

    def __init__(self, books: Books, policy: Policy) -> None:
        self._books = books
        self._patience = policy.jury_patience

    def sweep(self, rows: Sequence[LeaseRow], at: int) -> None:
        """Of the open leases `rows`, wish that those replicas be judged that have all shown their result,
        or had the time to."""
        for bid, members in _undecided(rows).items():
            if self._is_ripe(members, at):
                wish_again(self._books, f"judge:{bid.hex()}", _wish(bid, members), at)

    def _is_ripe(self, members: Sequence[LeaseRow], at: int) -> bool:
        if all(row.result is not None for row in members):
            return True
        commit_until = max(self._commit_until(row) for row in members)
        if all(row.commitment is None for row in members):
            return at > commit_until + MARGIN_SECONDS
        return at > commit_until + self._patience + MARGIN_SECONDS

    def _commit_until(self, row: LeaseRow) -> int:
        return as_lease(row).closable_at(self._patience)


def _undecided(rows: Sequence[LeaseRow]) -> dict[BidId, list[LeaseRow]]:
    """The undecided leases of each bid that this node keeps whole, in the order of their members."""
    found: dict[BidId, list[LeaseRow]] = defaultdict(list)
    for row in rows:
        if row.undecided and row.signed is not None:
            found[row.terms.bid].append(row)
    return {
        bid: sorted(members, key=lambda row: row.terms.member)
        for bid, members in found.items()
        if len(members) == _members(members)
    }


def _members(rows: Sequence[LeaseRow]) -> int:
    signed = rows[0].signed
    assert signed is not None
    return signed.bid.members


def _wish(bid: BidId, members: Sequence[LeaseRow]) -> DecideReplicas:
    signed = members[0].signed
    assert signed is not None
    return DecideReplicas(bid_id=bid, bid=signed.bid, members=tuple(row.terms for row in members))
