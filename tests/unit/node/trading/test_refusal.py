from typing import Any

from matcher.book import Book, OfferListed
from matcher.explanation import explain
from node.trading.refusal import SHOWN, NoMatch, eligible_plain
from tests.factories import a_digest, bid_order, offer_order


def refused(book: Book, **bid: Any) -> NoMatch:
    return NoMatch(explain(bid_order(**bid), book), book)


def test_without_an_offer_it_says_to_wait() -> None:
    error = refused(Book())
    assert error.code == "no-match"
    assert "No provider is live" in error.cause
    assert error.facts == {"would_match_at": None, "excluded": []}


def test_price_alone_names_the_rate() -> None:
    book = Book([OfferListed(order=offer_order())])
    error = refused(book, limit_rate=1)
    assert error.facts["would_match_at"] == "1102400"
    assert "1102400" in error.remedy
    assert error.facts["excluded"] == [
        {
            "offer": "0x" + a_digest("offer").hex(),
            "provider": "0x" + offer_order().offer.provider.hex(),
            "domain": "lab/berlin",
            "dimensions": ["price"],
            "detail": ["price: asks 1102400, the limit is 1 (milli-base-units per hour)"],
        }
    ]


def test_anything_else_names_the_nearest_offers_dimensions() -> None:
    error = refused(Book([OfferListed(order=offer_order())]), allow=("other/place",), limit_rate=1)
    assert error.facts["would_match_at"] is None
    assert "domain, price" in error.remedy


def test_lists_are_cut_short_and_counts_are_not() -> None:
    book = Book([OfferListed(order=offer_order(str(number))) for number in range(SHOWN + 5)])
    error = refused(book, limit_rate=1)
    assert len(error.facts["excluded"]) == SHOWN  # type: ignore[arg-type]
    assert f"price excludes {SHOWN + 5}" in error.cause
    assert len(eligible_plain(explain(bid_order(), book), book)) == SHOWN
