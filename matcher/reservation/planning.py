"""Planning: the earliest moment at which an order finds its room, by when leases end."""

from collections.abc import Sequence

from ledger.market.identity import Address, OfferId
from ledger.market.resource import Quantities
from matcher.orders import BidOrder
from matcher.placement import lot
from matcher.preemption.running import Room
from matcher.reservation.reservation import Reservation, Reservations


def earliest(
    order: BidOrder, rooms: Sequence[Room], kept: Reservations, at: int, *, latest: int
) -> Reservation | None:
    """Room for all members of the order together, beside what is `kept`, as early as there is any: not before
    `at`, nor before the order is to start, and not after `latest`. An order that is to start at a moment gets
    it at that moment or not at all. The cheapest rooms are taken, of equally cheap ones by lot. None where
    there is none."""
    begin, ranked = max(at, order.start_at), _ranked(order, rooms)
    moments = [begin]
    if order.start_at <= at:
        moments += kept.ends([room.offer for room in rooms], begin)
    for moment in moments:
        if moment > latest:
            break
        places = _places(order, ranked, kept, moment)
        if places:
            return Reservation(
                bid=order.id,
                job=order.job,
                places=places,
                want=order.bid.want,
                at=moment,
                until=moment + order.bid.duration,
            )
    return None


def _ranked(order: BidOrder, rooms: Sequence[Room]) -> list[Room]:
    """The cheapest first, equally cheap ones by lot."""
    return sorted(rooms, key=lambda room: (room.rate, lot(order, room.offer)))


def _places(
    order: BidOrder, rooms: Sequence[Room], kept: Reservations, at: int
) -> tuple[tuple[OfferId, int], ...]:
    span = (at, at + order.bid.duration)
    left, found, providers = order.members, [], set[Address]()
    for room in rooms:
        if room.valid_until < span[1] or (order.distinct and room.provider in providers):
            continue
        count = min(left, _most(order.bid.want, kept.least_free(room.offer, room.free, span)))
        count = min(count, 1) if order.distinct else count
        if count:
            found.append((room.offer, count))
            providers.add(room.provider)
            left -= count
        if not left:
            return tuple(found)
    return ()


def _most(want: Quantities, free: Quantities) -> int:
    """How many times `want`, which is not nothing, fits."""
    return min(have // amount for amount, have in zip(want, free, strict=True) if amount)
