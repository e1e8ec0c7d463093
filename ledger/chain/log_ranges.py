"""Why a range that an endpoint finds too large is asked for in smaller pieces, and then in larger ones again.

Providers bound the blocks, the results or the time of one `eth_getLogs`, each in its own words, and some
bounds depend on what the range holds. So nobody configures a size: it is halved on a refusal and grows back.
"""

from collections.abc import Iterator
from typing import Final

from ledger.market.errors import MarketError, Rejected, Unavailable

RANGE_BLOCKS: Final = 2_000
"""the most blocks of one request, and of one look at a long history"""
_TOO_MUCH: Final = "rpc-refused"
"""what a smaller range may avoid: endpoints say that it is too large in words of their own"""


def pieces(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The blocks `first` to `last` in ranges of at most `RANGE_BLOCKS`, so that a long history is taken in
    bit by bit."""
    for start in range(first, last + 1, RANGE_BLOCKS):
        yield start, min(start + RANGE_BLOCKS - 1, last)


class LogRange:
    """How many blocks to ask for at a time."""

    def __init__(self, largest: int = RANGE_BLOCKS) -> None:
        self._largest = largest
        self.blocks = largest

    def answered(self) -> None:
        """The last request of this size was answered: the next may be larger, by a quarter."""
        self.blocks = min(self._largest, self.blocks + self.blocks // 4 + 1)

    def halved(self, refusal: MarketError, asked: int) -> bool:
        """Whether fewer blocks than the `asked` ones may be answered; then the next request is for half."""
        if asked <= 1 or not _may_be_too_much(refusal):
            return False
        self.blocks = max(1, asked // 2)
        return True


def _may_be_too_much(refusal: MarketError) -> bool:
    match refusal:
        case Rejected(code=code):
            return code == _TOO_MUCH
        case Unavailable():
            return bool(refusal.facts.get("timed_out"))
        case _:
            return False
