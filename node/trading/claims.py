"""Claims: what nobody contested, or the arbiter left open, is finalised as soon as it may be.

Anybody may finalise; the node does, since a lease that stays claimed keeps the buyer's escrow, the
provider's stake and both bonds locked.
"""

from collections.abc import Sequence

from ledger.books.books import Books
from ledger.books.rows import LeaseRow
from ledger.market.instructions import FinalizeClaim
from node.trading.wishing import MARGIN_SECONDS, wish_again


class Claims:
    """Wishes for what is due; every sweep may be repeated."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def sweep(self, rows: Sequence[LeaseRow], at: int) -> None:
        """Of the open leases `rows`, wish that each claim whose window is over at `at` be finalised."""
        for row in rows:
            if _is_due(row, at):
                wish_again(self._books, _key(row), FinalizeClaim(lease=row.id, terms=row.terms), at)


def _is_due(row: LeaseRow, at: int) -> bool:
    return row.claim is not None and at >= row.claim.until + MARGIN_SECONDS


def _key(row: LeaseRow) -> str:
    """A claim that is contested later is due anew, at another moment."""
    assert row.claim is not None
    return f"finalize:{row.id.hex()}:{row.claim.until}"
