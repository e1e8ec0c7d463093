"""Demands: what a bid asks for, one figure or list at a time, and what it costs its buyer to change each.

The rule: a figure costs the part of it by which it moves, in basis points (a limit raised by an eighth
1,250, half the devices 5,000); each entry of a list that is given up or added, and each demand that is
dropped, costs 10,000. New dates cost nothing: whoever signs again names them anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass
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


def _word(name: str) -> Callable[[BidOrder], Any]:
    return lambda order: getattr(order.bid.traits, name)


def _lane(name: str) -> Callable[[BidOrder], Any]:
    return lambda order: getattr(order.bid.want, name)


def _of(name: str) -> Callable[[BidOrder], Any]:
    return lambda order: getattr(order, name)


def _of_bid(name: str) -> Callable[[BidOrder], Any]:
    return lambda order: getattr(order.bid, name)


def _demand(name: str, read: Callable[[BidOrder], Any], weigh: Weigh, *dimensions: str) -> Demand:
    return Demand(name=name, read=read, weigh=weigh, dimensions=dimensions or (name,))


DEMANDS: Final = (
    _demand("price", _of_bid("limit_rate"), relative),
    _demand("members", _of_bid("members"), relative),
    _demand("distinct", _of("distinct"), _widened),
    _demand("cpu", _lane("cpu"), relative),
    _demand("memory", _lane("memory"), relative),
    _demand("disk", _lane("disk"), relative),
    _demand("network", _lane("network"), relative),
    _demand("devices", _of("devices"), relative, "gpu", "devices"),
    _demand("share", _of("share"), relative, "gpu", "devices"),
    _demand("device_memory", _of("device_memory"), relative, "gpu_memory_total", "gpu_memory", "devices"),
    _demand("duration", _of_bid("duration"), relative, "duration", "validity", "stake", "deadline"),
    _demand("dates", lambda order: (order.bid.valid_until, order.bid.start_by), _nothing, "validity"),
    _demand("deadline", _of("deadline"), _widened),
    _demand("start_at", _of("start_at"), _widened),
    _demand("vendor", _word("vendors"), _widened),
    _demand("region", _word("regions"), _widened),
    _demand("features", _word("features"), _bits),
    _demand("gpu_memory", _word("gpu_memory_mib"), relative),
    _demand("capability", _word("capability"), relative),
    _demand("model", _word("model"), _widened),
    _demand("models", _of("models"), _entries, "model", "models"),
    _demand("profile", _of("profile"), _widened),
    _demand("floors", _of("floors"), _figures),
    _demand("score", _of("min_score"), relative),
    _demand("latency", lambda order: (order.data_region, order.max_latency_ms), _widened),
    _demand("allow", _of("allow"), _entries, "domain"),
    _demand("deny", _of("deny"), _entries, "domain"),
    _demand("provider", _of_bid("provider"), _widened),
    _demand("providers", _of("providers"), _entries),
    _demand("excluded", _of("exclude"), _entries),
    _demand("reputation", _of("min_reputation"), relative),
    _demand("same_domain", _of("same_domain"), _widened),
    _demand("same_provider", _of("same_provider"), _widened),
)
"""each thing that a change can be about"""
