"""Reserving: room for what must not starve, and for what is to start later.

The oldest gang that waited long enough, and every order with a start in the future, is promised the earliest
room that ending leases leave (`matcher.reservation`). What of it is free already is counted as taken in the
book, so that nobody else gets it; orders that are over before then are cleared once more without that. What
is promised follows from the books and the time alone, by the orders' place in the queue: it is planned anew
whenever something changed, and need not be remembered over a restart.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import nsmallest
from typing import Final

from ledger.books.books import Books
from ledger.books.rows import JobRow
from ledger.market.events import LeaseClosed, LeaseOpened
from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.lifecycle import LeaseState
from ledger.market.resource import LANE_NAMES, Quantities
from matcher.book import Book, CapacityFreed, CapacityTaken
from matcher.orders import WHOLE, BidOrder
from matcher.preemption.rooms import rooms
from matcher.preemption.running import Room
from matcher.reservation.planning import earliest
from matcher.reservation.reservation import Lending, Reservation, Reservations
from node.trading.alone import alone
from node.trading.resting import INCLUSION_SECONDS, rests_until

PATIENCE_SECONDS: Final = 60
"""a gang that waited so long is kept room for"""
CLOSING_SECONDS: Final = 60
"""how long after its end a lease may take to give its room back"""
_AGAIN_SECONDS: Final = 10
"""how often promises are planned anew where nothing happened"""
_MOST_LEASES: Final = 128
"""so many leases that end soonest are looked at, for the offers that they stand on"""
_MOST_TRIES: Final = 4
"""so many orders for which there will be no room are considered at once; the others follow"""


class Reserving:
    """Under the exchange's lock. `book_of` gives the matcher's book as it is now."""

    def __init__(self, books: Books, book_of: Callable[[], Book]) -> None:
        self._books = books
        self._book_of = book_of
        self.rebuild()

    def rebuild(self) -> None:
        """Forget everything, for a book that was made anew."""
        self._lendings: dict[LeaseId, Lending] | None = None
        self._promised = Reservations()
        self._held: dict[OfferId, CapacityTaken] = {}
        self._changes = self._fulfilled_at = 0
        self._planned: object = None
        self._tried: object = None
        self._filled: object = None
        self._hopeless: set[tuple[BidId, int, int]] = set()
        self._soonest: tuple[tuple[int, int], list[Lending]] | None = None

    def observed(self, events: Iterable[object]) -> None:
        """What the chain did, after the book was told; repeats change nothing."""
        for event in events:
            if isinstance(event, LeaseOpened):
                self._changes += 1
                if self._lendings is not None:
                    self._lendings[event.id] = _lending(event.id, event.terms, event.start)
            elif isinstance(event, LeaseClosed):
                self._changes += 1
                if self._lendings is not None:
                    self._lendings.pop(event.lease, None)

    def first(self, at: int) -> Iterator[None]:
        """Passes in which the book shows one order alone, whose promised room may be there, and that room.
        What came free since is kept from then on."""
        yield from self._fulfilled(at)
        self.look(at)
        kept = [one for one in self._promised.kept if self._book_of().bid(one.bid) is not None]
        if not kept and not self._held:
            return
        self._promised = Reservations(kept, self._lent(at))
        due = any(one.at <= at for one in kept)
        tried = (self._changes, at if due else at // _AGAIN_SECONDS)
        passes, self._tried = kept if self._tried != tried else [], tried
        yield from self._passes(passes, at)
        self._hold(self._promised)

    def _fulfilled(self, at: int) -> Iterator[None]:
        """The same for what was promised before something changed: where its room is whole now, nothing is
        promised any more, and in the general clearing a shorter-waiting order could be worth more."""
        if self._fulfilled_at == self._changes:
            return
        self._fulfilled_at = self._changes
        yield from self._passes(self._promised.kept, at)

    def _passes(self, kept: Iterable[Reservation], at: int) -> Iterator[None]:
        """Each of these orders alone, with the room that is promised to it."""
        for one in kept:
            order = self._book_of().bid(one.bid)
            if order is not None and order.start_at <= at:
                self._hold(self._promised, but=one)
                with alone(self._book_of(), [order]):
                    yield

    def after(self, at: int) -> Iterator[None]:
        """A pass in which the book shows the orders alone that are over before anything is promised, and all
        room."""
        if not self._promised.kept:
            return
        soonest = min(one.at for one in self._promised.kept)
        latest = soonest - at - INCLUSION_SECONDS - CLOSING_SECONDS
        owners = {one.job for one in self._promised.kept}
        fillers = [
            order
            for order in self._book_of().bids()
            if order.bid.duration <= latest and order.job not in owners
        ]
        filled = (self._changes, at, tuple(order.id for order in fillers))
        if not fillers or self._filled == filled:
            return
        self._filled = filled
        self._release()
        with alone(self._book_of(), fillers):
            yield
        self._hold(self._promised)

    def look(self, at: int) -> None:
        """Promise room to those in the book that must not starve."""
        waiting = self._waiting()
        if not waiting and not self._held:
            return
        live = sum(self._book_of().offer(one.offer) is not None for one in self._ending(at))
        planned = (self._changes, live, at // _AGAIN_SECONDS, tuple(order.id for order in waiting))
        if planned == self._planned:
            return
        self._planned = planned
        self._release()
        self._promised = self._plan(waiting, (live, at // _AGAIN_SECONDS), at)
        self._hold(self._promised)

    def _waiting(self) -> list[BidOrder]:
        """By their place in the queue; of an order with alternatives the first. Replicas are drawn, and never
        promised a place."""
        found: dict[bytes, BidOrder] = {}
        for order in sorted(self._book_of().bids(), key=lambda one: one.sequence):
            if (order.members > 1 or order.start_at) and not order.replicated:
                found.setdefault(order.job, order)
        return list(found.values())

    def _plan(self, waiting: Sequence[BidOrder], moment: tuple[int, int], at: int) -> Reservations:
        """What is promised; who found nothing at this `moment` (the live offers, and the time) is not
        considered again before the next."""
        lendings = list(self._lent(at))
        kept: list[Reservation] = []
        gang_is_kept, tries = False, 0
        self._hopeless = {name for name in self._hopeless if name[1:] == moment}
        for place, order in enumerate(waiting):
            row = self._books.queries.job(order.job)
            patient = not order.start_at and (row is None or at - row.accepted_at < PATIENCE_SECONDS)
            passed = (gang_is_kept and not order.start_at) or (order.id, *moment) in self._hopeless
            if row is None or patient or passed:
                continue
            found = self._promise(order, row, Reservations(kept, lendings), at)
            # Room that is there already is not what it waits for.
            if found is not None and found.at > at:
                kept.append(found)
                gang_is_kept = gang_is_kept or not order.start_at
                continue
            self._hopeless.add((order.id, *moment))
            tries += 1
            if tries == _MOST_TRIES:
                self._planned = None
                others = {one.id for one in waiting[place + 1 :]}
                kept += [one for one in self._promised.kept if one.bid in others]
                break
        return Reservations(kept, lendings)

    def _promise(self, order: BidOrder, row: JobRow, kept: Reservations, at: int) -> Reservation | None:
        return earliest(order, self._rooms(order, kept, at), kept, at, latest=rests_until(row))

    def _rooms(self, order: BidOrder, kept: Reservations, at: int) -> list[Room]:
        """Where the order could be: by the rules of clearing, were it time and nobody there."""
        book, moment = self._book_of(), max(at + INCLUSION_SECONDS, order.start_at)
        now = replace(order, start_at=0)
        names = {place.offer for place in book.cheapest(now, moment, order.members)}
        names |= kept.offers() | {one.offer for one in self._ending(at)}
        return rooms(now, book, names, moment)

    def _ending(self, at: int) -> list[Lending]:
        """The leases that end soonest."""
        if self._soonest is None or self._soonest[0] != (self._changes, at):
            found = nsmallest(_MOST_LEASES, self._lent(at), key=lambda one: (one.ends_at, one.lease))
            self._soonest = ((self._changes, at), found)
        return self._soonest[1]

    def _lent(self, at: int) -> Iterator[Lending]:
        """The open leases; one that is past its end is about to close."""
        if self._lendings is None:
            rows = self._books.queries.leases(states=(LeaseState.ACTIVE,))
            self._lendings = {
                row.id: _lending(row.id, row.terms, row.start) for row in rows if row.start is not None
            }
        for one in self._lendings.values():
            yield one if one.ends_at > at else replace(one, ends_at=at + 1)

    def _hold(self, promised: Reservations, but: Reservation | None = None) -> None:
        """Count as taken what of the promised room is free; nothing of what is promised to `but`."""
        self._release()
        for offer in sorted(promised.offers()):
            wanted = promised.kept_from(offer, job=None if but is None else but.job)
            held = self._free_of(offer, wanted)
            if any(held):
                taken = CapacityTaken(offer=offer, want=held, count=-(-held.gpu // WHOLE))
                self._book_of().apply(taken)
                self._held[offer] = taken

    def _free_of(self, offer: OfferId, wanted: Quantities) -> Quantities:
        """What of `wanted` is free there, of devices whole ones."""
        book = self._book_of()
        listed, devices = book.offer(offer), book.devices(offer)
        if listed is None:
            return Quantities()
        free = listed.offer.capacity.less(book.used(offer))
        held = Quantities(**{lane: min(getattr(wanted, lane), getattr(free, lane)) for lane in LANE_NAMES})
        if not held.gpu or devices is None:
            return held
        whole = sum(milli == devices.milli for milli in devices.free_milli)
        count = min(whole, -(-held.gpu // WHOLE))
        memory = min(held.gpu_memory, count * devices.memory)
        return held.with_lanes(gpu=min(held.gpu, count * devices.milli), gpu_memory=memory)

    def _release(self) -> None:
        for taken in self._held.values():
            self._book_of().apply(CapacityFreed(offer=taken.offer, want=taken.want, count=taken.count))
        self._held = {}


def _lending(lease: LeaseId, terms: LeaseTerms, start: int) -> Lending:
    return Lending(lease=lease, offer=terms.offer, want=terms.want, ends_at=start + terms.duration)
