"""Clearing: who gets what. A pure function of the book and the time, and of nothing else.

One order that stands alone gets the cheapest place there is, in microseconds. Several are cleared together:
the placement with the greatest welfare (what the bids are worth less what the offers ask) that the solver
finds, then one price for each class of room. The same orders give the same clearing, in whatever order they
were put in.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.market.identity import BidId, OfferId
from matcher.batch.contests import Contest, contests, priority
from matcher.batch.drawing import drawn_seats, is_drawn, undrawn
from matcher.batch.rounds import play
from matcher.batch.settled import Seat, priced
from matcher.book import Book
from matcher.index.place import Place
from matcher.orders import BidOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchMember:
    """One lease on this offer at `rate`, in milli-base-units per hour; `devices` are the numbers of those
    that the matcher counts on there."""

    offer: OfferId
    rate: int
    devices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """This bid opens one lease for each of `members`, in the order of their numbers, together."""

    bid: BidId
    members: tuple[MatchMember, ...]

    @property
    def offer(self) -> OfferId:
        """The first member's offer; the only one but for a gang."""
        return self.members[0].offer

    @property
    def rate(self) -> int:
        """The first member's rate; the only one but for a gang."""
        return self.members[0].rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """What one clearing decided; both in the order of the queue. `welfare` is what the matched bids are worth
    less what their offers ask, in milli-base-units per hour times seconds; no clearing of this book could
    reach more than `bound`."""

    matches: tuple[Match, ...]
    unmatched: tuple[BidId, ...]
    welfare: int = 0
    bound: int = 0


def clear(book: Book, at: int) -> Clearing:
    """Decide for every waiting bid at the time `at` (seconds); the book itself is not changed.

    Of the alternatives of one group, and of several bids of one buyer with one nonce, at most one is
    matched: the contract opens a nonce once. Whoever accepts a match applies `CapacityTaken` for each
    member, `StakeChanged` where it keeps stakes, and `BidRemoved` for the bid and its alternatives.
    """
    orders = book.bids()
    waiting = contests(orders)
    if len(waiting) == 1 and all(order.members == 1 for order in waiting[0]):
        return _alone(book, waiting[0], at)
    return _together(book, orders, waiting, at)


def _alone(book: Book, contest: Contest, at: int) -> Clearing:
    """The best of the alternatives at its cheapest place, at the ask."""
    found = [(order, place) for order in contest if (place := book.best(order, at)) is not None]
    if not found:
        return Clearing(matches=(), unmatched=tuple(order.id for order in contest))
    order, place = max(found, key=lambda pair: _surplus(*pair))
    devices = book.devices(place.offer)
    assert devices is not None
    chosen = devices.places(order.devices, order.share, order.device_memory) or ()
    member = MatchMember(offer=place.offer, rate=place.rate, devices=chosen)
    welfare = _surplus(order, place)
    return Clearing(
        matches=(Match(bid=order.id, members=(member,)),),
        unmatched=tuple(other.id for other in contest if other is not order),
        welfare=welfare,
        bound=welfare,
    )


def _surplus(order: BidOrder, place: Place) -> int:
    return (order.bid.limit_rate - place.cost) * order.bid.duration


def _together(book: Book, orders: Iterable[BidOrder], waiting: Sequence[Contest], at: int) -> Clearing:
    drawn = [contest for contest in waiting if is_drawn(contest)]
    everywhere = book.offers() if drawn else None
    replicas = [] if everywhere is None else drawn_seats(everywhere, drawn, at)
    played = play(book, everywhere, undrawn(waiting, replicas), at)
    matches = _matches(played.seats, priced(played.view, played.seats, played.lost))
    matches |= _matches(replicas, [seat.ask_rate for seat in replicas])
    queue = sorted(orders, key=priority)
    return Clearing(
        matches=tuple(matches[order.id] for order in queue if order.id in matches),
        unmatched=tuple(order.id for order in queue if order.id not in matches),
        welfare=sum(seat.welfare for seat in (*played.seats, *replicas)),
        bound=played.bound + sum(seat.welfare for seat in replicas),
    )


def _matches(seats: Sequence[Seat], rates: Sequence[int]) -> dict[BidId, Match]:
    members: dict[BidId, list[MatchMember]] = defaultdict(list)
    for seat, rate in zip(seats, rates, strict=True):
        member = MatchMember(offer=seat.offer.id, rate=rate, devices=seat.devices)
        members[seat.order.id].append(member)
    return {bid: Match(bid=bid, members=tuple(found)) for bid, found in members.items()}
