from typing import Any

from matcher.book import Book, OfferListed
from matcher.clearing import Match, MatchMember
from matcher.explanation import explain
from node.trading.refusal import SHOWN, NoMatch, eligible_plain, places_plain
from tests.factories import a_digest, bid_order, offer_order


def refused(book: Book, **bid: Any) -> NoMatch:
    return NoMatch([explain(bid_order(**bid), book)], book)


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


def test_each_alternative_says_why_it_was_not_served() -> None:
    book = Book([OfferListed(order=offer_order())])
    ways = [explain(bid_order(limit_rate=1), book), explain(bid_order(allow=("other/place",)), book)]
    error = NoMatch(ways, book)
    assert "Alternative 1: None of 1 live offers serves this bid: price excludes 1." in error.cause
    assert "Alternative 2: None of 1 live offers serves this bid: domain excludes 1." in error.cause
    assert error.facts["would_match_at"] == "1102400"


def test_what_each_member_would_get_is_shown_with_its_escrow() -> None:
    book = Book([OfferListed(order=offer_order())])
    match = Match(bid=bid_order().id, members=(MatchMember(offer=offer_order().id, rate=1_102_400),) * 2)
    first, second = places_plain(match, 600, book)
    assert first == second
    assert (first["domain"], first["rate"], first["escrow"]) == ("lab/berlin", "1102400", "184")
