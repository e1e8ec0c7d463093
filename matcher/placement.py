"""Placement: which offers the members of one order get. All have a place, or the order is not served.

The members are alike, so the cheapest places first make both the lowest sum and the most places that
capacity and stake allow. Replicas are drawn instead: being cheap must not make a provider the one that
is chosen, and anybody can repeat the draw from the published seed (`ledger.market.draw`).
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice

import numpy as np

from ledger.market.draw import ranked
from matcher.columns import Numbers, OfferView, lot_of
from matcher.orders import BidOrder, OfferOrder


def drawn(order: BidOrder, offer: OfferOrder) -> tuple[int, bytes]:
    """The place of an offer among equally cheap ones, for this bid: lowest first."""
    return lot_of(order.id) ^ lot_of(offer.id), sha256(order.id + offer.id).digest()


def places(offers: OfferView, order: BidOrder, rates: Numbers, rows: Numbers) -> list[int]:
    """The row of each member, in the order of their numbers; fewer than `order.members` where no more fit,
    and then the order must not be served. Each of `rows` has room for one member."""
    if order.members == 1:
        return _cheapest(offers, order, rates, rows)
    if order.replicated:
        ranking = _by_draw(offers, order, rows.tolist())
    else:
        ranking = _by_price(offers, order, rates, rows.tolist())
    found = _apart(offers, order, ranking) if order.distinct else _together(offers, order, rates, ranking)
    return list(islice(found, order.members))


def _cheapest(offers: OfferView, order: BidOrder, rates: Numbers, rows: Numbers) -> list[int]:
    if not rows.size:
        return []
    rows = rows[rates[rows] == rates[rows].min()]
    lots = offers.column("lot")[rows] ^ lot_of(order.id)
    return [min(rows[lots == lots.min()].tolist(), key=lambda tied: drawn(order, offers.orders[tied]))]


def _by_price(offers: OfferView, order: BidOrder, rates: Numbers, rows: list[int]) -> list[int]:
    return sorted(rows, key=lambda row: (int(rates[row]), *drawn(order, offers.orders[row])))


def _by_draw(offers: OfferView, order: BidOrder, rows: list[int]) -> list[int]:
    named = {offers.orders[row].id: row for row in rows}
    return [named[offer] for offer in ranked(order.seed, named)]


def _apart(offers: OfferView, order: BidOrder, ranking: Iterable[int]) -> Iterator[int]:
    """One row a provider, and for replicas one a domain."""
    providers: set[int] = set()
    domains: set[int] = set()
    for row in ranking:
        provider, domain = offers.provider_of(row), int(offers.column("domain")[row])
        if provider in providers or (order.replicated and domain in domains):
            continue
        providers.add(provider)
        domains.add(domain)
        yield row


def _together(offers: OfferView, order: BidOrder, rates: Numbers, ranking: Iterable[int]) -> Iterator[int]:
    """Each row as often as its capacity and its provider's stake have room."""
    want = np.array(tuple(order.bid.want), dtype=np.uint64)
    asked = np.flatnonzero(want)
    stakes: dict[int, int] = {}
    for row in ranking:
        provider = offers.provider_of(row)
        lock = offers.lock_for(int(rates[row]), order.bid.duration)
        for _ in range(int((offers.free[asked, row] // want[asked]).min())):
            left = stakes.get(provider, offers.stakes[provider]) - lock
            if left < 0:
                break
            stakes[provider] = left
            yield row
