"""Uniform prices: who competes for one kind of room in one clearing pays one price for it.

The rule is the k = 1/2 double auction (Rustichini, Satterthwaite and Williams, Econometrica 1994): the price
of a class is half way between the dearest ask that sold (or the best bid that lost, where that is higher)
and the lowest bid that bought. Gangs and several lanes make it impossible that such a price always suits
all (matching is indivisible), so it is clipped for each member to its own bounds: never below its offer's
ask, never above its bid's limit or what the bid allows above the ask. A clipped price wrongs nobody; it is
only not uniform. Where one bid alone wants a class nothing is to be averaged: it trades at the ask.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

Class = tuple[int, ...]
"""what makes two members' room the same good: the lane that is priced, and the offer's model and region"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One member that found room. `units` of its class's lane cost `ask` each; `ask_rate` is the whole
    member's rate at its offer's asks and `ceiling` the highest rate that its bid allows there (both in
    milli-base-units per hour), `limit_rate` what the bid would pay for a member at most."""

    good: Class
    buyer: int
    units: int
    ask: int
    ask_rate: int
    limit_rate: int
    ceiling: int

    @property
    def beside(self) -> int:
        """What the member's other lanes cost at their asks."""
        return self.ask_rate - self.ask * self.units

    @property
    def worth(self) -> Fraction:
        """What the bid would pay for one unit at most."""
        return Fraction(self.limit_rate - self.beside, self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A bid that could have been served in a class and was not, with what a unit was worth to it there."""

    good: Class
    buyer: int
    worth: Fraction


def rates(trades: Sequence[Trade], losses: Iterable[Loss]) -> list[int]:
    """The rate of each trade: what the units cost at the class's price, and its other lanes at their asks."""
    prices = _prices(trades, losses)
    return [_clipped(trade, prices.get(trade.good)) for trade in trades]


def _prices(trades: Sequence[Trade], losses: Iterable[Loss]) -> dict[Class, Fraction]:
    """Of each class that several bids want."""
    sold: dict[Class, list[Trade]] = defaultdict(list)
    lost: dict[Class, list[Loss]] = defaultdict(list)
    for trade in trades:
        sold[trade.good].append(trade)
    for loss in losses:
        lost[loss.good].append(loss)
    return {
        good: _half_way(members, lost[good])
        for good, members in sold.items()
        if len({member.buyer for member in members} | {loss.buyer for loss in lost[good]}) > 1
    }


def _half_way(members: Sequence[Trade], losses: Sequence[Loss]) -> Fraction:
    high = min(member.worth for member in members)
    rejected = [loss.worth for loss in losses if loss.worth < high]
    low = max([Fraction(max(member.ask for member in members)), *rejected])
    return (low + high) / 2


def _clipped(trade: Trade, price: Fraction | None) -> int:
    if price is None:
        return trade.ask_rate
    uniform = trade.beside + price.numerator * trade.units // price.denominator
    return max(trade.ask_rate, min(uniform, trade.ceiling))
