"""Alone: a clearing in which some orders compete with nobody else, by the same rules and in the same book.

Room that was kept for an order must reach that order and not whoever bids first, and a stranger who replays
the clearing must find it in the book that was cleared. So the others leave the book for that one pass.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from matcher.book import BidPlaced, BidRemoved, Book
from matcher.orders import BidOrder


@contextmanager
def alone(book: Book, orders: Collection[BidOrder]) -> Iterator[None]:
    """The book holds these orders and no others for as long as the block lasts. What leaves it meanwhile
    stays out; the others come back."""
    names = {order.id for order in orders}
    others = [order for order in book.bids() if order.id not in names]
    for order in others:
        book.apply(BidRemoved(bid=order.id))
    for order in orders:
        if book.bid(order.id) is None:
            book.apply(BidPlaced(order=order))
    try:
        yield
    finally:
        for order in others:
            book.apply(BidPlaced(order=order))
