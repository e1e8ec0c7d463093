"""Scenario and outcome: what comes to a simulated market from outside, and what became of it, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.market.errors import Rejected
from ledger.market.identity import Address
from matcher.explanation import Explanation
from matcher.orders import BidOrder, OfferOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An offer that takes part from `since` to before `until`, in seconds since 1970."""

    order: OfferOrder
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An order that comes when its `ways` arrived (they are alternatives; the first names it) and rests to
    `rests_until`, at least for one clearing; `runs` is how many seconds each of its leases really takes."""

    name: str
    ways: tuple[BidOrder, ...]
    rests_until: int
    runs: int

    @property
    def at(self) -> int:
        """When it comes, in seconds since 1970."""
        return self.ways[0].arrived_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens from outside. `epoch` is the seconds from one clearing to the next, `stakes` base units by
    provider, of which a lease locks `stake_bps` of its escrow."""

    listings: tuple[Listing, ...]
    arrivals: tuple[Arrival, ...]
    epoch: int
    stakes: Mapping[Address, int] = field(default_factory=dict)
    stake_bps: int = 0

    def __post_init__(self) -> None:
        if self.epoch < 1:
            raise Rejected("epoch-too-short", f"The epoch is {self.epoch} s.", "Give 1 s or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An order that was matched `at`: the way that was taken, what it pays and what its offers ask, per hour,
    all members together, in milli-base-units; `places` are the offers of its members."""

    arrival: Arrival
    order: BidOrder
    at: int
    rates: tuple[int, ...]
    asks: tuple[int, ...]
    places: tuple[OfferOrder, ...]

    @property
    def surplus(self) -> int:
        """What the buyer values above what its offers ask, over the duration, in milli-base-units x s / h."""
        limit = self.order.bid.limit_rate
        return sum(limit - ask for ask in self.asks) * self.order.bid.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An order that lapsed at `at`, and why no way of it matched at its last clearing."""

    arrival: Arrival
    at: int
    why: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a scenario, in the order of time; `clearings` is how many there were."""

    served: tuple[Served, ...]
    left_out: tuple[LeftOut, ...]
    clearings: int
