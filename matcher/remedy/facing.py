"""Facing: a bid before one offer, with the figures of both sides that words and changes are made of."""

from dataclasses import dataclass

from ledger.market.resource import Quantities
from matcher.columns import OfferView
from matcher.devices import Devices
from matcher.orders import BidOrder, OfferOrder
from matcher.question import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Facing:
    """A bid and an offer that may not meet at `at`. `free` is what the offer, in `row` of `offers`, has
    left, `rate` what a member costs there, `stake` what its provider has and `lock` what one lease takes of
    it (base units), `longest` the seconds that the stake covers, `placed` how many members have a place."""

    order: BidOrder
    offer: OfferOrder
    at: int
    free: Quantities
    offers: OfferView
    row: int
    rate: int
    stake: int
    lock: int
    longest: int
    placed: int

    @property
    def devices(self) -> Devices:
        """What is free on each of the offer's devices."""
        return self.offers.devices_on(self.row)


def facing(question: Question, row: int, placed: int = 0) -> Facing:
    """The bid of the question before the offer in `row`."""
    offers, rate = question.offers, int(question.rates[row])
    seconds = question.order.bid.duration
    locks = offers.stake_bps > 0 and rate > 0
    return Facing(
        order=question.order,
        offer=offers.orders[row],
        at=question.at,
        free=offers.free_of(row),
        offers=offers,
        row=row,
        rate=rate,
        stake=offers.stakes[offers.provider_of(row)],
        lock=offers.lock_for(rate, seconds),
        longest=offers.longest_for(row, rate) if locks else seconds,
        placed=placed,
    )
