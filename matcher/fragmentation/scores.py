"""Scores: how well a place suits a shape, as a whole number, its class; places of one class are equal.

Coarse classes with a fixed order inside pack better than exact scores: they fill one machine before the
next. Our score adds what a placement makes of the device it touches (`holes`), of the machine's balance
of cores and GPUs, and of what the typical shapes still find there; work without a GPU goes by the last
alone, as in FGD (ATC'23). FGD itself and best fit are yardsticks beside it.

A row of the fleet is cpu, memory, slots, model, number of devices, and the free milli of each. The
arithmetic is in integers throughout, so that every machine ranks alike.
"""

from typing import TypeAlias

import numpy as np

from matcher.compiled import Numbers, compiled
from matcher.devices import WHOLE
from matcher.fragmentation.holes import ONE

CPU, MEMORY, SLOTS, MODEL, COUNT, FIRST = range(6)
"""columns of a row; the devices begin at FIRST"""
SHAPE_CPU, SHAPE_MEMORY, SHAPE_DEVICES, SHAPE_SHARE, SHAPE_MODELS = range(5)
KIND_CPU, KIND_SHARE, KIND_DEVICES = range(3)
"""columns of the typical kinds"""
OURS, FGD, BEST_FIT, RANDOM = range(4)
"""policies; RANDOM puts every fitting place in one class"""
NOWHERE = -1
"""the class of a place that does not fit"""
MIDDLE = 1 << 30
"""the class of a place that makes nothing better or worse"""

_LEVELS = 300
"""classes to the GPU: places that differ by less than a three-hundredth are equal"""
_STRANDED = 28
"""classes that a GPU costs which its machine's cores cannot serve: most of them are served after all, by less
greedy work. Work without a GPU is spared it: where cores are scarce, it would go where GPUs are few, and
break more of them"""
_FITTING = 40
"""classes between a placement that spoils all and one that spoils nothing for the typical shapes; it decides
where devices and balance do not, as between models and on machines short of cores"""
_LEVEL = 1000 * ONE
"""of raw score, in which the three are summed"""
_PAPER_CPU, _PAPER_GPU = 128_000, 8_000
"""the largest machine of the trace, by which best fit normalises"""


Tables: TypeAlias = tuple[Numbers, Numbers, Numbers, Numbers, Numbers, int, int, Numbers, Numbers, Numbers]
"""what `class_of` reads of a demand and a policy: typical, popular, losses, sigmoid, steps, a core's worth,
policy; and its room to work in: two columns a kind, the columns of the chosen devices, and a row"""
ROW = "int64[::1]"
TABLE = "int64[:, ::1]"
TABLES = f"Tuple(({TABLE}, {TABLE}, {ROW}, {ROW}, {ROW}, int64, int64, {TABLE}, {ROW}, {ROW}))"


@compiled(f"boolean({ROW}, {ROW})")
def fits(row: Numbers, shape: Numbers) -> bool:
    """Whether the shape finds room now."""
    if row[CPU] < shape[SHAPE_CPU] or row[MEMORY] < shape[SHAPE_MEMORY] or row[SLOTS] < 1:
        return False
    wanted = shape[SHAPE_DEVICES]
    if wanted == 0:
        return True
    if not (shape[SHAPE_MODELS] >> row[MODEL]) & 1:
        return False
    found = 0
    for device in range(FIRST, FIRST + row[COUNT]):
        found += row[device] >= shape[SHAPE_SHARE]
    return bool(found >= wanted)


@compiled(f"void({ROW}, {ROW}, {ROW})")
def fullest(row: Numbers, shape: Numbers, chosen: Numbers) -> None:
    """Write the columns of the fullest devices that fit, of equals the first. Enough must fit."""
    for place in range(shape[SHAPE_DEVICES]):
        best = -1
        for device in range(FIRST, FIRST + row[COUNT]):
            taken = False
            for earlier in range(place):
                taken |= chosen[earlier] == device
            if row[device] >= shape[SHAPE_SHARE] and not taken and (best < 0 or row[device] < row[best]):
                best = device
        chosen[place] = best


@compiled("int64(int64, int64, int64)")
def stranded(cpu: int, idle: int, cpu_worth: int) -> int:
    """Milli of idle GPU that so much cpu cannot serve, in fixed point."""
    return max(0, idle * ONE - min(cpu, 1 << 32) * cpu_worth) if cpu_worth else 0


@compiled(f"void({ROW}, {TABLE}, {TABLE})")
def survey(row: Numbers, typical: Numbers, found: Numbers) -> None:
    """Of each typical kind: the milli of the devices that have its share free, and their number."""
    for kind in range(typical.shape[0]):
        usable, fitting = 0, 0
        for device in range(FIRST, FIRST + row[COUNT]):
            if row[device] >= typical[kind, KIND_SHARE]:
                usable += row[device]
                fitting += 1
        found[kind, 0], found[kind, 1] = usable, fitting


@compiled(f"int64(int64, int64, {TABLE}, {ROW}, {TABLE}, int64, int64)")
def surveyed(
    cpu: int, idle: int, typical: Numbers, popular: Numbers, found: Numbers, old: int, new: int
) -> int:
    """Idle milli that a typical shape cannot use, summed by popularity (F of the paper, times the counts), of
    a surveyed row with `idle` milli beside so much cpu, had one of its devices `new` free instead of `old`;
    `popular` is that of the row's model."""
    total = (idle - old + new) * popular[-1]
    for kind in range(typical.shape[0]):
        if typical[kind, KIND_CPU] <= cpu:
            share, usable, fitting = typical[kind, KIND_SHARE], found[kind, 0], found[kind, 1]
            if old >= share:
                usable -= old
                fitting -= 1
            if new >= share:
                usable += new
                fitting += 1
            if fitting >= typical[kind, KIND_DEVICES]:
                total -= popular[kind] * usable
    return int(total)


@compiled("int64(int64, int64, int64)")
def plain_class(policy: int, cpu: int, idle: int) -> int:
    """The class of a place that leaves so much, by a policy that looks at nothing else."""
    if policy == RANDOM:
        return MIDDLE
    whole = 2 * _PAPER_CPU * _PAPER_GPU
    return MIDDLE + 100 * (whole - cpu * _PAPER_GPU - idle * _PAPER_CPU) // whole


@compiled(f"int64({ROW}, {ROW}, {ROW}, {ROW}, {ROW})")
def place_all(row: Numbers, shape: Numbers, chosen: Numbers, losses: Numbers, after: Numbers) -> int:
    """What the chosen devices will lose more, and in `after` the row with them taken."""
    after[:] = row
    spoiled = 0
    for place in range(shape[SHAPE_DEVICES]):
        device = chosen[place]
        after[device] -= shape[SHAPE_SHARE]
        spoiled += losses[after[device]] - losses[row[device]]
    return spoiled


@compiled(f"int64(int64, int64, int64, {ROW})")
def merit(fall: int, popularity: int, harm: int, sigmoid: Numbers) -> int:
    """Our raw score, from the fall of fragmentation and the harm done to devices and balance."""
    entry = sigmoid.size // 2
    if popularity:
        entry += fall // popularity
    return int(_FITTING * 1000 * sigmoid[min(max(entry, 0), sigmoid.size - 1)] - harm)


@compiled(f"int64({ROW}, {ROW}, {TABLES})")
def class_of(row: Numbers, shape: Numbers, tables: Tables) -> int:
    """The class of a row, NOWHERE where the shape does not fit, and in `tables` the columns of the devices it
    would get."""
    typical, popular, losses, sigmoid, steps, cpu_worth, policy, found, chosen, after = tables
    if not fits(row, shape):
        return NOWHERE
    wanted, share, cpu = shape[SHAPE_DEVICES], shape[SHAPE_SHARE], row[CPU] - shape[SHAPE_CPU]
    fullest(row, shape, chosen)
    idle = 0
    for device in range(FIRST, FIRST + row[COUNT]):
        idle += row[device]
    left = idle - wanted * share
    if policy >= BEST_FIT:
        return plain_class(policy, cpu, left)
    survey(row, typical, found)
    asked = popular[row[MODEL]]
    before = surveyed(row[CPU], idle, typical, asked, found, 0, 0)
    harm = _STRANDED * (stranded(cpu, left, cpu_worth) - stranded(row[CPU], idle, cpu_worth))
    best, most = NOWHERE, 0
    for device in range(FIRST, FIRST + (row[COUNT] if wanted == 1 else 1)):
        if wanted == 1:
            old, new = row[device], row[device] - share
            if new < 0:
                continue
            spoiled = losses[new] - losses[old]
            fall = before - surveyed(cpu, idle, typical, asked, found, old, new)
        else:
            spoiled = place_all(row, shape, chosen, losses, after)
            survey(after, typical, found)
            fall = before - surveyed(cpu, left, typical, asked, found, 0, 0)
        if policy == FGD or wanted == 0:
            here = int(np.searchsorted(steps, fall, side="right")) * _LEVEL
        else:
            here = merit(fall, asked[-1], harm + _LEVELS * spoiled, sigmoid)
        if best == NOWHERE or here > most:
            best, most = device, here
    if wanted == 1:
        chosen[0] = best
    return int(MIDDLE + most // _LEVEL)


@compiled(f"boolean({ROW}, {ROW}, {ROW}, int64)")
def move(row: Numbers, shape: Numbers, devices: Numbers, sign: int) -> bool:
    """Take the shape (`sign` -1) or give it back (1) on devices by number, each once; False, and nothing
    moved, where so much is not there or a device would have more than a whole."""
    cpu, memory = row[CPU] + sign * shape[SHAPE_CPU], row[MEMORY] + sign * shape[SHAPE_MEMORY]
    if devices.size != shape[SHAPE_DEVICES] or min(cpu, memory, row[SLOTS] + sign) < 0:
        return False
    for place in range(devices.size):
        if not 0 <= devices[place] < row[COUNT] or (devices[:place] == devices[place]).any():
            return False
        if not 0 <= row[FIRST + devices[place]] + sign * shape[SHAPE_SHARE] <= WHOLE:
            return False
    row[CPU], row[MEMORY], row[SLOTS] = cpu, memory, row[SLOTS] + sign
    for place in range(devices.size):
        row[FIRST + devices[place]] += sign * shape[SHAPE_SHARE]
    return True
