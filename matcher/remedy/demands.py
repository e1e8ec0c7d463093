"""Demands: what a bid asks for, one figure or list at a time, and what it costs its buyer to change each.

The rule: a figure costs the part of it by which it moves, in basis points (a limit raised by an eighth
1,250, half the devices 5,000); each entry of a list that is given up or added, and each demand that is
dropped, costs 10,000. New dates cost nothing: whoever signs again names them anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from ledger.market.policy import BASIS_POINTS
from matcher.orders import BidOrder

Weigh = Callable[[Any, Any], int]
"""what it costs to go from one value to another, in basis points"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One thing that a bid says; `dimensions` are those that fail by it."""

    name: str
    read: Callable[[BidOrder], Any]
    weigh: Weigh
    dimensions: tuple[str, ...]


def relative(before: int, after: int) -> int:
    """The part of a figure by which it moves, rounded up."""
    return -(-abs(after - before) * BASIS_POINTS // max(before, 1))


def _bits(before: int, after: int) -> int:
    return (before ^ after).bit_count() * BASIS_POINTS


def _widened(before: int, after: int) -> int:
    """A set of alternatives: however many bits another offer adds, it is one more entry."""
    return 0 if before == after else BASIS_POINTS


def _entries(before: Any, after: Any) -> int:  # noqa: ANN401 - lists of any kind
    return len(set(before) ^ set(after)) * BASIS_POINTS


def _figures(before: Any, after: Any) -> int:  # noqa: ANN401 - vectors by name
    later = dict(after)
    return sum(relative(figure, later.get(name, 0)) for name, figure in before)


def _nothing(_before: object, _after: object) -> int:
    return 0


def _demand(name: str, read: Callable[[BidOrder], Any], weigh: Weigh, *dimensions: str) -> Demand:
    return Demand(name=name, read=read, weigh=weigh, dimensions=dimensions or (name,))


DEMANDS: Final = (
    _demand("price", attrgetter("bid.limit_rate"), relative),
    _demand("members", attrgetter("bid.members"), relative),
    _demand("distinct", attrgetter("distinct"), _widened),
    _demand("cpu", attrgetter("bid.want.cpu"), relative),
    _demand("memory", attrgetter("bid.want.memory"), relative),
    _demand("disk", attrgetter("bid.want.disk"), relative),
    _demand("network", attrgetter("bid.want.network"), relative),
    _demand("devices", attrgetter("devices"), relative, "gpu", "devices"),
    _demand("share", attrgetter("share"), relative, "gpu", "devices"),
    _demand(
        "device_memory", attrgetter("device_memory"), relative, "gpu_memory_total", "gpu_memory", "devices"
    ),
    _demand("duration", attrgetter("bid.duration"), relative, "duration", "validity", "stake", "deadline"),
    _demand("dates", attrgetter("bid.valid_until", "bid.start_by"), _nothing, "validity"),
    _demand("deadline", attrgetter("deadline"), _widened),
    _demand("start_at", attrgetter("start_at"), _widened),
    _demand("vendor", attrgetter("bid.traits.vendors"), _widened),
    _demand("region", attrgetter("bid.traits.regions"), _widened),
    _demand("features", attrgetter("bid.traits.features"), _bits),
    _demand("gpu_memory", attrgetter("bid.traits.gpu_memory_mib"), relative),
    _demand("capability", attrgetter("bid.traits.capability"), relative),
    _demand("model", attrgetter("bid.traits.model"), _widened),
    _demand("models", attrgetter("models"), _entries, "model", "models"),
    _demand("profile", attrgetter("profile"), _widened),
    _demand("floors", attrgetter("floors"), _figures),
    _demand("score", attrgetter("min_score"), relative),
    _demand("latency", attrgetter("data_region", "max_latency_ms"), _widened),
    _demand("allow", attrgetter("allow"), _entries, "domain"),
    _demand("deny", attrgetter("deny"), _entries, "domain"),
    _demand("provider", attrgetter("bid.provider"), _widened),
    _demand("providers", attrgetter("providers"), _entries),
    _demand("excluded", attrgetter("exclude"), _entries),
    _demand("reputation", attrgetter("min_reputation"), relative),
    _demand("same_domain", attrgetter("same_domain"), _widened),
    _demand("same_provider", attrgetter("same_provider"), _widened),
)
"""each thing that a change can be about"""
