"""Ties: the classes of equally cheap offers for a market whose prices decide first."""

import numpy as np

from matcher.fragmentation.demand import Demand, Shape, sigmoid
from matcher.fragmentation.fleet import numbers
from matcher.fragmentation.ranking import Numbers, rank_all
from matcher.fragmentation.scores import FIRST, OURS

_ONE_SLOT = 1


def classes(
    demand: Demand, shape: Shape, cpu: Numbers, memory: Numbers, milli: Numbers, model: Numbers
) -> Numbers:
    """The class of each offer, the higher the better and -1 where the shape does not fit, from its free
    milli-cores and MiB, the free milli of its devices (a row an offer, -1 behind its last device) and
    the number of its model, 0 to 61 (0 where models are not told apart)."""
    offers, devices = milli.shape
    fleet = np.zeros((offers, FIRST + devices), dtype=np.int64)
    fleet[:, 0], fleet[:, 1], fleet[:, 2], fleet[:, 3] = cpu, memory, _ONE_SLOT, model
    fleet[:, 4] = (milli >= 0).sum(axis=1)
    fleet[:, FIRST:] = np.maximum(milli, 0)
    ranked = np.full(offers, -1, dtype=np.int32)
    found = np.zeros((len(demand.typical), 2), dtype=np.int64)
    room = (
        np.zeros(max(1, devices), dtype=np.int64),
        np.zeros(fleet.shape[1], dtype=np.int64),
    )
    tables = (
        demand.typical,
        demand.popular,
        found,
        demand.losses,
        sigmoid(),
        demand.steps,
        demand.cpu_worth,
        OURS,
        *room,
    )
    rank_all(ranked, offers, fleet, numbers(shape), *tables)
    return ranked.astype(np.int64)
