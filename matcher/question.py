"""Question: one bid put to all offers at one moment. Who fails on what, and how many members have a place.

The verdicts are those of `matcher.eligibility`, a bit a dimension in one word an offer, so that a hundred
thousand offers are counted, grouped and ranked in a few array steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matcher.columns import Numbers, OfferView, lot_of
from matcher.eligibility import conditions
from matcher.orders import BidOrder
from matcher.placement import drawn
from matcher.pricing import ask_rates
from matcher.ranking import Rows, first, first_of_each


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`order` put to `offers` at `at` (seconds): `failing` has bit n of each row where it fails on
    `names[n]`, `rates` what one member costs there, in milli-base-units per hour, `lots` what draws between
    equally cheap ones, lowest first."""

    order: BidOrder
    offers: OfferView
    at: int
    rates: Numbers
    names: tuple[str, ...]
    failing: NDArray[np.uint64]
    lots: Numbers

    def bit(self, name: str) -> np.uint64:
        """The bit of a dimension, 0 where it was not asked about."""
        return np.uint64(1 << self.names.index(name)) if name in self.names else np.uint64(0)

    def word(self, names: Iterable[str]) -> np.uint64:
        """The bits of several dimensions."""
        word = np.uint64(0)
        for name in names:
            word |= self.bit(name)
        return word

    def part(self, rows: Iterable[int]) -> "Question":
        """The same question put to these rows alone, in this order."""
        chosen = list(rows)
        return replace(
            self,
            offers=self.offers.part(chosen),
            rates=self.rates[chosen],
            failing=self.failing[chosen],
            lots=self.lots[chosen],
        )

    def missed(self, row: int) -> tuple[str, ...]:
        """The dimensions on which the row fails, in the order in which they were asked."""
        word = int(self.failing[row])
        return tuple(name for number, name in enumerate(self.names) if word >> number & 1)

    def failing_within(self, names: Iterable[str]) -> Rows:
        """The rows that fail on nothing but these."""
        return np.flatnonzero((self.failing & ~self.word(names)) == 0)

    def cheapest(self, rows: Rows, most: int) -> list[int]:
        """The first of `rows` in the order in which one member would take them."""
        return first(rows, self.taking, most, self.settle)

    def cheapest_apart(self, rows: Rows, most: int) -> list[int]:
        """The same, of each provider its first row alone."""
        return first_of_each(rows, self.taking, most, self.settle, self.offers.column("provider"))

    @property
    def taking(self) -> tuple[Numbers, Numbers]:
        """What orders the rows for a member that may take any of them."""
        return self.rates, self.lots

    def settle(self, row: int) -> tuple[int, bytes]:
        """What draws between two rows that are equal in all else."""
        return drawn(self.order, self.offers.orders[row])


def ask(order: BidOrder, offers: OfferView, at: int) -> Question:
    """Put the question; every dimension is asked of every offer."""
    rates = ask_rates(offers.ask, order.bid.want)
    failing = np.zeros(len(offers.orders), dtype=np.uint64)
    names = []
    for number, (name, met) in enumerate(conditions(offers, order, rates, at)):
        names.append(name)
        np.bitwise_or(failing, np.uint64(1 << number), out=failing, where=np.logical_not(met))
    return Question(
        order=order,
        offers=offers,
        at=at,
        rates=rates,
        names=tuple(names),
        failing=failing,
        lots=offers.column("lot") ^ np.uint64(lot_of(order.id)),
    )
