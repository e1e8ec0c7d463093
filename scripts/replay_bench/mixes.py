"""Mixes: traces drawn from one trace's tasks with other shares of sharing, whole, multi-GPU, model-bound
and CPU-only work, and clusters drawn from its machines, so that no figure rests on one file."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from matcher.devices import WHOLE
from matcher.replay.files import Machine, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Percent of the GPU demand by shares of one GPU and by several GPUs (the rest by a whole one), CPU-only
    tasks in percent of the trace's, model-bound tasks in percent of the GPU tasks."""

    name: str
    shared: int
    multiple: int
    cpu_only: int = 100
    bound: int = 0


def drawn(mix: Mix, tasks: Sequence[Task], models: Sequence[str], seed: int = 1) -> list[Task]:
    """As much GPU demand as the trace has, drawn from its tasks with replacement."""
    chance = random.Random(f"{mix} {seed}")  # noqa: S311 - a repeatable draw is the point
    total = sum(task.gpu for task in tasks)
    parts: tuple[tuple[Callable[[Task], bool], int], ...] = (
        (lambda task: task.gpus == 1 and task.share < WHOLE, mix.shared),
        (lambda task: task.gpus > 1, mix.multiple),
        (lambda task: task.gpus == 1 and task.share == WHOLE, 100 - mix.shared - mix.multiple),
    )
    found = []
    for belongs, percent in parts:
        among, milli = [task for task in tasks if belongs(task)], total * percent // 100
        while milli > 0:
            found.append(_bound(chance.choice(among), mix.bound, models, chance))
            milli -= found[-1].gpu
    idle = [task for task in tasks if not task.gpus]
    return found + chance.choices(idle, k=len(idle) * mix.cpu_only // 100)


def _bound(task: Task, percent: int, models: Sequence[str], chance: random.Random) -> Task:
    if chance.randrange(100) >= percent:
        return task
    return replace(task, models=frozenset(chance.sample(models, chance.randint(1, len(models)))))


def cluster(machines: Sequence[Machine], count: int, seed: int = 1) -> list[Machine]:
    """So many machines, drawn with replacement."""
    chance = random.Random(f"cluster {count} {seed}")  # noqa: S311 - a repeatable draw is the point
    return chance.choices(machines, k=count)
