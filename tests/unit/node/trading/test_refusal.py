from typing import Any, cast

from matcher.book import Book, OfferListed
from matcher.clearing import Match, MatchMember
from matcher.explanation import SHOWN, explain
from node.trading.refusal import NoMatch, eligible_plain, explained_plain, places_plain
from tests.factories import a_digest, bid_order, offer_order


def refused(book: Book, **bid: Any) -> NoMatch:
    return NoMatch([explain(bid_order(**bid), book)], book)


def test_without_an_offer_it_says_to_wait() -> None:
    error = refused(Book())
    assert error.code == "no-match"
    assert "No provider is live" in error.cause
    nothing: dict[str, object] = {"excluded": [], "obstacles": [], "remedies": []}
    assert error.facts == nothing | {"would_match_at": None, "cheapest": None}


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
            "rate": "1102400",
            "dimensions": ["price"],
            "detail": ["price: asks 1102400, the limit is 1 (milli-base-units per hour)"],
        }
    ]


def test_several_changes_are_named_together() -> None:
    error = refused(Book([OfferListed(order=offer_order())]), allow=("other/place",), limit_rate=1)
    assert error.facts["would_match_at"] is None
    assert error.remedy == (
        "Raise the limit (max_price) from 1 milli-base-units per hour to 1102400 milli-base-units per hour "
        "and add lab/berlin to domains.allow, and it matches now."
    )


def test_where_no_change_would_do_the_nearest_offers_dimensions_are_named() -> None:
    error = refused(Book([OfferListed(order=offer_order())]), buyer=offer_order().offer.provider)
    assert "needs a change in self_trade" in error.remedy


def test_the_cheapest_alternative_is_the_one_to_change() -> None:
    book = Book([OfferListed(order=offer_order())])
    ways = [explain(bid_order(limit_rate=1), book), explain(bid_order(limit_rate=1_102_399), book)]
    assert "in alternative 2, and it matches now" in NoMatch(ways, book).remedy


def test_an_explanation_as_the_api_shows_it() -> None:
    book = Book([OfferListed(order=offer_order())])
    plain = explained_plain(explain(bid_order(limit_rate=1_000_000), book), book)
    assert (plain["eligible_count"], plain["excluded_count"]) == (0, 1)
    assert plain["obstacles"] == [
        {
            "dimension": "price",
            "excluded": 1,
            "alone": 1,
            "named": [{"offer": "0x" + a_digest("offer").hex(), "domain": "lab/berlin"}],
        }
    ]
    (remedy,) = cast(list[dict[str, Any]], plain["remedies"])
    assert (remedy["cost_bps"], remedy["max_rate"]) == ("1024", "1102400")
    assert remedy["changes"] == [
        {
            "demand": "price",
            "before": "1000000",
            "after": "1102400",
            "cost_bps": "1024",
            "says": "raise the limit (max_price) from 1000000 milli-base-units per hour "
            "to 1102400 milli-base-units per hour",
        }
    ]


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
