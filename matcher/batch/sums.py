"""Sums of money over time in whole numbers that fit a machine word, so that kernels can compare them.

What a bid is worth and costs is rate x seconds; with rates up to 2^96 that leaves 64 bits. The common divisor
of the durations is taken out, exactly. Where it is still too large the last bits are cut, worth downwards
and costs upwards, so that nobody is ever served at a loss. What is cut is less than a 2^50th of what all is
worth together; an order that is itself so small is `vague`, and has to be looked at again without the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd

from matcher.orders import BidOrder

_MOST = 1 << 61
"""what all bids together may be worth, so that no sum of theirs leaves 63 bits"""
_CLEAR = 1 << 24
"""a worth of so many units is known to better than a millionth"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Money x time is stored in units of `seconds` x 2^`cut` milli-base-units per hour."""

    seconds: int
    cut: int

    def worth(self, rate: int, duration: int) -> int:
        """What `rate` for `duration` is, rounded down."""
        return rate * (duration // self.seconds) >> self.cut

    def cost(self, rate: int, duration: int) -> int:
        """What `rate` for `duration` is, rounded up."""
        return -(-rate * (duration // self.seconds) >> self.cut)

    def vague(self, rate: int, duration: int) -> bool:
        """Whether `rate` for `duration` is too small to be compared in this scale."""
        return self.cut > 0 and self.worth(rate, duration) < _CLEAR

    def exact(self, stored: int) -> int:
        """Milli-base-units per hour times seconds of what is stored."""
        return (stored << self.cut) * self.seconds


def scale_for(orders: Iterable[BidOrder], zeros: Iterable[int]) -> Scale:
    """A scale in which the worth of all orders fits, each counted from its `zero` rate; that of a gang as
    often as it has members, since the solver compares it with the cost of one member so often."""
    pairs = list(zip(orders, zeros, strict=True))
    seconds = gcd(*(order.bid.duration for order, _ in pairs)) or 1
    total = sum(
        (order.bid.limit_rate - zero) * order.members**2 * (order.bid.duration // seconds)
        for order, zero in pairs
    )
    return Scale(seconds=seconds, cut=max(0, total.bit_length() - _MOST.bit_length() + 1))
