"""The clearing problem in numbers alone, so that who wins is decided without knowing what is traded.

Offers have room in lanes, devices and a purse (their provider's free stake); bids are worth a sum and list
the offers that may serve them, each at a cost. Nothing here depends on the order in which offers and bids
are listed: ties end at their keys. Money is int64, and each bid's value times its members stays below 2**62
in the sum of all bids.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from ledger.market.errors import Rejected
from matcher.compiled import Numbers
from matcher.devices import WHOLE

ANYWHERE, OFFERS, POOLS, DOMAINS = range(4)
"""`Bids.distinct`: members may share an offer, or need an offer, a provider or a domain each"""
SAME_POOL, SAME_DOMAIN = 1, 2
"""`Bids.together`: 0 leaves members free; else all have one provider, or all one domain"""
NO_GROUP = -1
MONEY_LIMIT = 1 << 62
MOST_MEMBERS = 1 << 24
"""of all bids together, and devices of them"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offers:
    """What each offer lends. `keys` name the offers and are all different; the devices of offer `o` are
    rows `device_from[o]` to `device_from[o + 1]`, each with what is free of it: milli and memory."""

    keys: tuple[bytes, ...]
    capacity: Numbers
    device_from: Numbers
    device_milli: Numbers
    device_memory: Numbers
    pool: Numbers
    domain: Numbers

    def __post_init__(self) -> None:
        count = len(self.keys)
        _check_keys("offer", self.keys)
        _check(self.capacity.ndim == 2 and len(self.capacity) == count, "capacity")
        _check_pointers("device_from", self.device_from, count, len(self.device_milli))
        _check(len(self.device_memory) == len(self.device_milli), "device_memory")
        _check(len(self.pool) == len(self.domain) == count, "pool")
        _check(_at_least(self.capacity, 0), "capacity")
        _check(_at_least(self.device_milli, 0) and _at_most(self.device_milli, WHOLE), "device_milli")
        _check(_at_least(self.device_memory, 0) and _at_least(self.domain, 0), "device_memory")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bids:
    """What each bid is worth and needs. `value` is for all `members` together; each member takes `want` of
    the lanes and `devices` different devices with `share` milli and `memory` of each. `work` is what is
    gained besides money when it is served (milli-GPU-hours), `group` numbers alternatives of which at most
    one is served (`NO_GROUP`: none), `seq` is the place in the queue."""

    keys: tuple[bytes, ...]
    value: Numbers
    members: Numbers
    want: Numbers
    devices: Numbers
    share: Numbers
    memory: Numbers
    work: Numbers
    distinct: Numbers
    together: Numbers
    group: Numbers
    seq: Numbers

    def __post_init__(self) -> None:
        count = len(self.keys)
        _check_keys("bid", self.keys)
        for field in fields(self):
            _check(len(getattr(self, field.name)) == count, field.name)
        _check(self.want.ndim == 2 and _at_least(self.want, 0), "want")
        for name in ("value", "devices", "share", "memory", "work"):
            _check(_at_least(getattr(self, name), 0), name)
        _check(_at_least(self.members, 1), "members")
        _check(_at_most(self.share, WHOLE), "share")
        _check(bool(((self.devices == 0) | (self.share > 0)).all()), "share")
        _check(_at_least(self.distinct, ANYWHERE) and _at_most(self.distinct, DOMAINS), "distinct")
        _check(_at_least(self.together, 0) and _at_most(self.together, SAME_DOMAIN), "together")
        _check(_at_least(self.group, NO_GROUP), "group")
        _check(float((self.value * 1.0) @ self.members) < MONEY_LIMIT, "value")
        _check(int(self.members.sum()) <= MOST_MEMBERS, "members")
        _check(float((self.devices * 1.0) @ self.members) <= MOST_MEMBERS, "devices")
        _check(float(self.work.sum(dtype=np.float64)) < MONEY_LIMIT, "work")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Which offers may serve a bid: those of bid `j` are rows `first[j]` to `first[j + 1]`, the cheapest
    first and equally cheap ones in the order they shall be tried. `cost`, `lock` (drawn from the pool's
    purse) and `fragment` (lower is better) are for one member."""

    first: Numbers
    offer: Numbers
    cost: Numbers
    lock: Numbers
    fragment: Numbers

    def __post_init__(self) -> None:
        count = len(self.offer)
        _check(len(self.cost) == len(self.lock) == len(self.fragment) == count, "candidates")
        _check(_at_least(self.cost, 0) and _at_least(self.lock, 0), "cost")
        _check(_at_most(self.cost, MONEY_LIMIT) and _at_most(self.lock, MONEY_LIMIT), "cost")
        _check(_at_least(self.fragment, 0) and _at_most(self.fragment, 1 << 31), "fragment")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """One clearing; `purse[p]` is what the offers of pool `p` may lock together."""

    offers: Offers
    bids: Bids
    candidates: Candidates
    purse: Numbers

    def __post_init__(self) -> None:
        offers, bids, candidates = self.offers, self.bids, self.candidates
        _check(offers.capacity.shape[1] == bids.want.shape[1], "want")
        _check_pointers("first", candidates.first, len(bids.keys), len(candidates.offer))
        _check(_at_least(candidates.offer, 0) and _at_most(candidates.offer, len(offers.keys) - 1), "offer")
        _check(_at_least(offers.pool, 0) and _at_most(offers.pool, len(self.purse) - 1), "pool")
        _check(_at_least(self.purse, 0) and _at_most(self.purse, MONEY_LIMIT), "purse")
        falls = np.diff(candidates.cost) < 0
        starts = candidates.first[1:-1]
        falls[starts[(starts > 0) & (starts < len(candidates.cost))] - 1] = False
        _check(not falls.any(), "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member's place: the offer and the numbers of its devices there, counted from 0."""

    offer: int
    devices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Who is served: `chosen[j]` holds a place for each member of bid `j`, or nothing. No feasible solution
    is worth more than `bound`; `proven` says that none is worth more than this one."""

    chosen: tuple[tuple[Member, ...], ...]
    welfare: int
    bound: int
    proven: bool

    def __post_init__(self) -> None:
        _check(0 <= self.welfare <= self.bound, "bound")
        _check(self.proven == (self.welfare == self.bound), "proven")


def numbers(values: Iterable[int], width: int = 0) -> Numbers:
    """int64s from whole numbers; rows of `width` where one is given."""
    flat = np.array(list(values), dtype=np.int64)
    return flat.reshape(-1, width) if width else flat


def _check(holds: bool, name: str) -> None:
    if not holds:
        raise Rejected(
            "bad-clearing-problem", f"The numbers of {name} do not fit.", "Build the problem anew.", name=name
        )


def _check_keys(kind: str, keys: tuple[bytes, ...]) -> None:
    _check(len(set(keys)) == len(keys), f"{kind} keys")


def _check_pointers(name: str, pointers: Numbers, count: int, end: int) -> None:
    fits = len(pointers) == count + 1 and pointers[0] == 0 and pointers[-1] == end
    _check(bool(fits and (np.diff(pointers) >= 0).all()), name)


def _at_least(values: Numbers, least: int) -> bool:
    return not len(values) or int(values.min(initial=least)) >= least


def _at_most(values: Numbers, most: int) -> bool:
    return not len(values) or int(values.max(initial=most)) <= most
