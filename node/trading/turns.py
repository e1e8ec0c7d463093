"""Turns: who is served before the general clearing, who after it, and what is done for who got nothing.

First those for whom room was made or kept, each alone with its room; then everybody; then those that end
before kept room is needed. Whoever is left may have interruptible leases yield, or is promised room.
"""

from collections.abc import Callable, Iterable, Iterator

from ledger.books.books import Books
from ledger.market.policy import Policy
from matcher.book import Book
from node.trading.preempting import Preempting, Tell, nobody
from node.trading.reserving import Reserving


class Turns:
    """Under the exchange's lock. `book_of` gives the matcher's book as it is now; `tell` reaches a provider's
    agents, and may fail to."""

    def __init__(
        self, books: Books, book_of: Callable[[], Book], policy: Policy, tell: Tell = nobody
    ) -> None:
        self._preempting = Preempting(books, book_of, policy, tell)
        self._reserving = Reserving(books, book_of)

    def rebuild(self, at: int) -> None:
        """Everything anew from the ledger's books, for a book that was made anew too."""
        self._preempting.rebuild(at)
        self._reserving.rebuild()

    def observed(self, events: Iterable[object]) -> None:
        """What the chain did, in its order, after the book was told; repeats change nothing."""
        told = list(events)
        self._preempting.observed(told)
        self._reserving.observed(told)

    def first(self, at: int) -> Iterator[None]:
        """Passes to clear before the general one; in each the book shows what is to be cleared."""
        if self._preempting.ready(at):
            with self._preempting.alone():
                yield
        yield from self._reserving.first(at)

    def after(self, at: int) -> Iterator[None]:
        """Passes to clear after the general one, likewise."""
        yield from self._reserving.after(at)

    def look(self, at: int) -> None:
        """The bids in the book found nothing at the time `at`."""
        self._preempting.look(at)
        self._reserving.look(at)

    def tell_again(self) -> None:
        """Remind the agents of leases that yield."""
        self._preempting.tell_again()
