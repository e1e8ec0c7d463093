"""Arrivals: what is typically asked for, counted from the orders that were accepted.

Of equally cheap offers the matcher takes the one that leaves least stranded by what is typical, so the book
is told what that is. It is told seldom, since all that was computed for the last time is lost with it, and
at moments that follow from the arrivals alone. Older ones count less and less.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from matcher.fragmentation.demand import Shape
from matcher.index.classes import TypicalDemand, shape_of
from matcher.orders import BidOrder

_FIRST, _GROWTH = 16, 4
"""the arrivals before the first look, and the share of them that must come anew before the next one"""
_MOST_COUNTED = 1 << 14
"""members; at so many every count is halved"""
MOST_SHAPES = 64
"""that the book is told of: the most popular ones, which the scores cut again where they cover enough"""


class Arrivals:
    """Under the exchange's lock. Shapes here have no memory: the scores do not look at it."""

    def __init__(self) -> None:
        self._counts: Counter[Shape] = Counter()
        self._counted, self._next = 0, _FIRST

    def restart(self, orders: Iterable[BidOrder]) -> TypicalDemand | None:
        """Count these alone, the oldest first; what is typical by them, where they are enough."""
        self._counts.clear()
        self._counted, self._next = 0, _FIRST
        for order in orders:
            self._count(order)
        return self._look()

    def arrived(self, orders: Iterable[BidOrder]) -> TypicalDemand | None:
        """Count these too; what is typical now, where it is time to say so anew."""
        for order in orders:
            self._count(order)
        return self._look()

    def _count(self, order: BidOrder) -> None:
        self._counts[replace(shape_of(order), memory=0)] += order.members
        self._counted += order.members

    def _look(self) -> TypicalDemand | None:
        if self._counted < self._next:
            return None
        if self._counted >= _MOST_COUNTED:
            self._counts = Counter({shape: count // 2 for shape, count in self._counts.items() if count > 1})
            self._counted = self._counts.total()
        self._next = self._counted + max(1, self._counted // _GROWTH)
        popular = sorted(self._counts.items(), key=lambda item: (-item[1], _figures(item[0])))
        return TypicalDemand(shapes=tuple(sorted(popular[:MOST_SHAPES], key=lambda item: _figures(item[0]))))


def _figures(shape: Shape) -> tuple[int, int, int]:
    return shape.cpu, shape.devices, shape.share
