"""Costs: what it would take to have each offer serve the bid, for all offers at once, in basis points.

They rank offers before any change is worked out, by the rule of `matcher.remedy.demands`; the few that
come first are mended and tried exactly (`mending`, `search`).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.market.policy import BASIS_POINTS
from ledger.market.resource import LANE_NAMES
from matcher.columns import Numbers
from matcher.eligibility import LANE_DIMENSIONS
from matcher.question import Question

Costs = NDArray[np.float64]
IMPOSSIBLE: Final = np.inf
_HALF: Final = BASIS_POINTS / 2
"""what is guessed where the lane has room and no single device does"""
_TIMES: Final = ("duration", "validity", "stake", "deadline")
"""one shorter duration answers all of them"""
_NEVER: Final = ("terms", "members", "distinct", "self_trade", "reserved")
Cost = Callable[[Question], Costs]


def costs(question: Question, rates: Costs) -> Costs:
    """Each row's cost, `IMPOSSIBLE` where no change would do; `rates` as `mended_rates` has them."""
    total = np.zeros(len(question.offers.orders))
    for name in question.names:
        if name not in (*_TIMES, "price"):
            _add(total, question, (name,), COSTS.get(name, _whole))
    _add(total, question, _TIMES, _time)
    _add(total, question, ("price",), lambda _: _price(question, rates))
    return total


def _add(total: Costs, question: Question, names: tuple[str, ...], cost: Cost) -> None:
    failing = (question.failing & question.word(names)) != 0
    if failing.any():
        with np.errstate(invalid="ignore"):
            total += np.where(failing, cost(question), 0.0)


def _part(wants: float, has: Numbers) -> Costs:
    """How much of a figure is given up where only `has` is to be had."""
    change: Costs = np.abs(wants - has.astype(np.float64)) * BASIS_POINTS / max(wants, 1.0)
    return change


def _lane(name: str) -> Cost:
    def lowered(question: Question) -> Costs:
        free = question.offers.free[LANE_NAMES.index(name)]
        part = _part(getattr(question.order.bid.want, name), free)
        return np.where(free > 0, part, IMPOSSIBLE)

    return lowered


def _devices(question: Question) -> Costs:
    """Fewer devices; a smaller share where one would be left with less than it is asked for."""
    order, free = question.order, question.offers.free[LANE_NAMES.index("gpu")].astype(np.float64)
    room = np.clip(free // max(order.share, 1), 1.0, max(order.devices - 1, 1))
    fewer = (order.devices - room) * BASIS_POINTS / max(order.devices, 1)
    smaller = np.where(free < order.share, _part(order.share, free), _HALF if order.devices == 1 else 0.0)
    return np.where(free > 0, fewer + smaller, IMPOSSIBLE)


def _column(read: Callable[[Question], int], name: str) -> Cost:
    return lambda question: _part(read(question), question.offers.column(name))


def _features(question: Question) -> Costs:
    wants = np.uint64(question.order.bid.traits.features)
    lacks: Costs = np.bitwise_count(wants & ~question.offers.column("features")) * float(BASIS_POINTS)
    return lacks


def _set(name: str) -> Cost:
    """One more entry, where the offer is anything at all."""
    return lambda question: np.where(question.offers.column(name) != 0, float(BASIS_POINTS), IMPOSSIBLE)


def _floors(question: Question) -> Costs:
    total = np.zeros(len(question.offers.orders))
    for name, least in question.order.floors:
        has = np.minimum(question.offers.sparse("capability", name, 0).astype(np.float64), least)
        total += _part(least, has)
    return total


def _whole(question: Question) -> Costs:
    """A demand that is dropped, or one more entry of a list."""
    return np.full(len(question.offers.orders), float(BASIS_POINTS))


def _never(question: Question) -> Costs:
    return np.full(len(question.offers.orders), IMPOSSIBLE)


def _time(question: Question) -> Costs:
    """The nearest duration that the offer lends and ends in time with, and a later deadline where it must
    be; what its stake covers is left to the trial."""
    offers, order = question.offers, question.order
    begins, wants = float(question.at), float(order.bid.duration)
    most = np.minimum(offers.column("max_seconds"), offers.column("valid_until").astype(np.float64) - begins)
    least = np.maximum(offers.column("min_seconds").astype(np.float64), 1.0)
    late = np.zeros(len(most), dtype=np.bool_)
    if order.deadline:
        late = least > order.deadline - begins
        most = np.where(late, most, np.minimum(most, order.deadline - begins))
    part = _part(wants, np.minimum(np.maximum(wants, least), most))
    return np.where(most >= least, part + late * BASIS_POINTS, IMPOSSIBLE)


def mended_rates(question: Question) -> Costs:
    """What a member would cost on each row once its wants are as low as the row's free capacity."""
    want, free = question.order.bid.want, question.offers.free
    over = question.failing & question.word(LANE_DIMENSIONS.values())
    rates = question.rates.astype(np.float64)
    short = np.flatnonzero(over)
    for lane, amount in enumerate(want):
        if amount and len(short):
            saved = np.maximum(float(amount) - free[lane, short].astype(np.float64), 0.0)
            rates[short] -= saved * question.offers.ask[lane, short].astype(np.float64)
    return rates


def _price(question: Question, rates: Costs) -> Costs:
    limit = float(question.order.bid.limit_rate)
    above = np.maximum(rates - limit, 0.0)
    return above * BASIS_POINTS / max(limit, 1.0)


COSTS: Final[dict[str, Cost]] = {
    **dict.fromkeys(_NEVER, _never),
    **{name: _lane(name) for name in ("cpu", "memory", "disk", "network")},
    "gpu": _devices,
    "devices": _devices,
    "gpu_memory_total": _lane("gpu_memory"),
    "vendor": _set("vendors"),
    "region": _set("regions"),
    "features": _features,
    "gpu_memory": _column(lambda question: question.order.bid.traits.gpu_memory_mib, "gpu_memory_mib"),
    "capability": _column(lambda question: question.order.bid.traits.capability, "capability"),
    "reputation": _column(lambda question: question.order.min_reputation, "reputation"),
    "floors": _floors,
}
"""what a failing row costs by dimension; any other costs one entry of a list"""
