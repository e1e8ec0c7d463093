"""Offers as columns of numbers, so that one bid is compared with ten thousand of them in array steps.

Every column is `uint64`: bits, MiB, seconds and prices all fit. Providers and domains are numbered as
they appear; the numbers, like the rows, decide nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ledger.market.identity import Address, OfferId
from ledger.market.money import MILLISECONDS, RATE_DIVISOR, escrow_for
from ledger.market.policy import BASIS_POINTS
from ledger.market.resource import LANE_NAMES, Quantities
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
    "lot",
)
_ASK = len(FIELDS)
_FREE = _ASK + LANES
_FIRST_ROOM = 64


def lot_of(identifier: bytes) -> int:
    """64 hashed bits of an id: what draws between equals, so that neither id nor size ever does."""
    return int.from_bytes(sha256(identifier).digest()[:8])


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """The live offers at one moment: `free` and `stakes` are the viewer's own copies, all else is
    read-only. `stakes` has the free stake of each provider by its number, in base units; a lease locks
    `stake_bps` of its escrow."""

    orders: tuple[OfferOrder, ...]
    providers: dict[Address, int]
    domains: dict[str, int]
    table: Numbers
    ask: Numbers
    free: Numbers
    stakes: list[int]
    stake_bps: int

    def column(self, name: str) -> Numbers:
        column: Numbers = self.table[FIELDS.index(name)]
        return column

    def free_of(self, row: int) -> Quantities:
        return Quantities(**dict(zip(LANE_NAMES, self.free[:, row].tolist(), strict=True)))

    def provider_of(self, row: int) -> int:
        """The number of the row's provider."""
        return int(self.column("provider")[row])

    def lock_for(self, rate: int, seconds: int) -> int:
        """Base units of stake that a lease locks: the contract's rule (`ledger.market.policy`)."""
        return escrow_for(rate, seconds) * self.stake_bps // BASIS_POINTS

    def highest_rates(self, seconds: int) -> list[int]:
        """Of each provider by its number: the highest rate at which its stake covers the lock of one lease
        of `seconds`, both above 0 as is `stake_bps`."""
        return [self._most_escrow(stake) * RATE_DIVISOR // (seconds * MILLISECONDS) for stake in self.stakes]

    def longest_for(self, row: int, rate: int) -> int:
        """The seconds for which the stake of the row's provider covers the lock of a lease at `rate`, both
        rate and `stake_bps` above 0."""
        return self._most_escrow(self.stakes[self.provider_of(row)]) * RATE_DIVISOR // (rate * MILLISECONDS)

    def _most_escrow(self, stake: int) -> int:
        """The largest escrow whose lock, which is rounded down, the stake covers."""
        return (stake * BASIS_POINTS + BASIS_POINTS - 1) // self.stake_bps

    def take(self, row: int, want: Quantities, lock: int) -> None:
        """Reserve `want` and `lock`, which must fit, in the viewer's copies."""
        self.free[:, row] -= np.array(tuple(want), dtype=np.uint64)
        self.stakes[self.provider_of(row)] -= lock


class OfferColumns:
    """The growing table behind the view; rows move, so an offer is named by its id alone."""

    def __init__(self) -> None:
        self._orders: list[OfferOrder] = []
        self._rows: dict[OfferId, int] = {}
        self._providers: dict[Address, int] = {}
        self._domains: dict[str, int] = {}
        self._table: Numbers = np.zeros((_FREE + LANES, _FIRST_ROOM), dtype=np.uint64)

    def __contains__(self, offer: OfferId) -> bool:
        return offer in self._rows

    def __len__(self) -> int:
        return len(self._orders)

    def order(self, offer: OfferId) -> OfferOrder:
        return self._orders[self._rows[offer]]

    def put(self, order: OfferOrder, free: Quantities) -> None:
        """Add an offer, or replace the one with its id."""
        row = self._rows.setdefault(order.id, len(self._orders))
        if row == len(self._orders):
            self._orders.append(order)
        self._orders[row] = order
        if row == self._table.shape[1]:
            self._table = np.concatenate((self._table, np.zeros_like(self._table)), axis=1)
        self._table[:, row] = np.array((*self._fields(order), *order.offer.ask, *free), dtype=np.uint64)

    def _fields(self, order: OfferOrder) -> Iterable[int]:
        offer, traits = order.offer, order.offer.traits
        provider = self._providers.setdefault(offer.provider, len(self._providers))
        domain = self._domains.setdefault(order.domain, len(self._domains))
        yield from (traits.vendors, traits.regions, traits.features)
        yield from (traits.gpu_memory_mib, traits.capability, traits.model)
        yield from (offer.min_seconds, offer.max_seconds, offer.valid_until, order.reputation)
        yield from (provider, domain, lot_of(order.id))

    def set_free(self, offer: OfferId, free: Quantities) -> None:
        self._table[_FREE:, self._rows[offer]] = np.array(tuple(free), dtype=np.uint64)

    def drop(self, offer: OfferId) -> None:
        """Remove an offer; the last row takes its place."""
        row, last = self._rows.pop(offer), len(self._orders) - 1
        moved = self._orders.pop()
        if row != last:
            self._table[:, row] = self._table[:, last]
            self._orders[row] = moved
            self._rows[moved.id] = row

    def view(self, stakes: Mapping[Address, int], stake_bps: int) -> OfferView:
        live = self._table[:, : len(self._orders)]
        fixed = live.view()
        fixed.flags.writeable = False
        return OfferView(
            orders=tuple(self._orders),
            providers=self._providers,
            domains=self._domains,
            table=fixed[:_ASK],
            ask=fixed[_ASK:_FREE],
            free=live[_FREE:].copy(),
            stakes=[stakes.get(provider, 0) for provider in self._providers],
            stake_bps=stake_bps,
        )
