"""Report: what a simulated market came to, in figures: welfare, prices by kind of machine, fill rates."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

from ledger.market.money import MILLISECONDS, RATE_DIVISOR
from matcher.orders import BidOrder, OfferOrder
from matcher.simulation.scenario import LeftOut, Outcome, Served

_UNIT = 1_000
"""milli of one device, or of one core"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What one whole device (of a bid without devices: one core, with all that came with it) cost an hour, in
    milli-base-units; `leases` is how many there were."""

    leases: int
    low: int
    median: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """How much of what was asked for was served."""

    served: int
    asked: int

    @property
    def per_mille(self) -> int:
        """Of a thousand, rounded down; all where nothing was asked for."""
        return self.served * 1_000 // self.asked if self.asked else 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """Why orders were left out: how many name a dimension first, and how many had no change to be had."""

    dimensions: tuple[tuple[str, int], ...]
    without_a_change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`welfare` is what buyers value above what their providers ask, `paid` what they pay for the durations
    they asked for, both in base units; GPU time in milli-device-seconds."""

    welfare: int
    paid: int
    orders: Filled
    gpu_time: Filled
    prices: dict[int, Prices]
    reasons: Reasons
    clearings: int


def report(outcome: Outcome) -> Report:
    """The figures of an outcome; `prices` are by the offers' model tags, 0 for machines without devices."""
    served, left = outcome.served, outcome.left_out
    orders = [one.order for one in served]
    missed = [one.arrival.ways[0] for one in left]
    given = sum(map(_gpu_time, orders))
    return Report(
        welfare=_base_units(sum(one.surplus for one in served)),
        paid=_base_units(sum(sum(one.rates) * one.order.bid.duration for one in served)),
        orders=Filled(served=len(served), asked=len(served) + len(left)),
        gpu_time=Filled(served=given, asked=given + sum(map(_gpu_time, missed))),
        prices=_prices(served),
        reasons=_reasons(left),
        clearings=outcome.clearings,
    )


def _base_units(milli_seconds: int) -> int:
    """Milli-base-units an hour, times seconds, in base units, rounded down."""
    return milli_seconds * MILLISECONDS // RATE_DIVISOR


def _gpu_time(order: BidOrder) -> int:
    return order.bid.want.gpu * order.members * order.bid.duration


def _prices(served: Iterable[Served]) -> dict[int, Prices]:
    found: dict[int, list[int]] = defaultdict(list)
    for one in served:
        for place, rate in zip(one.places, one.rates, strict=True):
            found[_kind(place, one.order)].append(_per_unit(one.order, rate))
    return {
        kind: Prices(leases=len(rates), low=min(rates), median=median_low(rates), high=max(rates))
        for kind, rates in sorted(found.items())
    }


def _kind(place: OfferOrder, order: BidOrder) -> int:
    return place.offer.traits.model if order.bid.want.gpu else 0


def _per_unit(order: BidOrder, rate: int) -> int:
    want = order.bid.want
    return rate * _UNIT // (want.gpu or want.cpu or _UNIT)


def _reasons(left: Iterable[LeftOut]) -> Reasons:
    """An order counts once, for the dimension that excludes most offers."""
    counts: Counter[str] = Counter()
    hopeless = 0
    for one in left:
        found = one.why[0]
        counts[found.obstacles[0].dimension if found.obstacles else "competition"] += 1
        hopeless += not any(way.remedies or way.eligible for way in one.why)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return Reasons(dimensions=tuple(ranked), without_a_change=hopeless)
