"""Offers as columns of numbers, so that one bid is compared with ten thousand of them in array steps.

Every column is `uint64`: bits, MiB, seconds and prices all fit. Providers and domains are numbered as
they appear; the numbers, like the rows, decide nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ledger.market.identity import Address, OfferId
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
    """The live offers at one moment: `free` is the viewer's own copy, all else is read-only."""

    orders: tuple[OfferOrder, ...]
    providers: dict[Address, int]
    domains: dict[str, int]
    table: Numbers
    ask: Numbers
    free: Numbers

    def column(self, name: str) -> Numbers:
        column: Numbers = self.table[FIELDS.index(name)]
        return column

    def free_of(self, row: int) -> Quantities:
        return Quantities(**dict(zip(LANE_NAMES, self.free[:, row].tolist(), strict=True)))

    def take(self, row: int, want: Quantities) -> None:
        """Reserve `want`, which must fit, in the viewer's copy."""
        self.free[:, row] -= np.array(tuple(want), dtype=np.uint64)


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
        yield from (offer.min_seconds, offer.max_seconds, offer.valid_until)
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

    def view(self) -> OfferView:
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
        )
