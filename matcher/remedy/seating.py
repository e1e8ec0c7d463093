"""Seating: how many members of one order have a place on some offers, the cheapest first.

It counts for explanations; what a clearing then does with the same offers is tried before it is stated.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from matcher.batch.gathering import lanes_hold
from matcher.devices import Devices
from matcher.orders import BidOrder
from matcher.placement import apart, drawn_apart
from matcher.question import Question
from matcher.ranking import Rows


def placed(question: Question) -> list[int]:
    """The row of each member that has a place as things are; as few offers are looked at as it takes."""
    order, rows = question.order, question.failing_within(())
    return placed_on(question, rows) if order.members > 0 else []


def placed_on(question: Question, rows: Rows) -> list[int]:
    """The same on these rows alone, each of which has room for one member."""
    order, most, found = question.order, 2 * question.order.members, list[int]()
    if order.replicated:
        return seats(question, rows.tolist())
    if order.same_domain or order.same_provider:
        rows = _roomiest(question, rows)
    elif order.distinct:
        return seats(question, question.cheapest_apart(rows, order.members))
    while len(found) < order.members:
        nearest = question.cheapest(rows, most)
        found = seats(question, nearest)
        if len(nearest) == len(rows):
            break
        most *= 4
    return found


def seats(question: Question, rows: list[int]) -> list[int]:
    """The row of each member that has a place on `rows`, which are given in the order of taking and have
    room for one each; fewer than the members where no more fit."""
    order = question.order
    if order.members == 1:
        return rows[:1]
    if order.replicated:
        return _filled(order, drawn_apart(order, question.offers, rows))
    if order.distinct:
        rows = list(apart(question.offers, rows, ("provider",)))
    found = (_filled(order, _repeated(question, group)) for group in _groups(question, rows))
    return max(found, key=lambda seated: (len(seated), -dearest(question, seated)), default=[])


def dearest(question: Question, rows: list[int]) -> int:
    """The highest rate among these rows, 0 for none."""
    return max((int(question.rates[row]) for row in rows), default=0)


def _roomiest(question: Question, rows: Rows) -> Rows:
    """For members that must be together: the rows of all places that could hold every member, or where none
    could, of one that could hold the most."""
    if not rows.size:
        return rows
    order, places = question.order, _numbered(question, rows)
    lanes = np.ones(rows.size) if order.distinct else lanes_hold(question.offers, order.bid.want, rows)
    holds = np.bincount(places, weights=np.minimum(lanes, order.members))
    enough = holds[places] >= order.members
    if enough.any():
        return rows[enough]
    cheapest = question.cheapest(rows[holds[places] == holds.max()], 1)[0]
    there: Rows = rows[places == places[rows == cheapest]]
    return there


def _numbered(question: Question, rows: Rows) -> Rows:
    """The number of each row's place, which is its provider, its domain or both."""
    keys = np.array([question.offers.column(name)[rows] for name in _places(question.order)])
    places: Rows = np.unique(keys, axis=1, return_inverse=True)[1].ravel()
    return places


def _places(order: BidOrder) -> list[str]:
    """The columns in which members that must be together are alike."""
    return [
        name for name, asked in (("provider", order.same_provider), ("domain", order.same_domain)) if asked
    ]


def _filled(order: BidOrder, places: Iterable[int]) -> list[int]:
    return list(islice(places, order.members))


def _groups(question: Question, rows: list[int]) -> Iterable[list[int]]:
    """The rows that members may take together: all, or those of one domain, or of one provider."""
    names = _places(question.order)
    if not names:
        return [rows]
    groups: dict[tuple[int, ...], list[int]] = {}
    for row in rows:
        key = tuple(int(question.offers.column(name)[row]) for name in names)
        groups.setdefault(key, []).append(row)
    return groups.values()


def _repeated(question: Question, rows: list[int]) -> Iterator[int]:
    """Each row as often as its capacity, its devices and its provider's stake have room; once where members
    must be apart."""
    offers, order = question.offers, question.order
    fitting = [1] * len(rows) if order.distinct else lanes_hold(offers, order.bid.want, rows).tolist()
    left = _Stakes(question)
    for row, lanes in zip(rows, fitting, strict=True):
        times = min(lanes, order.members)
        if times > 1 and order.devices:
            times = _members_on(offers.devices_on(row), order, times)
        for _ in range(times):
            if not left.take(row):
                break
            yield row


class _Stakes:
    """What is left of each provider's stake while members are seated."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._left: dict[int, int] = {}

    def take(self, row: int) -> bool:
        """Lock what one member in `row` locks, where so much is left."""
        question, offers = self._question, self._question.offers
        if not offers.stake_bps:
            return True
        provider = offers.provider_of(row)
        lock = offers.lock_for(int(question.rates[row]), question.order.bid.duration)
        left = self._left.get(provider, offers.stakes[provider]) - lock
        if left >= 0:
            self._left[provider] = left
        return left >= 0


def _members_on(devices: Devices, order: BidOrder, most: int) -> int:
    """How many members up to `most`, each on `order.devices` different devices: each device takes part in as
    many of them as its room allows, and in no member twice."""
    pairs = zip(devices.free_milli, devices.free_memory, strict=True)
    slots = [
        min(milli // order.share, memory // order.device_memory if order.device_memory else milli)
        for milli, memory in pairs
    ]
    for members in range(most, 0, -1):
        if sum(min(slot, members) for slot in slots) >= members * order.devices:
            return members
    return 0
