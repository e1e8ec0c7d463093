"""Reservations: room that is kept for an order from a moment on, and what of it others may use before.

Leases end at known times, so an order that waits for much room at once can be promised it at the earliest
moment at which enough leases have ended. Until then the room is lent to whoever ends in time (back-fill), or
fits beside it. A promise is never put off by an order that came later: that is what `blocked` is for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.resource import LANE_NAMES, Quantities
from matcher.orders import BidOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """A lease that gives `want` of its offer back at `ends_at`, in seconds since 1970."""

    lease: LeaseId
    offer: OfferId
    want: Quantities
    ends_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """From `at` until `until` (seconds since 1970) so many members of `want` each have room on these offers,
    for the order `bid` of `job`."""

    bid: BidId
    job: BidId
    places: tuple[tuple[OfferId, int], ...]
    want: Quantities
    at: int
    until: int

    def on(self, offer: OfferId) -> int:
        """How many of its members have their place there."""
        return sum(count for name, count in self.places if name == offer)


class Reservations:
    """What is kept, beside the leases that run."""

    def __init__(self, kept: Iterable[Reservation] = (), lendings: Iterable[Lending] = ()) -> None:
        self.kept = tuple(kept)
        self._by_offer: dict[OfferId, list[Lending]] = {}
        for one in lendings:
            self._by_offer.setdefault(one.offer, []).append(one)

    def offers(self) -> set[OfferId]:
        """The offers on which something is kept."""
        return {offer for one in self.kept for offer, _ in one.places}

    def blocked(self, order: BidOrder, offer: OfferId, at: int) -> Quantities:
        """What of the offer's room that is free at `at` the order may not have if it begins then."""
        return self.kept_from(offer, at + order.bid.duration, job=order.job)

    def kept_from(self, offer: OfferId, until: int | None = None, *, job: BidId | None = None) -> Quantities:
        """The same of any order that is over by `until`, or never where it is None; a job may have what is
        kept for itself."""
        others = [one for one in self.kept if one.job != job and one.on(offer)]
        blocked = Quantities()
        for moment in {one.at for one in others if until is None or one.at < until}:
            blocked = _larger(blocked, self._wanted(others, offer, moment).less(self.returned(offer, moment)))
        return blocked

    def _wanted(self, kept: Iterable[Reservation], offer: OfferId, moment: int) -> Quantities:
        """What is kept there at that moment."""
        total = Quantities()
        for one in kept:
            if one.at <= moment < one.until:
                total = total.plus(times(one.want, one.on(offer)))
        return total

    def returned(self, offer: OfferId, by: int) -> Quantities:
        """What leases give back until then."""
        total = Quantities()
        for one in self._by_offer.get(offer, ()):
            if one.ends_at <= by:
                total = total.plus(one.want)
        return total

    def ends(self, offers: Iterable[OfferId], after: int) -> list[int]:
        """The moments after `after` at which some of these offers get something back, or something that is
        kept there is over."""
        named = set(offers)
        lent = {one.ends_at for offer in named for one in self._by_offer.get(offer, ())}
        kept = {one.until for one in self.kept if any(offer in named for offer, _ in one.places)}
        return sorted(moment for moment in lent | kept if moment > after)

    def least_free(self, offer: OfferId, free: Quantities, span: tuple[int, int]) -> Quantities:
        """The most that an order may have on the offer from the first to the second moment of `span`, of
        which `free` is free now, without putting off what is kept there."""
        start, until = span
        moments = {start, *(one.at for one in self.kept if start < one.at < until and one.on(offer))}
        least: Quantities | None = None
        for moment in moments:
            there = free.plus(self.returned(offer, moment)).less(self._wanted(self.kept, offer, moment))
            least = there if least is None else _smaller(least, there)
        return least or Quantities()


def times(want: Quantities, count: int) -> Quantities:
    """So many times as much."""
    return Quantities(**{lane: getattr(want, lane) * count for lane in LANE_NAMES})


def _larger(one: Quantities, other: Quantities) -> Quantities:
    return Quantities(**{lane: max(getattr(one, lane), getattr(other, lane)) for lane in LANE_NAMES})


def _smaller(one: Quantities, other: Quantities) -> Quantities:
    return Quantities(**{lane: min(getattr(one, lane), getattr(other, lane)) for lane in LANE_NAMES})
