"""Rooms: the offers that would serve an order were they empty, as far as interruptible leases stand in them.

The conditions are `matcher.eligibility`'s own, asked of a small book in which these offers hold nothing, so
that preemption can never disagree with clearing about who may serve whom.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from ledger.market.identity import OfferId
from matcher.book import Book, BookEvent, OfferListed, StakeChanged
from matcher.eligibility import eligible
from matcher.orders import BidOrder
from matcher.preemption.running import Room
from matcher.pricing import ask_rates

_PLENTY: Final = (1 << 88) - 1
"""more stake than any account has; what is really free is the room's to say"""


def rooms(order: BidOrder, book: Book, offers: Iterable[OfferId], at: int) -> list[Room]:
    """Those of `offers` that are live and would serve the order at the time `at` if nobody were there."""
    listed = [one for name in sorted(set(offers)) if (one := book.offer(name)) is not None]
    events: list[BookEvent] = [OfferListed(order=one) for one in listed]
    events += [StakeChanged(provider=one.offer.provider, free=_PLENTY) for one in listed]
    view = Book(events, stake_bps=book.stake_bps).offers()
    rates = ask_rates(view.ask, order.bid.want)
    found: list[Room] = []
    for row in np.flatnonzero(eligible(view, order, rates, at)).tolist():
        one, rate = view.orders[row], int(rates[row])
        found.append(
            Room(
                offer=one.id,
                free=one.offer.capacity.less(book.used(one.id)),
                rate=rate,
                valid_until=one.offer.valid_until,
                provider=one.offer.provider,
                stake=book.stake(one.offer.provider),
                lock=view.lock_for(rate, order.bid.duration),
                devices=book.devices(one.id),
            )
        )
    return found
