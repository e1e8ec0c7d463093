"""From a solution in numbers to matches: who got which offer, and at what rate.

Each member trades at its class's uniform price (`matcher.uniform`), as far as its provider's stake covers
the lock of the dearer lease; where it does not, at the ask.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ledger.market.money import highest_rate
from ledger.market.resource import LANE_NAMES
from matcher.batch.candidates import Entrant
from matcher.columns import OfferView
from matcher.orders import BidOrder, OfferOrder
from matcher.uniform import Loss, Trade, rates

_GPU, _CPU = LANE_NAMES.index("gpu"), LANE_NAMES.index("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One member of an order on one offer, at its devices; `ask_rate` is what the offer asks, `bonus` what
    the order's preference for its domain is worth, both in milli-base-units per hour."""

    order: BidOrder
    offer: OfferOrder
    ask_rate: int
    bonus: int = 0
    devices: tuple[int, ...] = ()

    @property
    def welfare(self) -> int:
        """What the seat is worth to its order less what it costs, over the lease's whole time."""
        return (self.order.bid.limit_rate + self.bonus - self.ask_rate) * self.order.bid.duration


def spend(view: OfferView, seats: Iterable[Seat]) -> None:
    """Take the room of these seats, and their locks at the ask, from a view that has it."""
    rows = {offer.id: row for row, offer in enumerate(view.orders)}
    for seat in seats:
        row, order = rows[seat.offer.id], seat.order
        view.free[:, row] -= np.array(tuple(order.bid.want), dtype=np.uint64)
        view.stakes[view.provider_of(row)] -= view.lock_for(seat.ask_rate, order.bid.duration)
        if seat.devices:
            view.devices.shift(row, 1, seat.devices, order.share, order.device_memory)


def priced(view: OfferView, seats: Sequence[Seat], lost: Iterable[Entrant]) -> list[int]:
    """The rate of each seat, given who competed for the same and got nothing; the view's stakes, which must
    cover the seats at their asks, are spent."""
    buyers: dict[bytes, int] = {}
    offers = {offer.id: offer for offer in view.orders}
    losses = [_loss(offers[one.places[0].offer], one, buyers) for one in lost]
    uniform = rates([_trade(seat, buyers) for seat in seats], losses)
    for seat in seats:
        _lock(view, seat, view.lock_for(seat.ask_rate, seat.order.bid.duration))
    return [_covered(view, seat, rate) for seat, rate in zip(seats, uniform, strict=True)]


def _lane(order: BidOrder) -> int:
    """The lane that an order is mainly about: devices, else cores, else the first that it wants."""
    want = tuple(order.bid.want)
    return next(
        (lane for lane in (_GPU, _CPU) if want[lane]), next(n for n, units in enumerate(want) if units)
    )


def _trade(seat: Seat, buyers: dict[bytes, int]) -> Trade:
    bid, lane = seat.order.bid, _lane(seat.order)
    return Trade(
        good=(lane, seat.offer.offer.traits.model, seat.offer.offer.traits.regions),
        buyer=buyers.setdefault(bid.buyer, len(buyers)),
        units=tuple(bid.want)[lane],
        ask=tuple(seat.offer.offer.ask)[lane],
        ask_rate=seat.ask_rate,
        limit_rate=bid.limit_rate,
        ceiling=max(seat.ask_rate, min(bid.limit_rate, highest_rate(seat.ask_rate, bid.max_over_ask_bps))),
    )


def _loss(offer: OfferOrder, entrant: Entrant, buyers: dict[bytes, int]) -> Loss:
    """What was missed is worth what the trade at the order's cheapest place would have been."""
    missed = _trade(Seat(order=entrant.order, offer=offer, ask_rate=entrant.places[0].rate), buyers)
    return Loss(good=missed.good, buyer=missed.buyer, worth=missed.worth)


def _covered(view: OfferView, seat: Seat, rate: int) -> int:
    """`rate` where the provider's stake covers its lock beside all others', else the ask."""
    seconds = seat.order.bid.duration
    more = view.lock_for(rate, seconds) - view.lock_for(seat.ask_rate, seconds)
    return rate if _lock(view, seat, more) else seat.ask_rate


def _lock(view: OfferView, seat: Seat, lock: int) -> bool:
    """Take the lock from the provider's stake; False, and nothing is taken, where it does not cover it."""
    provider = view.providers[seat.offer.offer.provider]
    if lock > view.stakes[provider]:
        return False
    view.stakes[provider] -= lock
    return True
