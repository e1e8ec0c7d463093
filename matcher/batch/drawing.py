"""Drawing: replicas get the providers that the draw names, whatever they cost.

Being cheap must not make a provider the one that is chosen, and anybody can repeat the draw from the
published seed. So replicas are served before all others, in the order of the queue, and take no part in
what is cleared by welfare; alternatives of theirs that are no replicas do, where no replicas were served.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from matcher.batch.contests import Contest
from matcher.batch.settled import Seat
from matcher.columns import OfferView
from matcher.eligibility import eligible
from matcher.orders import BidOrder
from matcher.placement import drawn_apart
from matcher.pricing import ask_rates


def is_drawn(contest: Contest) -> bool:
    """Whether one of its orders wants replicas."""
    return any(order.replicated for order in contest)


def drawn_seats(view: OfferView, drawn: Sequence[Contest], at: int) -> list[Seat]:
    """The seats of all replicas that found room, taken from the view. Of a contest's orders the one whose
    members cost least per hour together is served, of equals the earlier one."""
    return [seat for contest in drawn for seat in _served(view, contest, at)]


def undrawn(waiting: Iterable[Contest], replicas: Iterable[Seat]) -> list[Contest]:
    """What is left to be served beside these replicas: contests without a seat, less their replicas."""
    served = {seat.order.id for seat in replicas}
    left = (contest for contest in waiting if served.isdisjoint(order.id for order in contest))
    plain = (tuple(order for order in contest if not order.replicated) for contest in left)
    return [contest for contest in plain if contest]


def _served(view: OfferView, contest: Contest, at: int) -> list[Seat]:
    found = []
    for order in contest:
        if order.replicated:
            rates = ask_rates(view.ask, order.bid.want)
            fit = np.flatnonzero(eligible(view, order, rates, at)).tolist()
            rows = list(islice(drawn_apart(order, view, fit), order.members))
            found += [(order, rows, rates)] if len(rows) == order.members else []
    if not found:
        return []
    order, rows, rates = min(found, key=lambda one: sum(int(one[2][row]) for row in one[1]))
    return [_take(view, order, row, int(rates[row])) for row in rows]


def _take(view: OfferView, order: BidOrder, row: int, rate: int) -> Seat:
    lock = view.lock_for(rate, order.bid.duration)
    devices = view.take(row, order.bid.want, lock, order.devices)
    return Seat(order=order, offer=view.orders[row], ask_rate=rate, devices=devices)
