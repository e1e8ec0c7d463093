"""Clearing: who gets what. Bids in time priority, each at the cheapest eligible offers with room left.

A pure function of the book and the time: the same orders give the same matches, in whatever order they
were put in. Equal prices are drawn by a hash of both ids, since ids and sizes can be chosen by traders.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ledger.market.identity import BidId, OfferId
from matcher.book import Book
from matcher.columns import OfferView
from matcher.eligibility import eligible
from matcher.orders import BidOrder
from matcher.placement import places
from matcher.pricing import ask_rates


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchMember:
    """One lease on this offer at `rate`, in milli-base-units per hour."""

    offer: OfferId
    rate: int


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
    """What one clearing decided; both in the order in which the bids were served."""

    matches: tuple[Match, ...]
    unmatched: tuple[BidId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Serving:
    """An order with the row and the rate of each member, in milli-base-units per hour."""

    order: BidOrder
    rows: list[int]
    rates: list[int]


def clear(book: Book, at: int) -> Clearing:
    """Decide for every waiting bid at the time `at` (seconds); the book itself is not changed.

    Of the alternatives of one group, and of several bids of one buyer with one nonce, at most one is
    matched: the contract opens a nonce once. Whoever accepts a match applies `CapacityTaken` for each
    member, `StakeChanged` where it keeps stakes, and `BidRemoved` for the bid and its alternatives.
    """
    offers = book.offers()
    spent: set[tuple[bytes, int]] = set()
    matches: list[Match] = []
    unmatched: list[BidId] = []
    for group in _groups(book.bids()):
        unspent = [order for order in group if (order.bid.buyer, order.bid.nonce) not in spent]
        best = _cheapest_alternative(offers, unspent, at)
        if best is not None:
            spent.add((best.order.bid.buyer, best.order.bid.nonce))
            matches.append(_take(offers, best))
        unmatched.extend(order.id for order in group if best is None or order is not best.order)
    return Clearing(matches=tuple(matches), unmatched=tuple(unmatched))


def _priority(order: BidOrder) -> tuple[int, bytes]:
    return order.sequence, sha256(order.id).digest()


def _groups(orders: Iterable[BidOrder]) -> list[list[BidOrder]]:
    """Alternatives together, each group at the place of its first, in the order of serving."""
    groups: dict[BidId, list[BidOrder]] = {}
    for order in sorted(orders, key=_priority):
        groups.setdefault(order.id if order.group is None else order.group, []).append(order)
    return list(groups.values())


def _cheapest_alternative(offers: OfferView, group: list[BidOrder], at: int) -> _Serving | None:
    """The one whose members cost least per hour together, the earlier one where two cost the same."""
    found = [serving for order in group if (serving := _serve(offers, order, at)) is not None]
    return min(found, key=lambda serving: sum(serving.rates), default=None)


def _serve(offers: OfferView, order: BidOrder, at: int) -> _Serving | None:
    rates = ask_rates(offers.ask, order.bid.want)
    rows = np.flatnonzero(eligible(offers, order, rates, at))
    placed = places(offers, order, rates, rows)
    if not placed or len(placed) < order.members:
        return None
    return _Serving(order=order, rows=placed, rates=[int(rates[row]) for row in placed])


def _take(offers: OfferView, serving: _Serving) -> Match:
    bid = serving.order.bid
    members: list[MatchMember] = []
    for row, rate in zip(serving.rows, serving.rates, strict=True):
        offers.take(row, bid.want, offers.lock_for(rate, bid.duration))
        members.append(MatchMember(offer=offers.orders[row].id, rate=rate))
    return Match(bid=serving.order.id, members=tuple(members))
