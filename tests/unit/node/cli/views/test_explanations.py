"""An explanation on a screen: the cheapest change in the words of the job file, prices in tokens."""

from io import StringIO

from rich.console import Console

from ledger.market.resource import Quantities
from matcher.book import Book, OfferListed
from matcher.explanation import explain
from matcher.orders import BidOrder
from node.cli.views.explanations import render_explanation, render_ways
from node.trading.refusal import explained_plain
from tests.factories import bid_order, offer_order

BOOK = Book(
    [
        OfferListed(order=offer_order("near")),
        OfferListed(order=offer_order("dear", ask=Quantities(cpu=9_000))),
    ]
)


def plain(order: BidOrder, book: Book = BOOK) -> dict[str, object]:
    return explained_plain(explain(order, book), book) | {"limit_rate": str(order.bid.limit_rate)}


def shown(order: BidOrder, book: Book = BOOK, width: int = 80) -> str:
    screen = Console(file=StringIO(), width=width)
    render_explanation(plain(order, book), 6)(screen)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


def test_the_cheapest_change_is_told_in_tokens() -> None:
    text = shown(bid_order(limit_rate=1_000_000))
    assert "no offer matches" in text
    assert "0 of 2 offers" in text
    assert "raise max_price from 0.001/h to 0.0011024/h" in text
    assert "10.2 %" in text


def test_what_excludes_offers_is_counted() -> None:
    text = shown(bid_order(limit_rate=1_000_000))
    assert "price" in text
    assert "lab/berlin" in text


def test_a_match_has_its_price() -> None:
    text = shown(bid_order())
    assert "0.0011024/h" in text
    assert "Cheapest eligible offers" in text


def test_an_empty_market_says_so() -> None:
    assert "no provider is live on this node right now" in shown(bid_order(), Book())


def test_every_line_fits_the_screen() -> None:
    for width in (80, 120):
        text = shown(bid_order(limit_rate=1, allow=("other/place",)), width=width)
        assert max(len(line) for line in text.splitlines()) <= width


def test_alternatives_stand_under_their_numbers() -> None:
    screen = Console(file=StringIO(), width=80)
    render_ways([plain(bid_order()), plain(bid_order(limit_rate=1))], 6)(screen)
    assert isinstance(screen.file, StringIO)
    assert "Alternative 2 of 2" in screen.file.getvalue()
