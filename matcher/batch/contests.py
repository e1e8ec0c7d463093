"""Contests: which waiting orders stand for one another, so that at most one of them is served.

Alternatives carry one group; besides, a buyer's nonce opens once on chain, whatever was signed with it.
"""

from collections.abc import Iterable
from hashlib import sha256
from itertools import chain

from matcher.orders import BidOrder

Name = tuple[str, bytes, int]
"""a group, or a buyer's nonce"""
Contest = tuple[BidOrder, ...]
"""orders of which at most one is served, the earliest first"""


def priority(order: BidOrder) -> tuple[int, bytes]:
    """The place in the queue; equal places are told apart by a hash, since ids can be chosen."""
    return order.sequence, sha256(order.id).digest()


def contests(orders: Iterable[BidOrder]) -> list[Contest]:
    """All orders, those that exclude one another together, each at the place of its earliest."""
    homes: dict[Name, list[BidOrder]] = {}
    for order in orders:
        joined = {id(home): home for name in _names(order) if (home := homes.get(name)) is not None}
        merged = [*chain.from_iterable(joined.values()), order]
        homes.update((name, merged) for member in merged for name in _names(member))
    found = {id(home): tuple(sorted(home, key=priority)) for home in homes.values()}
    return sorted(found.values(), key=lambda contest: priority(contest[0]))


def _names(order: BidOrder) -> list[Name]:
    nonce = ("nonce", bytes(order.bid.buyer), order.bid.nonce)
    return [nonce] if order.group is None else [nonce, ("group", bytes(order.group), 0)]
