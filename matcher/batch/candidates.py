"""Candidates: the waiting orders and the offers that may serve them as a problem of numbers.

Only offers that some order names take part: the cheapest of each, many more than its members need. An
order that finds no room among them is looked up further down the list, as long as there is any.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ledger.market.identity import OfferId
from matcher.batch.contests import priority
from matcher.batch.sums import Scale, scale_for
from matcher.columns import OfferView
from matcher.fragmentation.demand import Demand
from matcher.index.classes import classes_of
from matcher.index.place import Place
from matcher.orders import BidOrder
from matcher.welfare.problem import (
    ANYWHERE,
    MONEY_LIMIT,
    NO_GROUP,
    POOLS,
    SAME_DOMAIN,
    SAME_POOL,
    Bids,
    Candidates,
    Offers,
    Problem,
    numbers,
)

_MOST_WORK = 1 << 61
"""of all orders together"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """An order with its places, one or more, the cheapest first; `contest` numbers what it is an alternative
    of. Its money is counted from `zero` (milli-base-units per hour), which is not above the cheapest cost."""

    order: BidOrder
    contest: int
    places: tuple[Place, ...]
    zero: int = 0

    @property
    def gain(self) -> int:
        """What one member is worth at its cheapest place less what it costs there, per hour."""
        return self.order.bid.limit_rate - self.places[0].cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Posed:
    """A problem with what its numbers stand for: row `n` of its offers is row `n` of `view`, its bid `n` is
    `entrants[n]`."""

    problem: Problem
    scale: Scale
    view: OfferView
    entrants: Sequence[Entrant]

    def vague(self) -> list[Entrant]:
        """The entrants that are too small to be compared with the others, the worthiest first."""
        small = [one for one in self.entrants if self.scale.vague(one.gain, one.order.bid.duration)]
        return sorted(small, key=lambda one: (-one.gain * one.order.bid.duration, *priority(one.order)))


def pose(view: OfferView, entrants: Sequence[Entrant], demand: Demand | None) -> Posed:
    """The problem of serving the entrants from the view's offers, which all their places are. Equally cheap
    places are told apart by what they leave to the typical `demand`, where one is known."""
    entrants, scale = _counted(entrants)
    problem = Problem(
        offers=_offers(view),
        bids=_bids(entrants, scale),
        candidates=_candidates(view, entrants, scale, demand),
        purse=numbers(min(stake, MONEY_LIMIT) for stake in view.stakes),
    )
    return Posed(problem=problem, scale=scale, view=view, entrants=entrants)


def _counted(entrants: Sequence[Entrant]) -> tuple[Sequence[Entrant], Scale]:
    """A scale for all. Money is counted from nothing (from below it, where a preference outweighs a price);
    where that is too much for a machine word, each order's from its own cheapest place."""
    orders = [one.order for one in entrants]
    costs = [one.places[0].cost for one in entrants]
    zeros = [min(0, cost) for cost in costs]
    scale = scale_for(orders, zeros)
    if scale.cut:
        zeros, scale = costs, scale_for(orders, costs)
    return [replace(one, zero=zero) for one, zero in zip(entrants, zeros, strict=True)], scale


def _offers(view: OfferView) -> Offers:
    devices = [view.devices_on(row) for row in range(len(view.orders))]
    first = np.cumsum([0, *(len(one.free_milli) for one in devices)], dtype=np.int64)
    return Offers(
        keys=tuple(order.id for order in view.orders),
        capacity=np.ascontiguousarray(view.free.T).astype(np.int64),
        device_from=first,
        device_milli=numbers(milli for one in devices for milli in one.free_milli),
        device_memory=numbers(memory for one in devices for memory in one.free_memory),
        pool=view.column("provider").astype(np.int64),
        domain=view.column("domain").astype(np.int64),
    )


def _bids(entrants: Sequence[Entrant], scale: Scale) -> Bids:
    orders = [one.order for one in entrants]
    most_work = _MOST_WORK // max(1, len(orders))
    rivals = Counter(one.contest for one in entrants)
    return Bids(
        keys=tuple(order.id for order in orders),
        value=numbers(_worth(one, scale) * one.order.members for one in entrants),
        members=numbers(order.members for order in orders),
        want=np.array([tuple(order.bid.want) for order in orders], dtype=np.int64),
        devices=numbers(order.devices for order in orders),
        share=numbers(order.share for order in orders),
        memory=numbers(order.device_memory for order in orders),
        work=numbers(min(o.bid.want.gpu * o.members * o.bid.duration, most_work) for o in orders),
        distinct=numbers(POOLS if order.distinct else ANYWHERE for order in orders),
        together=numbers(_together(order) for order in orders),
        group=numbers(one.contest if rivals[one.contest] > 1 else NO_GROUP for one in entrants),
        seq=np.arange(len(orders), dtype=np.int64),
    )


def _worth(entrant: Entrant, scale: Scale) -> int:
    return scale.worth(entrant.order.bid.limit_rate - entrant.zero, entrant.order.bid.duration)


def _together(order: BidOrder) -> int:
    if order.same_provider:
        return SAME_POOL
    return SAME_DOMAIN if order.same_domain else 0


def _candidates(
    view: OfferView, entrants: Sequence[Entrant], scale: Scale, demand: Demand | None
) -> Candidates:
    rows = {order.id: row for row, order in enumerate(view.orders)}
    listed = [_listed(view, one, rows, scale, demand) for one in entrants]
    flat = [candidate for candidates in listed for candidate in candidates]
    return Candidates(
        first=np.cumsum([0, *map(len, listed)], dtype=np.int64),
        offer=numbers(offer for _, _, _, offer, _ in flat),
        cost=numbers(cost for cost, _, _, _, _ in flat),
        lock=numbers(lock for _, _, _, _, lock in flat),
        fragment=numbers(fragment for _, fragment, _, _, _ in flat),
    )


def _listed(
    view: OfferView, entrant: Entrant, rows: Mapping[OfferId, int], scale: Scale, demand: Demand | None
) -> list[tuple[int, int, int, int, int]]:
    """Of each of an order's places: cost, fragment, place in its list, row and lock; sorted."""
    seconds = entrant.order.bid.duration
    costs = [scale.cost(place.cost - entrant.zero, seconds) for place in entrant.places]
    named = [rows[place.offer] for place in entrant.places]
    fragments = _fragments(view, entrant.order, named, costs, demand)
    locks = (min(view.lock_for(place.rate, seconds), MONEY_LIMIT) for place in entrant.places)
    return sorted(zip(costs, fragments, range(len(costs)), named, locks, strict=True))


def _fragments(
    view: OfferView, order: BidOrder, rows: list[int], costs: list[int], demand: Demand | None
) -> list[int]:
    """How much worse each place is for the demand that is typical than the best of them; 0 where prices
    alone tell all places apart."""
    if demand is None or len(set(costs)) == len(costs):
        return [0] * len(rows)
    classes = classes_of(demand, order, view.part(rows))
    best = max(classes)
    return [best - each for each in classes]
