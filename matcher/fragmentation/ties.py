"""Ties: the classes of equally cheap offers for a market whose prices decide first."""

import numpy as np

from matcher.compiled import Numbers
from matcher.fragmentation.demand import Demand, Shape
from matcher.fragmentation.fleet import numbers, tables
from matcher.fragmentation.ranking import rank_all
from matcher.fragmentation.scores import COUNT, CPU, FIRST, MEMORY, MODEL, OURS, SLOTS

_ONE_SLOT = 1


def classes(
    demand: Demand, shape: Shape, cpu: Numbers, memory: Numbers, milli: Numbers, model: Numbers
) -> Numbers:
    """The class of each offer, the higher the better and -1 where the shape does not fit, from its free
    milli-cores and MiB, the free milli of its devices (a row an offer, -1 behind its last device) and
    the number of its model, 0 to 61 (0 where models are not told apart)."""
    offers, devices = milli.shape
    fleet = np.zeros((offers, FIRST + devices), dtype=np.int64)
    fleet[:, CPU], fleet[:, MEMORY], fleet[:, SLOTS], fleet[:, MODEL] = cpu, memory, _ONE_SLOT, model
    fleet[:, COUNT] = (milli >= 0).sum(axis=1)
    fleet[:, FIRST:] = np.maximum(milli, 0)
    ranked = np.full(offers, -1, dtype=np.int32)
    rank_all(ranked, offers, fleet, numbers(shape), tables(demand, OURS, fleet.shape[1]))
    return ranked.astype(np.int64)
