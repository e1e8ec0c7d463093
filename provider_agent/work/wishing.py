"""The agent's wishes to the chain: each once while it is under way, and again only where it took no effect.

The machine wishes for the same thing until the chain's events show it done. A wish that failed (because the
time had not come, or the chain was elsewhere) is made anew after a pause that grows with every try.
"""

from collections.abc import Callable
from typing import Final

from ledger.books.books import Books
from ledger.market.instructions import Instruction
from ledger.market.outbox import IntentState

_AGAIN_S: Final = {IntentState.FAILED: 4, IntentState.DONE: 30}
"""seconds until a wish is made anew, for each time that it was made; done ones wait for their event"""


class Wishes:
    """Wishes of one agent; `wished` wakes the outbox. For one thread at a time."""

    def __init__(self, books: Books, clock: Callable[[], float], wished: Callable[[], None]) -> None:
        self._books = books
        self._clock = clock
        self._wished = wished

    def wish(self, key: str, instruction: Instruction) -> None:
        """Ask for it, unless the same is under way or was done just now."""
        at, tries, name = int(self._clock()), 1, key
        while (known := self._books.queries.intent(name)) is not None:
            pause = _AGAIN_S.get(known.state)
            if pause is None or 0 <= at - known.created_at < pause * tries:
                return
            tries, name = tries + 1, f"{key}:{tries + 1}"
        with self._books.transaction() as unit:
            unit.wish(name, instruction, at)
        self._wished()
