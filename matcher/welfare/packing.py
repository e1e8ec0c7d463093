"""Members onto the devices of one offer, exactly: a program that counts devices only in sum may promise more
than they hold, and this says whether it did.
"""

from dataclasses import dataclass, field
from itertools import combinations

Item = tuple[int, int, int]
"""devices, milli of each, memory of each"""
Rooms = list[tuple[int, int]]
STEPS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """`places`: the device numbers of each item, nothing where they do not fit; `certain`: whether that is
    so, and not only not found within `STEPS` tries."""

    places: tuple[tuple[int, ...], ...] | None
    certain: bool


def pack(rooms: Rooms, items: list[Item]) -> Packing:
    """All items onto the devices with so much free, if that can be."""
    order = sorted(range(len(items)), key=lambda item: (-items[item][1], -items[item][2], -items[item][0]))
    search = _Search(rooms=list(rooms), items=[items[item] for item in order])
    if not search.place(0):
        return Packing(places=None, certain=search.left > 0)
    placed = dict(zip(order, search.placed, strict=True))
    return Packing(places=tuple(placed[item] for item in range(len(items))), certain=True)


@dataclass(slots=True, kw_only=True)
class _Search:
    """A search in depth, the largest items first, that never tries two devices that are alike."""

    rooms: Rooms
    items: list[Item]
    placed: list[tuple[int, ...]] = field(default_factory=list)
    left: int = STEPS

    def place(self, number: int) -> bool:
        if number == len(self.items):
            return True
        count, milli, memory = self.items[number]
        if sum(c * m for c, m, _ in self.items[number:]) > sum(free for free, _ in self.rooms):
            return False
        tried: set[tuple[tuple[int, int], ...]] = set()
        for chosen in combinations(self._fitting(milli, memory), count):
            state = tuple(self.rooms[device] for device in chosen)
            if state in tried or self.left <= 0:
                continue
            tried.add(state)
            self.left -= 1
            for device in chosen:
                self.rooms[device] = (self.rooms[device][0] - milli, self.rooms[device][1] - memory)
            self.placed.append(chosen)
            if self.place(number + 1):
                return True
            self.placed.pop()
            for device, before in zip(chosen, state, strict=True):
                self.rooms[device] = before
        return False

    def _fitting(self, milli: int, memory: int) -> list[int]:
        """The devices that hold one more, the fullest first, then the lowest."""
        fits = [device for device, (free, room) in enumerate(self.rooms) if free >= milli and room >= memory]
        return sorted(fits, key=lambda device: (self.rooms[device], device))
