"""Experiment: one trace through one policy, task by task, and what came of it.

Each machine is an offer and each task a bid. All offers cost the same, so the market's choice is what it
is among equally cheap ones everywhere: `matcher.fragmentation`. Nothing departs; a task that fits nowhere
is dropped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ledger.market.errors import Rejected
from matcher.devices import WHOLE
from matcher.fragmentation.demand import ANY_MODEL, MODELS, NO_DEMAND, Demand, Learnt, Shape, demand_for
from matcher.fragmentation.fleet import Choice, Fleet, Room
from matcher.fragmentation.scores import BEST_FIT, FGD, OURS, RANDOM
from matcher.replay.arrivals import Chance, arrivals, ranks
from matcher.replay.files import Machine, Task

TASKS_A_MACHINE = 1001
POLICIES = {"ours": OURS, "fgd": FGD, "bestfit": BEST_FIT, "random": RANDOM}
SHOWN = (100, 130)
"""percent of the capacity that arrived at which the allocated share is told"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`allocated` has the mean percent of the GPUs allocated by the percent arrived, None where it was never
    reached; `nanoseconds` are those of each decision."""

    allocated: dict[int, float | None]
    placed: int
    dropped: int
    nanoseconds: tuple[int, ...]

    @property
    def per_second(self) -> float:
        """Tasks placed a second of deciding."""
        total = sum(self.nanoseconds)
        return self.placed * 1e9 / total if total else 0.0

    def microseconds(self, percent: int) -> float:
        """The decision time below which so many percent stay."""
        return float(np.percentile(self.nanoseconds, percent)) / 1_000 if self.nanoseconds else 0.0


class Experiment:
    """A cluster and its tasks, ready to be replayed with any seed and policy."""

    def __init__(self, machines: Sequence[Machine], tasks: Sequence[Task]) -> None:
        self._machines = machines
        self.capacity = sum(machine.gpus for machine in machines) * WHOLE
        if not self.capacity:
            raise Rejected("no-gpus", "The machines have no GPU.", "Give a cluster with at least one.")
        self._models = {name: n for n, name in enumerate(sorted({machine.model for machine in machines}))}
        if len(self._models) > MODELS:
            raise Rejected(
                "too-many-models",
                f"The machines have {len(self._models)} models.",
                f"Give a cluster of at most {MODELS}.",
            )
        self._shapes = [self._shape(task) for task in tasks]

    def _shape(self, task: Task) -> Shape:
        named = sum(1 << self._models[name] for name in task.models if name in self._models)
        return Shape(
            cpu=task.cpu,
            memory=task.memory,
            devices=task.gpus,
            share=task.share,
            models=named if task.models and task.gpus else ANY_MODEL,
        )

    def order(self, load: Fraction, seed: int) -> list[int]:
        """The arrivals that the protocol draws."""
        return arrivals([shape.gpu for shape in self._shapes], load * self.capacity, seed)

    def demand(self) -> Demand:
        """Of the whole trace, as its tasks stand in the file."""
        return demand_for(self._shapes)

    def rooms(self, seed: int) -> list[Room]:
        """The machines, idle, in the order of preference among equals."""
        return [
            Room(
                cpu=machine.cpu,
                memory=machine.memory,
                milli=(WHOLE,) * machine.gpus,
                model=self._models[machine.model],
                slots=TASKS_A_MACHINE,
            )
            for machine in (self._machines[n] for n in ranks(len(self._machines), seed))
        ]

    def replay(
        self, order: Sequence[int], seed: int, policy: str, clock: Callable[[], int], *, online: bool = False
    ) -> Outcome:
        """Place the tasks one by one; `clock` tells nanoseconds. With `online` the demand is learnt from what
        has arrived, and otherwise known from the whole trace."""
        fleet = Fleet(self.rooms(seed), NO_DEMAND if online else self.demand(), POLICIES[policy])
        learnt, chance = Learnt() if online else None, Chance(seed)
        tally, times, placed = _Tally(self.capacity), [], 0
        for task in order:
            shape = self._shapes[task]
            started = clock()
            if learnt is not None and learnt.arrived(shape):
                fleet.expect(learnt.demand)
            choice = _choice(fleet, shape, chance if policy == "random" else None)
            if choice is not None:
                fleet.take(choice, shape)
            times.append(clock() - started)
            placed += choice is not None
            tally.arrived(shape.gpu, taken=choice is not None)
        return Outcome(
            allocated={at: tally.mean(at) for at in SHOWN},
            placed=placed,
            dropped=len(times) - placed,
            nanoseconds=tuple(times),
        )


def _choice(fleet: Fleet, shape: Shape, chance: Chance | None) -> Choice | None:
    if chance is None:
        return fleet.choose(shape)
    rows = fleet.fitting(shape)
    if not rows.size:
        return None
    row = chance.one_of(rows)
    return Choice(row=row, devices=fleet.devices(shape, row))


class _Tally:
    """The allocated share after each arrival, gathered by the arrived share, rounded half up."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._arrived, self._allocated = capacity, 0, 0
        self._seen: dict[int, tuple[int, int]] = {}

    def arrived(self, milli: int, *, taken: bool) -> None:
        self._arrived += milli
        self._allocated += milli * taken
        at = (200 * self._arrived + self._capacity) // (2 * self._capacity)
        events, total = self._seen.get(at, (0, 0))
        self._seen[at] = events + 1, total + self._allocated

    def mean(self, at: int) -> float | None:
        if at not in self._seen:
            return None
        events, total = self._seen[at]
        return float(Fraction(100 * total, events * self._capacity))
