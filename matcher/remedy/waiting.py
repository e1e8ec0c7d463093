"""Waiting: the earliest moment at which a bid as it stands would match, as leases are known to end.

Only who keeps the leases knows when they end; a book does not. A lease may end sooner, so a bid that rests
never waits longer for this than is said, unless others come before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ledger.market.identity import Address, OfferId
from ledger.market.resource import Quantities
from matcher.book import Book, CapacityFreed, StakeChanged
from matcher.eligibility import LANE_DIMENSIONS
from matcher.orders import BidOrder
from matcher.question import Question
from matcher.remedy.change import Change, Remedy, changes_between
from matcher.remedy.demands import relative
from matcher.remedy.trial import matches_in

ROOM: Final = (*LANE_DIMENSIONS.values(), "devices", "stake")
"""the dimensions that the end of a lease may mend"""
_MOST_OFFERS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A lease that ends `at` (seconds since 1970) and then gives back `want`, on these `devices` or on
    `count` of them, and `lock` base units of its provider's stake."""

    offer: OfferId
    provider: Address
    at: int
    want: Quantities
    devices: tuple[int, ...] = ()
    count: int = 0
    lock: int = 0


def waits(question: Question, book: Book, ends: Sequence[Ending], fit: list[int]) -> tuple[Remedy, ...]:
    """The bid at the end of the first lease after which it matches, on the offers whose leases end first and
    on those of `fit`, which have a place for a member already; nothing where no end would do."""
    rows = question.failing_within(ROOM).tolist()
    named = {question.offers.orders[row].id for row in rows}
    due = sorted((one for one in ends if one.offer in named and one.at > question.at), key=_when)
    offers = list(dict.fromkeys(one.offer for one in due))[:_MOST_OFFERS]
    due = [one for one in due if one.offer in offers]
    together = [*offers, *(question.offers.orders[row].id for row in fit)]
    moments = sorted({one.at for one in due})
    low, high = 0, len(moments)
    while low < high:
        middle = (low + high) // 2
        served = _matches_at(book, question.order, moments[middle], together, due)
        low, high = (low, middle) if served else (middle + 1, high)
    if low == len(moments):
        return ()
    return (_waited(question, moments[low]),)


def _when(ending: Ending) -> tuple[int, bytes]:
    return ending.at, ending.offer


def _matches_at(book: Book, order: BidOrder, at: int, offers: list[OfferId], due: list[Ending]) -> bool:
    small = book.part(dict.fromkeys(offers))
    for one in due:
        if one.at <= at:
            small.apply(CapacityFreed(offer=one.offer, want=one.want, devices=one.devices, count=one.count))
            small.apply(StakeChanged(provider=one.provider, free=small.stake(one.provider) + one.lock))
    return matches_in(small, _resting(order, at), at)


def _resting(order: BidOrder, at: int) -> BidOrder:
    """The bid as it would have to be dated in order to rest so long."""
    bid = order.bid
    dated = replace(bid, valid_until=max(bid.valid_until, at), start_by=max(bid.start_by, at))
    return replace(order, arrived_at=at, bid=dated)


def _waited(question: Question, at: int) -> Remedy:
    order = _resting(question.order, at)
    seconds = at - question.at
    cost = relative(question.order.bid.duration, question.order.bid.duration + seconds)
    wait = Change(demand="wait", before=question.at, after=at, cost=cost)
    return Remedy(order=order, changes=(wait, *changes_between(question.order, order)), at=at)
