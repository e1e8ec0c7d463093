"""Churn: bids come, are matched, committed and released, and each one's time is taken."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from matcher.book import BidPlaced, BidRemoved, Book, CapacityFreed, CapacityTaken
from matcher.index.place import Place
from matcher.orders import BidOrder
from tests.factories import NOW

Clock = Callable[[], int]
"""nanoseconds"""


class Finder(Protocol):
    """Anything that finds a bid's cheapest offer and remembers what leases hold."""

    def best(self, order: BidOrder) -> Any: ...  # noqa: ANN401 - each has its own places

    def take(self, place: Any, want: Any) -> None: ...  # noqa: ANN401

    def give(self, place: Any, want: Any) -> None: ...  # noqa: ANN401


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a run of bids took: microseconds each, and the share that was matched."""

    microseconds: list[float]
    matched: float

    @property
    def rate(self) -> float:
        """Bids a second."""
        return 1e6 * len(self.microseconds) / sum(self.microseconds)

    def at(self, share: float) -> float:
        """The time that this share of the bids, per cent, did not exceed."""
        return float(np.percentile(self.microseconds, share))


def timed(bids: Sequence[BidOrder], clock: Clock, serve: Callable[[BidOrder], bool]) -> Times:
    """Each bid is served in turn; `serve` says whether it was matched."""
    times, matched = [], 0
    for order in bids:
        before = clock()
        matched += serve(order)
        times.append((clock() - before) / 1e3)
    return Times(microseconds=times, matched=matched / len(bids))


def through_book(
    book: Book, bids: Sequence[BidOrder], held: int, clock: Clock, *, waiting: bool = False
) -> Times:
    """Each bid is placed, matched, its lease takes its room, and the oldest of more than `held` gives it
    back; all by the book's own events. Bids that are `waiting` were placed before they are timed."""
    for order in bids if waiting else ():
        book.apply(BidPlaced(order=order))
    leases: deque[tuple[Place, BidOrder]] = deque()

    def serve(order: BidOrder) -> bool:
        if not waiting:
            book.apply(BidPlaced(order=order))
        place = book.best(order, NOW)
        if place is not None:
            book.apply(CapacityTaken(offer=place.offer, want=order.bid.want, count=order.devices))
            leases.append((place, order))
        book.apply(BidRemoved(bid=order.id))
        if len(leases) > held:
            _free(book, leases.popleft())
        return place is not None

    times = timed(bids, clock, serve)
    for lease in leases:
        _free(book, lease)
    return times


def _free(book: Book, lease: tuple[Place, BidOrder]) -> None:
    place, order = lease
    book.apply(CapacityFreed(offer=place.offer, want=order.bid.want, count=order.devices))


def through(finder: Finder, bids: Sequence[BidOrder], clock: Clock) -> Times:
    """The same through a rival, with all leases held until the end."""
    leases = []

    def serve(order: BidOrder) -> bool:
        place = finder.best(order)
        if place is not None:
            finder.take(place, order.bid.want)
            leases.append((place, order))
        return place is not None

    times = timed(bids, clock, serve)
    for place, order in leases:
        finder.give(place, order.bid.want)
    return times
