"""Change: what a buyer could ask for instead, with what it was, what it would be, its cost."""

from dataclasses import dataclass
from typing import Any

from matcher.orders import BidOrder
from matcher.remedy.demands import DEMANDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One demand that goes from `before` to `after`; `demand` is a name of `DEMANDS`, or "wait" for a bid
    that stays as it is until `after` (seconds since 1970). `cost` is in basis points."""

    demand: str
    before: Any
    after: Any
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Changes that together make the bid match: `order` is the bid with all of them made. From `at` on
    (seconds since 1970) it would match alone, on the offers as they are then known to be."""

    order: BidOrder
    changes: tuple[Change, ...]
    at: int

    @property
    def cost(self) -> int:
        """The costs of all changes together, in basis points."""
        return sum(change.cost for change in self.changes)


def changes_between(before: BidOrder, after: BidOrder) -> tuple[Change, ...]:
    """Each demand in which the two differ."""
    found = []
    for demand in DEMANDS:
        was, becomes = demand.read(before), demand.read(after)
        if was != becomes:
            cost = demand.weigh(was, becomes)
            found.append(Change(demand=demand.name, before=was, after=becomes, cost=cost))
    return tuple(found)
