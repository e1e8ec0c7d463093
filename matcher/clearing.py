"""Clearing: who gets what. Bids in time priority, each at the cheapest eligible offer with room left.

A pure function of the book and the time: the same orders give the same matches, in whatever order they
were put in. Equal prices are drawn by a hash of both ids, since ids and sizes can be chosen by traders.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ledger.market.identity import BidId, OfferId
from matcher.book import Book
from matcher.columns import OfferView, lot_of
from matcher.eligibility import eligible
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import ask_rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """This bid opens a lease on this offer at `rate`, in milli-base-units per hour."""

    bid: BidId
    offer: OfferId
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """What one clearing decided; both in the order in which the bids were served."""

    matches: tuple[Match, ...]
    unmatched: tuple[BidId, ...]


def clear(book: Book, at: int) -> Clearing:
    """Decide for every waiting bid at the time `at` (seconds); the book itself is not changed.

    Of several bids of one buyer with one nonce (alternatives) at most one is matched: the contract
    opens a nonce once. Whoever accepts a match applies `CapacityTaken` and `BidRemoved` for it.
    """
    offers = book.offers()
    spent: set[tuple[bytes, int]] = set()
    matches: list[Match] = []
    unmatched: list[BidId] = []
    for order in sorted(book.bids(), key=_priority):
        nonce = (order.bid.buyer, order.bid.nonce)
        match = None if nonce in spent else _serve(offers, order, at)
        if match is None:
            unmatched.append(order.id)
        else:
            spent.add(nonce)
            matches.append(match)
    return Clearing(matches=tuple(matches), unmatched=tuple(unmatched))


def drawn(order: BidOrder, offer: OfferOrder) -> tuple[int, bytes]:
    """The place of an offer among equally cheap ones, for this bid: lowest first."""
    return lot_of(order.id) ^ lot_of(offer.id), sha256(order.id + offer.id).digest()


def _priority(order: BidOrder) -> tuple[int, bytes]:
    return order.sequence, sha256(order.id).digest()


def _serve(offers: OfferView, order: BidOrder, at: int) -> Match | None:
    rates = ask_rates(offers.ask, order.bid.want)
    rows = np.flatnonzero(eligible(offers, order, rates, at))
    if not rows.size:
        return None
    rows = rows[rates[rows] == rates[rows].min()]
    lots = offers.column("lot")[rows] ^ lot_of(order.id)
    row = min(rows[lots == lots.min()].tolist(), key=lambda tied: drawn(order, offers.orders[tied]))
    offers.take(row, order.bid.want)
    return Match(bid=order.id, offer=offers.orders[row].id, rate=int(rates[row]))
