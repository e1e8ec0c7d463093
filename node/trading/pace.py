"""Pace: how often the node does for others what costs it gas, so that a favour cannot become a drain."""

import threading
from collections import deque

from ledger.market.errors import LostRace
from ledger.market.identity import Address, text

WINDOW_SECONDS = 60


class TooOften(LostRace):
    """The same request is welcome later."""

    http_status = 429

    def __init__(self, whom: str, most: int, wait: int) -> None:
        super().__init__(
            "too-often",
            f"{whom} had {most} transactions relayed within {WINDOW_SECONDS} s.",
            f"Try again in {wait} s, or send the transaction yourself.",
            retry_after=wait,
        )


class Pace:
    """At most `each` in a window for one account, and `all_together`; times are seconds. Thread-safe.

    A clock that is set back forgets what lies ahead of it."""

    def __init__(self, each: int, all_together: int) -> None:
        self._each = each
        self._all = all_together
        self._taken: deque[tuple[int, Address]] = deque()
        self._lock = threading.Lock()

    def take(self, account: Address, at: int) -> None:
        """Count one of the account at `at`; `TooOften` where that is too many, and nothing is counted."""
        with self._lock:
            recent = deque(one for one in self._taken if 0 <= at - one[0] < WINDOW_SECONDS)
            own = [moment for moment, whose in recent if whose == account]
            if len(own) >= self._each:
                raise TooOften(text(account), self._each, own[0] + WINDOW_SECONDS - at)
            if len(recent) >= self._all:
                raise TooOften("All accounts together", self._all, recent[0][0] + WINDOW_SECONDS - at)
            recent.append((at, account))
            self._taken = recent
