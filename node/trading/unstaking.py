"""Unstaking: what a provider asked back moves to its balance when it may, without the provider's doing.

Anybody may finish an unstake; the node does it for providers that lend here, which costs it little and
spares a provider whose coin is gone a transaction.
"""

from ledger.books.books import Books
from ledger.market.identity import text
from ledger.market.instructions import FinishUnstake
from node.trading.wishing import MARGIN_SECONDS, wish_again

LOOK_SECONDS = 15
"""a favour need not be quick"""


class Unstaking:
    """Wishes for what is due; every sweep may be repeated."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._looked_at = 0

    def sweep(self, at: int) -> None:
        """Wish that each provider's ripe unstake be finished, at `at` seconds since 1970."""
        if 0 <= at - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = at
        due = {
            account: row.unlock_at
            for account, row in self._books.queries.stakes().items()
            if row.unlock_at is not None and at >= row.unlock_at + MARGIN_SECONDS
        }
        providers = {row.offer.provider for row in self._books.queries.offers()} if due else set()
        for account in due.keys() & providers:
            name = f"unstake:{text(account)}:{due[account]}"
            wish_again(self._books, name, FinishUnstake(account=account), at)
