"""Demand: which shapes of work are typical, so that a place is judged by what it leaves for them.

Taken from a whole trace or learnt from arrivals, it is the same count of shapes. All that the scores
need of it is computed here once, in integers: the tables are the same on every machine.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from ledger.market.ranges import unsigned
from matcher.compiled import Numbers
from matcher.devices import WHOLE
from matcher.fragmentation.holes import ONE, Holes, losses

MODELS = 62
"""a model is a number below it"""
ANY_MODEL = (1 << MODELS) - 1
"""admits offers of every model"""

_COVERED = 95
"""percent of the tasks that the typical shapes cover, as in "Beware of Fragmentation" (ATC'23)"""
_FIRST_LOOK, _GROWTH = 16, 4
_SIGMOID_REACH = 8 * WHOLE
_CPU_PER_GPU = (9, 10)
"""of the mean demand for cores beside a GPU: greedy tasks pull the mean up, and a machine a tenth short of it
still finds others"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What one member takes of one offer: milli-cores, MiB, and `share` milli of each of `devices`, on an
    offer whose model has its bit in `models` (asked only where devices are wanted)."""

    cpu: int
    memory: int
    devices: int = 0
    share: int = 0
    models: int = ANY_MODEL

    def __post_init__(self) -> None:
        unsigned("cpu", self.cpu, 40)
        unsigned("memory", self.memory, 40)
        unsigned("devices", self.devices, 32)
        unsigned("share", self.share, 10)
        unsigned("models", self.models, MODELS)

    @property
    def gpu(self) -> int:
        """Milli of all its devices together."""
        return self.devices * self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Typical demand as the scores use it. `typical` has a row a kind of GPU work: cpu, share, devices;
    `popular` a row a model: how often each kind is asked for that the model may serve, and last the number
    of all typical tasks; `losses` what a hole of so many milli will lose; `steps` the least fall of
    fragmentation for each class of FGD; `cpu_worth` the milli of GPU that a milli-core can serve."""

    typical: Numbers
    popular: Numbers
    losses: Numbers
    steps: Numbers
    cpu_worth: int


def demand_of(counts: Counter[Shape]) -> Demand:
    """From how often each shape was asked for; nothing asked is a demand that prefers no place."""
    rows = typical_shapes(counts)
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(row[:3] for row in rows if row[2]))}
    popular = np.zeros((MODELS, len(kinds) + 1), dtype=np.int64)
    popular[:, -1] = sum(row[-1] for row in rows)
    for *kind, models, count in rows:
        if tuple(kind) in kinds:
            admitted = [model for model in range(MODELS) if models >> model & 1]
            popular[admitted, kinds[kind[0], kind[1], kind[2]]] += count
    return Demand(
        typical=np.array(list(kinds), dtype=np.int64).reshape(-1, 3),
        popular=popular,
        losses=losses(_holes(counts)),
        steps=_steps(int(popular[0, -1])),
        cpu_worth=_cpu_worth(counts),
    )


def typical_shapes(counts: Counter[Shape]) -> list[tuple[int, int, int, int, int]]:
    """The most popular shapes that cover enough of the tasks, as (cpu, share, devices, models, count); memory
    is no part of a shape here."""
    popular: Counter[tuple[int, int, int, int]] = Counter()
    for shape, count in counts.items():
        popular[shape.cpu, shape.share, shape.devices, shape.models] += count
    enough, covered, rows = sum(popular.values()) * _COVERED, 0, []
    for key, count in sorted(popular.items(), key=lambda item: (-item[1], item[0])):
        if covered * 100 >= enough:
            break
        rows.append((*key, count))
        covered += count
    return rows


def _holes(counts: Counter[Shape]) -> Holes:
    """How often each share of one device is asked for."""
    shares = Counter[int]()
    for shape, count in counts.items():
        if shape.devices == 1:
            shares[shape.share] += count
    return tuple(sorted(shares.items()))


def _cpu_worth(counts: Counter[Shape]) -> int:
    """In the scores' fixed point; 0 where no GPU is demanded, or nothing beside one."""
    cpu = sum(shape.cpu * count for shape, count in counts.items() if shape.gpu)
    gpu = sum(shape.gpu * count for shape, count in counts.items())
    part, whole = _CPU_PER_GPU
    return min(gpu * whole * ONE // (cpu * part), ONE * WHOLE) if cpu else 0


@cache
def _logits() -> tuple[Decimal, ...]:
    """Where a sigmoid passes each hundredth: Decimal's logarithm is exact to the last place everywhere."""
    with localcontext() as context:
        context.prec = 40
        return tuple((Decimal(k) / (100 - k)).ln() for k in range(1, 100))


def _steps(total: int) -> Numbers:
    """floor(100 sigmoid(x / 1000)) >= k where the weighted x is at least the k-th of these."""
    with localcontext() as context:
        context.prec = 40
        return np.array(
            [int((step * WHOLE * total).to_integral_value("ROUND_CEILING")) for step in _logits()]
        )


@cache
def sigmoid() -> Numbers:
    """sigmoid(x / 1000) in the scores' fixed point, for each x from -8000 to 8000. Coarser steps would move
    places across the edge of a class, and whole kinds of machines with them."""
    table = np.empty(2 * _SIGMOID_REACH + 1, dtype=np.int64)
    with localcontext() as context:
        context.prec = 40
        decay, power = (Decimal(-1) / WHOLE).exp(), (Decimal(_SIGMOID_REACH) / WHOLE).exp()
        for entry in range(table.size):
            table[entry] = int((ONE / (1 + power)).to_integral_value())
            power *= decay
    return table


class Learnt:
    """Demand learnt from arrivals alone; looked at again each time their number grew by a quarter, so that
    what was computed for the last look is of use for a while."""

    def __init__(self) -> None:
        self._counts: Counter[Shape] = Counter()
        self._arrived, self._next = 0, _FIRST_LOOK
        self.demand = demand_of(self._counts)

    def arrived(self, shape: Shape) -> bool:
        """Count one arrival; whether `demand` is a new one."""
        self._counts[shape] += 1
        self._arrived += 1
        if self._arrived < self._next:
            return False
        self._next += max(1, self._next // _GROWTH)
        self.demand = demand_of(self._counts)
        return True


def demand_for(shapes: Iterable[Shape]) -> Demand:
    """Of shapes that are known beforehand."""
    return demand_of(Counter(shapes))


NO_DEMAND = demand_of(Counter())
"""nothing is known of what will be asked for"""
