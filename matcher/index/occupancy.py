"""Occupancy: which devices of an offer are in use, as numbers, so that taking some is quick.

The rules are those of `matcher.devices`, which says what they mean; an offer of which no device is in use
takes no room in the pool.
"""

from collections.abc import Sequence

import numpy as np

from ledger.market.errors import Rejected
from matcher.compiled import compiled
from matcher.devices import Devices, lent_devices
from matcher.index.layout import O_COUNT, O_MEMORY, O_MILLI, O_START, OCCUPANCY, Array
from matcher.orders import OfferOrder

MOST_DEVICES = 1_024
"""devices of one offer that are lent one by one; what is beyond them is never lent"""
NO_DEVICES: Array = np.zeros(0, dtype=np.int64)
_FIRST_ROOM = 64


@compiled("boolean(int64[:,::1], int64[:,::1], int64, boolean, int64, int64, int64[::1])")
def _choose(table: Array, pool: Array, row: int, take: bool, share: int, memory: int, chosen: Array) -> bool:
    """Fill `chosen` with the fullest devices that have so much free (or, to give back, in use), in ascending
    numbers; False where they are too few."""
    start, count, wanted = table[row, O_START], table[row, O_COUNT], chosen.size
    milli, most = table[row, O_MILLI] - share, table[row, O_MEMORY] - memory
    taken = np.zeros(count, dtype=np.bool_)
    for _ in range(wanted):
        best = -1
        for n in range(count):
            free, room = pool[start + n, 0], pool[start + n, 1]
            fits = (free >= share and room >= memory) if take else (free <= milli and room <= most)
            if fits and not taken[n] and (best < 0 or free < pool[start + best, 0]):
                best = n
        if best < 0:
            return False
        taken[best] = True
    place = 0
    for n in range(count):
        if taken[n]:
            chosen[place] = n
            place += 1
    return True


@compiled("boolean(int64[:,::1], int64[:,::1], int64[::1], int64)")
def _claim(table: Array, pool: Array, spare: Array, row: int) -> bool:
    """Give the row's devices a place in the pool, all idle; False where the pool must grow first."""
    count = table[row, O_COUNT]
    start = spare[count]
    if start >= 0:
        spare[count] = pool[start, 0]
    else:
        start = spare[0]
        if start + count > len(pool):
            return False
        spare[0] += count
    for n in range(start, start + count):
        pool[n, 0], pool[n, 1] = table[row, O_MILLI], table[row, O_MEMORY]
    table[row, O_START] = start
    return True


@compiled("void(int64[:,::1], int64[:,::1], int64[::1], int64)")
def _release(table: Array, pool: Array, spare: Array, row: int) -> None:
    """The row's devices are idle: their place in the pool, if they have one, is free."""
    start, count = table[row, O_START], table[row, O_COUNT]
    if start >= 0:
        pool[start, 0] = spare[count]
        spare[count] = start
        table[row, O_START] = -1


@compiled("boolean(int64[:,::1], int64[:,::1], int64[::1], int64, int64, int64, int64, int64, int64[::1])")
def _shift(
    table: Array,
    pool: Array,
    spare: Array,
    row: int,
    sign: int,
    count: int,
    share: int,
    memory: int,
    named: Array,
) -> bool:
    """Take (`sign` 1) or give back (-1) on `count` devices that are chosen, or on those that are named; never
    below nothing and never above what a device lends. False where the pool must grow first."""
    if table[row, O_START] < 0:
        if sign < 0 or table[row, O_COUNT] == 0:
            return True
        if not _claim(table, pool, spare, row):
            return False
    chosen = named if named.size > 0 else np.empty(count, dtype=np.int64)
    if named.size > 0 or _choose(table, pool, row, sign > 0, share, memory, chosen):
        for n in chosen:
            if n < table[row, O_COUNT]:
                device = pool[table[row, O_START] + n]
                device[0] = min(table[row, O_MILLI], max(0, device[0] - sign * share))
                device[1] = min(table[row, O_MEMORY], max(0, device[1] - sign * memory))
    for n in range(table[row, O_START], table[row, O_START] + table[row, O_COUNT]):
        if pool[n, 0] != table[row, O_MILLI] or pool[n, 1] != table[row, O_MEMORY]:
            return True
    _release(table, pool, spare, row)
    return True


class Occupancy:
    """The devices of each row: shape in `table`, what is free on each in `pool` where any is in use."""

    def __init__(self) -> None:
        self.table: Array = np.full((_FIRST_ROOM, OCCUPANCY), -1, dtype=np.int64)
        self.pool: Array = np.zeros((_FIRST_ROOM, 2), dtype=np.int64)
        self._spare: Array = np.full(MOST_DEVICES + 1, -1, dtype=np.int64)
        self._spare[0] = 0

    def copy(self) -> "Occupancy":
        """Another one, to be spent by whoever asks."""
        twin = Occupancy()
        twin.table, twin.pool, twin._spare = self.table.copy(), self.pool.copy(), self._spare.copy()
        return twin

    def put(self, row: int, order: OfferOrder) -> None:
        """The row's devices are those of this offer, all idle; a row not used before, or one dropped."""
        if row >= len(self.table):
            self.table = np.concatenate((self.table, np.full_like(self.table, -1)))
        count = min(order.device_count, MOST_DEVICES)
        _, milli = lent_devices(order.offer.capacity.gpu)
        self.table[row] = (-1, count, milli, order.device_memory)

    def drop(self, row: int, last: int) -> None:
        """Forget the row; the last one takes its place."""
        self._idle(row)
        self.table[row] = self.table[last]
        self.table[last] = -1

    def shift(self, row: int, sign: int, numbers: tuple[int, ...], share: int, memory: int) -> None:
        """Take (`sign` 1) or give back (-1) so much of each device; a number below 0 leaves the choice to the
        rule, and where too few fit nothing is done."""
        named = np.array(numbers, dtype=np.int64) if numbers[0] >= 0 else NO_DEVICES
        while not _shift(self.table, self.pool, self._spare, row, sign, len(numbers), share, memory, named):
            self._grow()

    def devices(self, row: int) -> Devices:
        """The row's devices as a value."""
        start, count, milli, memory = self.table[row].tolist()
        free = self.pool[start : start + count].tolist() if start >= 0 else [(milli, memory)] * count
        return Devices(
            free_milli=tuple(one for one, _ in free),
            free_memory=tuple(one for _, one in free),
            milli=milli,
            memory=memory,
        )

    def restore(self, row: int, devices: Devices) -> None:
        """The row's devices are as this value says, where they are of the same shape; else all idle."""
        _, count, milli, memory = self.table[row].tolist()
        if (len(devices.free_milli), devices.milli, devices.memory) == (count, milli, memory):
            self.state(row, list(zip(devices.free_milli, devices.free_memory, strict=True)))

    def state(self, row: int, free: Sequence[tuple[int, int]]) -> None:
        """So many milli and MiB are free on each of the row's devices, of which there are as many; or all are
        idle, where nothing is said."""
        self._idle(row)
        _, count, milli, memory = self.table[row].tolist()
        if not free or all(one == (milli, memory) for one in free):
            return
        if len(free) != count or any(not (0 <= one <= milli and 0 <= room <= memory) for one, room in free):
            raise Rejected(
                "devices-unequal",
                f"{len(free)} devices were stated of an offer of {count} of {milli} milli, {memory} MiB.",
                "State what is free on each device, up to what it lends.",
            )
        self._claim(row)
        start = self.table[row, O_START]
        self.pool[start : start + count] = free

    def room(self, rows: int, count: int, share: int, memory: int) -> Array:
        """Of each of the first `rows`: whether `count` of its devices have so much free."""
        table = self.table[:rows]
        fit = (table[:, O_COUNT] >= count) & (table[:, O_MILLI] >= share) & (table[:, O_MEMORY] >= memory)
        free = (self.pool[:, 0] >= share) & (self.pool[:, 1] >= memory)
        before = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(free)))
        busy = np.flatnonzero(table[:, O_START] >= 0)
        starts = table[busy, O_START]
        fit[busy] = before[starts + table[busy, O_COUNT]] - before[starts] >= count
        return fit

    def some(self, rows: Array) -> "Occupancy":
        """The devices of these rows alone, each once, numbered from 0, to be spent by whoever asks; it is
        not as long as the market."""
        part = Occupancy()
        part.table = self.table[rows]
        busy = np.flatnonzero(part.table[:, O_START] >= 0)
        starts, counts = part.table[busy, O_START], part.table[busy, O_COUNT]
        ends = np.cumsum(counts)
        part._spare[0] = used = int(counts.sum())
        part.pool = np.zeros((max(_FIRST_ROOM, used), 2), dtype=np.int64)
        part.pool[:used] = self.pool[np.arange(used) + np.repeat(starts - ends + counts, counts)]
        part.table[busy, O_START] = ends - counts
        return part

    def _claim(self, row: int) -> None:
        while not _claim(self.table, self.pool, self._spare, row):
            self._grow()

    def _grow(self) -> None:
        self.pool = np.concatenate((self.pool, np.zeros_like(self.pool)))

    def _idle(self, row: int) -> None:
        _release(self.table, self.pool, self._spare, row)
