"""Classes: which of equally cheap offers a bid leaves least stranded, by what is typically asked for."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matcher.columns import OfferView
from matcher.fragmentation.demand import NO_DEMAND, Demand, Shape, demand_of
from matcher.fragmentation.fleet import MOST_DEVICES
from matcher.fragmentation.ties import classes
from matcher.index.layout import Array
from matcher.orders import BidOrder

_CPU, _MEMORY = 0, 1
_ABSENT = -1
_ONE_MODEL = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TypicalDemand:
    """How often each shape of work was asked for, each once: what the book judges fragmentation by."""

    shapes: tuple[tuple[Shape, int], ...] = ()

    def tables(self) -> Demand:
        """What the scores need of it."""
        return _tables(self.shapes)


@lru_cache(maxsize=4)
def _tables(shapes: tuple[tuple[Shape, int], ...]) -> Demand:
    return demand_of(Counter(dict(shapes))) if shapes else NO_DEMAND


def shape_of(order: BidOrder) -> Shape:
    """One member of an order as fragmentation sees it; models are not told apart."""
    want = order.bid.want
    share = order.share if order.devices else 0
    return Shape(cpu=want.cpu, memory=want.memory, devices=order.devices, share=share)


def classes_of(demand: Demand, order: BidOrder, offers: OfferView) -> list[int]:
    """Of each offer of a small view its class for one member of the order, the higher the better."""
    free = offers.free.astype(np.int64)
    milli = _free_milli(offers)
    models = np.full(len(offers.orders), _ONE_MODEL, dtype=np.int64)
    found: list[int] = classes(demand, shape_of(order), free[_CPU], free[_MEMORY], milli, models).tolist()
    return found


def _free_milli(offers: OfferView) -> Array:
    """A row an offer: what is free on each device that is scored, and -1 behind the last one."""
    lending = np.flatnonzero(offers.column("device_count")).tolist()
    free = [offers.devices_on(row).free_milli[:MOST_DEVICES] for row in lending]
    table = np.full((len(offers.orders), max(1, max(map(len, free), default=0))), _ABSENT, dtype=np.int64)
    for row, milli in zip(lending, free, strict=True):
        table[row, : len(milli)] = milli
    return table
