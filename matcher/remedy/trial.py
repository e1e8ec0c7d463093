"""Trial: whether a bid as it would be changed does match, by the very clearing that would match it.

What is stated to a buyer was tried. The trial clears the bid alone on the few offers that it would get;
more offers never hinder a bid, unless its providers are drawn: then all that it may have take part.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from matcher.book import BidPlaced, Book
from matcher.clearing import clear
from matcher.orders import BidOrder
from matcher.question import Question

MOST_DRAWN: Final = 256
"""offers among which a draw is tried at most"""


def matches_alone(book: Book, order: BidOrder, question: Question, rows: Iterable[int]) -> bool:
    """Whether `order` alone matches on these rows of the question's offers, at its time."""
    small = book.part(question.offers.orders[row].id for row in dict.fromkeys(rows))
    return matches_in(small, order, question.at)


def matches_in(small: Book, order: BidOrder, at: int) -> bool:
    """Whether `order` matches at `at` in a book without bids, which it is put into."""
    small.apply(BidPlaced(order=replace(order, group=None)))
    return bool(clear(small, at).matches)
