"""DomainVerdicts: what a bid's lists say of each known domain, worked out once for all bids with them."""

from typing import NamedTuple

import numpy as np

from ledger.market.domains import WHOLE, Preference, permits, preferred
from matcher.index.layout import Array


class DomainLists(NamedTuple):
    """What decides how a bid judges domains."""

    allow: tuple[str, ...]
    deny: tuple[str, ...]
    prefer: tuple[Preference, ...]
    limit: int
    """the bid's, in whose unit a preference is worth something"""


MOST_KEPT = 256
"""lists whose verdicts are kept; the oldest goes first"""
NOT_PERMITTED = -1


class DomainVerdicts:
    """Over domains by their number, which only ever become more."""

    def __init__(self, domains: dict[str, int]) -> None:
        self._domains = domains
        self._kept: dict[DomainLists, Array] = {}

    def of(self, lists: DomainLists) -> Array:
        """Of each domain what a bid's preference for it is worth, in its limit's unit; below 0 where the bid
        may not run there."""
        verdicts = self._kept.get(lists)
        if verdicts is not None and len(verdicts) == len(self._domains):
            return verdicts
        judged = [] if verdicts is None else verdicts.tolist()
        names = list(self._domains)[len(judged) :]
        fresh = np.array(judged + [self._judge(name, lists) for name in names], dtype=np.int64)
        if verdicts is None and len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[lists] = fresh
        return fresh

    @staticmethod
    def _judge(domain: str, lists: DomainLists) -> int:
        if not permits(domain, lists.allow, lists.deny):
            return NOT_PERMITTED
        return lists.limit * preferred(domain, lists.prefer) // WHOLE
