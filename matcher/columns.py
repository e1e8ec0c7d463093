"""Offers as columns of numbers, so that one bid is compared with a hundred thousand of them in array steps.

Every column is `uint64`: bits, MiB, seconds and prices all fit. Providers, domains and profiles are numbered
as they appear; the numbers, like the rows, decide nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ledger.market.identity import Address, OfferId
from ledger.market.money import MILLISECONDS, RATE_DIVISOR, escrow_for
from ledger.market.policy import BASIS_POINTS, lock_of
from ledger.market.resource import LANE_NAMES, Quantities
from matcher.devices import Devices, devices_of, per_device
from matcher.index.occupancy import Occupancy
from matcher.orders import OfferOrder

Numbers: TypeAlias = NDArray[Any]
"""`uint64`, or Python integers where a rate could exceed 64 bits"""

LANES = len(LANE_NAMES)
FIELDS = (
    "vendors",
    "regions",
    "features",
    "gpu_memory_mib",
    "capability",
    "model",
    "min_seconds",
    "max_seconds",
    "valid_until",
    "reputation",
    "provider",
    "domain",
    "profile",
    "device_count",
    "device_memory",
    "lot",
)
_PROVIDER, _DOMAIN = FIELDS.index("provider"), FIELDS.index("domain")
_ASK = len(FIELDS)
_COLUMNS = _ASK + LANES
_FIRST_ROOM = 64


def lot_of(identifier: bytes) -> int:
    """64 hashed bits of an id: what draws between equals, so that neither id nor size ever does."""
    return int.from_bytes(sha256(identifier).digest()[:8])


def most_escrow(stake: int, stake_bps: int) -> int:
    """The largest escrow whose lock of `stake_bps`, which is rounded down, the stake covers."""
    return (stake * BASIS_POINTS + BASIS_POINTS - 1) // stake_bps


def _quantities(lanes: Numbers) -> Quantities:
    return Quantities(**dict(zip(LANE_NAMES, lanes.tolist(), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """The live offers at one moment: `free`, `stakes` and `devices` are the viewer's own copies, all else is
    read-only. `stakes` has the free stake of each provider by its number, in base units; a lease locks
    `stake_bps` of its escrow."""

    orders: Sequence[OfferOrder]
    providers: dict[Address, int]
    domains: dict[str, int]
    profiles: dict[str, int]
    table: Numbers
    ask: Numbers
    free: Numbers
    stakes: list[int]
    stake_bps: int
    devices: Occupancy
    measured: dict[tuple[str, str], Numbers] = field(default_factory=dict)
    """one more than each figure that an offer states of a kind and a name, 0 where it states none"""

    def column(self, name: str) -> Numbers:
        column: Numbers = self.table[FIELDS.index(name)]
        return column

    def sparse(self, kind: str, name: str, absent: int) -> Numbers:
        """What each offer states of `name`: a figure of its `capability`, its `latency` to a region, or 1
        where this is its `profile`; `absent` where it states nothing."""
        if kind == "profile":
            return np.where(self.column("profile") == self.profiles.get(name, -1), 1, absent).astype(
                np.uint64
            )
        stated = self.measured.get((kind, name))
        if stated is None:
            return np.full(len(self.orders), absent, dtype=np.uint64)
        return np.where(stated > 0, stated - np.uint64(1), np.uint64(absent))

    def part(self, rows: Sequence[int] | Numbers) -> "OfferView":
        """These rows alone, in this order, with their own copies of what a viewer may spend."""
        chosen = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            orders=[self.orders[row] for row in chosen.tolist()],
            table=self.table[:, chosen],
            ask=self.ask[:, chosen],
            free=self.free[:, chosen],
            stakes=list(self.stakes),
            devices=self.devices.some(chosen),
            measured={name: column[chosen] for name, column in self.measured.items()},
        )

    def room(self, count: int, share: int, memory: int) -> NDArray[np.bool_]:
        """Where `count` devices have `share` milli and `memory` MiB free on each of them."""
        return self.devices.room(len(self.orders), count, share, memory)

    def devices_on(self, row: int) -> Devices:
        """What is free on each device of a row."""
        return self.devices.devices(row)

    def free_of(self, row: int) -> Quantities:
        return _quantities(self.free[:, row])

    def provider_of(self, row: int) -> int:
        """The number of the row's provider."""
        return int(self.column("provider")[row])

    def lock_for(self, rate: int, seconds: int) -> int:
        """Base units of stake that a lease locks: the contract's rule (`ledger.market.policy`)."""
        return lock_of(escrow_for(rate, seconds), self.stake_bps)

    def highest_rates(self, seconds: int) -> list[int]:
        """Of each provider by its number: the highest rate at which its stake covers the lock of one lease
        of `seconds`, both above 0 as is `stake_bps`."""
        return [self._most_escrow(stake) * RATE_DIVISOR // (seconds * MILLISECONDS) for stake in self.stakes]

    def longest_for(self, row: int, rate: int) -> int:
        """The seconds for which the stake of the row's provider covers the lock of a lease at `rate`, both
        rate and `stake_bps` above 0."""
        return self._most_escrow(self.stakes[self.provider_of(row)]) * RATE_DIVISOR // (rate * MILLISECONDS)

    def _most_escrow(self, stake: int) -> int:
        return most_escrow(stake, self.stake_bps)

    def take(self, row: int, want: Quantities, lock: int, count: int = 0) -> tuple[int, ...]:
        """Reserve `want` and `lock`, which must fit, in the viewer's copies; the devices that were chosen,
        `count` of them or, for 0, as few as can be."""
        self.free[:, row] -= np.array(tuple(want), dtype=np.uint64)
        self.stakes[self.provider_of(row)] -= lock
        count = count or devices_of(want)
        if not count:
            return ()
        share, memory = per_device(want, count)
        chosen = self.devices_on(row).places(count, share, memory) or ()
        if chosen:
            self.devices.shift(row, 1, chosen, share, memory)
        return chosen


class OfferColumns:
    """The growing table behind the view; rows move, so an offer is named by its id alone."""

    def __init__(self) -> None:
        self.orders: list[OfferOrder] = []
        self.rows: dict[OfferId, int] = {}
        self.providers: dict[Address, int] = {}
        self.domains: dict[str, int] = {}
        self.profiles: dict[str, int] = {"": 0}
        self.devices = Occupancy()
        self.lanes: Numbers = np.zeros((_FIRST_ROOM, 2 * LANES), dtype=np.int64)
        """of each row its capacity, then what leases hold of it"""
        self._measured: dict[tuple[str, str], Numbers] = {}
        self._table: Numbers = np.zeros((_COLUMNS, _FIRST_ROOM), dtype=np.uint64)

    def __contains__(self, offer: OfferId) -> bool:
        return offer in self.rows

    def __len__(self) -> int:
        return len(self.orders)

    def order(self, offer: OfferId) -> OfferOrder:
        return self.orders[self.rows[offer]]

    def used(self, row: int) -> Quantities:
        """What leases hold of the row."""
        return _quantities(self.lanes[row, LANES:])

    def numbers(self, row: int) -> list[int]:
        """Each column of the row, in the order of `FIELDS`, then its asks, then what is free of each lane."""
        numbers: list[int] = self._table[:, row].tolist()
        lanes = self.lanes[row].tolist()
        free = (max(0, have - held) for have, held in zip(lanes[:LANES], lanes[LANES:], strict=True))
        return [*numbers, *free]

    def _free(self, rows: slice | Numbers) -> Numbers:
        """What is free of each lane, a copy."""
        lanes = self.lanes[rows]
        left = np.maximum(lanes[:, :LANES] - lanes[:, LANES:], 0)
        return np.ascontiguousarray(left.T).astype(np.uint64)

    def add(self, order: OfferOrder, used: Sequence[int]) -> int:
        """Add an offer of which leases hold `used`, its devices idle; its row."""
        row = len(self.orders)
        if row == self._table.shape[1]:
            self._grow()
        self.orders.append(order)
        self.rows[order.id] = row
        self._table[:, row] = (*self._fields(order), *order.offer.ask)
        self.lanes[row] = (*order.offer.capacity, *used)
        self.devices.put(row, order)
        self._measure(row, order)
        return row

    def _grow(self) -> None:
        self._table = np.concatenate((self._table, np.zeros_like(self._table)), axis=1)
        self.lanes = np.concatenate((self.lanes, np.zeros_like(self.lanes)))
        for name, column in self._measured.items():
            self._measured[name] = np.concatenate((column, np.zeros_like(column)))

    def _fields(self, order: OfferOrder) -> Iterable[int]:
        offer, traits = order.offer, order.offer.traits
        yield from (traits.vendors, traits.regions, traits.features)
        yield from (traits.gpu_memory_mib, traits.capability, traits.model)
        yield from (offer.min_seconds, offer.max_seconds, offer.valid_until, order.reputation)
        yield self.providers.setdefault(offer.provider, len(self.providers))
        yield self.domains.setdefault(order.domain, len(self.domains))
        yield self.profiles.setdefault(order.profile, len(self.profiles))
        yield from (order.device_count, order.device_memory, lot_of(order.id))

    def _measure(self, row: int, order: OfferOrder) -> None:
        for kind, figures in (("capability", order.capability), ("latency", order.latency)):
            for name, figure in figures:
                column = self._measured.get((kind, name))
                if column is None:
                    column = self._measured[kind, name] = np.zeros(self._table.shape[1], dtype=np.uint64)
                column[row] = figure + 1

    def drop(self, row: int) -> int:
        """Remove a row; the last one, whose number is returned, takes its place."""
        last = len(self.orders) - 1
        del self.rows[self.orders[row].id]
        moved = self.orders.pop()
        self.devices.drop(row, last)
        if row != last:
            self._table[:, row] = self._table[:, last]
            self.lanes[row] = self.lanes[last]
            self.orders[row] = moved
            self.rows[moved.id] = row
        for column in self._measured.values():
            column[row] = column[last]
            column[last] = 0
        return last

    def view(self, stakes: Mapping[Address, int], stake_bps: int) -> OfferView:
        """All rows, with copies of what a viewer may spend."""
        live = self._table[:, : len(self.orders)]
        fixed = live.view()
        fixed.flags.writeable = False
        return OfferView(
            orders=tuple(self.orders),
            providers=self.providers,
            domains=self.domains,
            profiles=self.profiles,
            table=fixed[:_ASK],
            ask=fixed[_ASK:],
            free=self._free(slice(len(self.orders))),
            stakes=[stakes.get(provider, 0) for provider in self.providers],
            stake_bps=stake_bps,
            devices=self.devices.copy(),
            measured={name: column[: len(self.orders)] for name, column in self._measured.items()},
        )

    def some(self, rows: list[int], stakes: Mapping[Address, int], stake_bps: int) -> OfferView:
        """These rows alone, in this order, with copies of what a viewer may spend; providers and domains are
        numbered anew, so that nothing in it is as long as the market."""
        chosen = np.array(rows, dtype=np.intp)
        orders = [self.orders[row] for row in rows]
        table = self._table[:, chosen]
        providers: dict[Address, int] = {}
        domains: dict[str, int] = {}
        table[_PROVIDER] = [providers.setdefault(one.offer.provider, len(providers)) for one in orders]
        table[_DOMAIN] = [domains.setdefault(one.domain, len(domains)) for one in orders]
        return OfferView(
            orders=orders,
            providers=providers,
            domains=domains,
            profiles=self.profiles,
            table=table[:_ASK],
            ask=table[_ASK:],
            free=self._free(chosen),
            stakes=[stakes.get(provider, 0) for provider in providers],
            stake_bps=stake_bps,
            devices=self.devices.some(chosen),
            measured={name: column[chosen] for name, column in self._measured.items()},
        )
