"""Fleet: offers as rows of numbers, and the choice among equally cheap ones that strands least.

For a cluster whose machines cost the same; `ties` gives a row the same class, for a market whose prices
decide first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned
from matcher.compiled import Numbers
from matcher.devices import WHOLE
from matcher.fragmentation.demand import MODELS, Demand, Shape, sigmoid
from matcher.fragmentation.ranking import Classes, first_best, rank_all, rank_changed
from matcher.fragmentation.scores import FIRST, NOWHERE, OURS, Tables, class_of, move

MOST_DEVICES = 64
"""of one offer"""

_KEPT_BYTES = 256 << 20
"""of kept rankings, after which the one unused longest is forgotten"""
_MOST_CHANGES = 1 << 20
"""kept; a ranking that is older is made anew"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one offer has free: milli-cores, MiB, members it may still take, and the milli of each device."""

    cpu: int
    memory: int
    milli: tuple[int, ...]
    model: int = 0
    slots: int = (1 << 40) - 1

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "slots"):
            unsigned(name, getattr(self, name), 40)
        if len(self.milli) > MOST_DEVICES or any(not 0 <= milli <= WHOLE for milli in self.milli):
            raise Rejected(
                "devices-out-of-range",
                f"The devices {self.milli} are no more than {MOST_DEVICES} of 0 to {WHOLE} milli.",
                "Give the free milli of each device.",
            )
        if not 0 <= self.model < MODELS:
            raise Rejected(
                "model-out-of-range", f"Model {self.model} is too large.", f"Number models below {MODELS}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A row, and the numbers of the devices there."""

    row: int
    devices: tuple[int, ...]


@dataclass(slots=True)
class _Ranking:
    classes: Classes
    seen: int
    """how many changes it knows of; -1 none of the fleet"""


class Fleet:
    """One owner changes it. Rows stand in the order in which those of one class are preferred: a random
    one, never one of size or id."""

    def __init__(self, rooms: Sequence[Room], demand: Demand, policy: int = OURS) -> None:
        self._policy, self._rows = policy, len(rooms)
        width = FIRST + max((len(room.milli) for room in rooms), default=0)
        self._fleet = np.zeros((max(1, len(rooms)), width), dtype=np.int64)
        for row, room in enumerate(rooms):
            self._fleet[row, :FIRST] = (room.cpu, room.memory, room.slots, room.model, len(room.milli))
            self._fleet[row, FIRST : FIRST + len(room.milli)] = room.milli
        self._changed = np.zeros(1024, dtype=np.int64)
        self._changes = 0
        self._marks, self._mark = np.zeros(len(self._fleet), dtype=np.int64), 0
        self._rankings: dict[Shape, _Ranking] = {}
        self.expect(demand)

    def expect(self, demand: Demand) -> None:
        """Judge places by another demand from here on."""
        self._tables = tables(demand, self._policy, self._fleet.shape[1])
        self._chosen = self._tables[-2]
        self._rankings.clear()

    def __len__(self) -> int:
        return self._rows

    def room(self, row: int) -> Room:
        """What a row has free."""
        cpu, memory, slots, model, count, *milli = self._fleet[row].tolist()
        return Room(cpu=cpu, memory=memory, slots=slots, model=model, milli=tuple(milli[:count]))

    def take(self, choice: Choice, shape: Shape) -> None:
        """So much less free; `Rejected` where it does not fit."""
        self._move(choice, shape, -1)

    def give(self, choice: Choice, shape: Shape) -> None:
        """So much more free; `Rejected` where a device would have more than a whole."""
        self._move(choice, shape, 1)

    def _move(self, choice: Choice, shape: Shape, sign: int) -> None:
        devices = np.array(choice.devices, dtype=np.int64)
        if not move(self._fleet[choice.row], numbers(shape), devices, sign):
            raise Rejected(
                "no-such-room",
                f"Row {choice.row} has no room on devices {choice.devices} to move {shape} there.",
                "Move what was chosen, once.",
            )
        self._touch(choice.row)

    def _touch(self, row: int) -> None:
        if self._changes == _MOST_CHANGES:
            self._changes = 0
            self._rankings.clear()
        if self._changes == self._changed.size:
            self._changed = np.concatenate((self._changed, np.zeros_like(self._changed)))
        self._changed[self._changes] = row
        self._changes += 1

    def choose(self, shape: Shape) -> Choice | None:
        """The first row of the best class, and its devices; None where nothing fits."""
        row = first_best(self._ranking(shape).classes, self._rows)
        return None if row < 0 else Choice(row=row, devices=self.devices(shape, row))

    def fitting(self, shape: Shape) -> Numbers:
        """All rows where the shape fits."""
        return np.flatnonzero(self._ranking(shape).classes[: self._rows] > NOWHERE)

    def devices(self, shape: Shape, row: int) -> tuple[int, ...]:
        """The devices that the shape gets on a row where it fits."""
        if not shape.devices:
            return ()
        class_of(self._fleet[row], numbers(shape), self._tables)
        return tuple(sorted((self._chosen[: shape.devices] - FIRST).tolist()))

    def _ranking(self, shape: Shape) -> _Ranking:
        ranking = self._rankings.pop(shape, None)
        asked = numbers(shape)
        if ranking is None:
            self._forget()
            ranking = _Ranking(np.full(len(self._fleet), NOWHERE, dtype=np.int32), 0)
            rank_all(ranking.classes, self._rows, self._fleet, asked, self._tables)
        elif ranking.seen < self._changes:
            self._mark += 1
            changed = self._changed[: self._changes]
            rank_changed(
                ranking.classes,
                changed,
                ranking.seen,
                self._marks,
                self._mark,
                self._fleet,
                asked,
                self._tables,
            )
        ranking.seen = self._changes
        self._rankings[shape] = ranking
        return ranking

    def _forget(self) -> None:
        """Make room for one more ranking; the dictionary's first was used longest ago."""
        most = max(1, _KEPT_BYTES // (4 * len(self._fleet)))
        while len(self._rankings) >= most:
            del self._rankings[next(iter(self._rankings))]


def tables(demand: Demand, policy: int, width: int) -> Tables:
    """What the scores read of a demand, and room for them to work in, for rows of so many columns."""
    return (
        demand.typical,
        demand.popular,
        demand.losses,
        sigmoid(),
        demand.steps,
        demand.cpu_worth,
        policy,
        np.zeros((len(demand.typical), 2), dtype=np.int64),
        np.zeros(width, dtype=np.int64),
        np.zeros(width, dtype=np.int64),
    )


@lru_cache(maxsize=4096)
def numbers(shape: Shape) -> Numbers:
    """A shape as the scores read it."""
    return np.array((shape.cpu, shape.memory, shape.devices, shape.share, shape.models), dtype=np.int64)
