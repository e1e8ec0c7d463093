"""Why an order finds no offer, in words that name the remedy: the price at which it would match, or what
excludes each provider."""

from collections import Counter
from collections.abc import Sequence

from ledger.market.errors import Rejected
from ledger.market.identity import text
from ledger.market.money import escrow_for
from ledger.market.wire import Plain
from matcher.book import Book
from matcher.clearing import Match
from matcher.explanation import Explanation

SHOWN = 50
"""how many offers, nearest first, an answer lists; the counts in its words are of all"""


def eligible_plain(found: Explanation, book: Book) -> list[Plain]:
    """The eligible offers as the API shows them, cheapest first."""
    rows: list[Plain] = []
    for quote in found.eligible[:SHOWN]:
        listed = book.offer(quote.offer)
        rows.append(
            {
                "offer": text(quote.offer),
                "provider": text(listed.offer.provider) if listed else "",
                "domain": listed.domain if listed else "",
                "rate": str(quote.rate),
                "escrow": str(quote.escrow),
            }
        )
    return rows


def excluded_plain(found: Explanation, book: Book) -> list[Plain]:
    """The excluded offers as the API shows them, nearest first."""
    rows: list[Plain] = []
    for one in found.excluded[:SHOWN]:
        listed = book.offer(one.offer)
        rows.append(
            {
                "offer": text(one.offer),
                "provider": text(listed.offer.provider) if listed else "",
                "domain": listed.domain if listed else "",
                "dimensions": list(one.dimensions),
                "detail": list(one.detail),
            }
        )
    return rows


def places_plain(match: Match, seconds: int, book: Book) -> list[Plain]:
    """What each member would get now, in the order of their numbers."""
    rows: list[Plain] = []
    for member in match.members:
        listed = book.offer(member.offer)
        rows.append(
            {
                "offer": text(member.offer),
                "provider": text(listed.offer.provider) if listed else "",
                "domain": listed.domain if listed else "",
                "rate": str(member.rate),
                "escrow": str(escrow_for(member.rate, seconds)),
            }
        )
    return rows


class NoMatch(Rejected):
    """No live offer serves the order as it stands, in none of its ways; the first one's figures are told."""

    def __init__(self, ways: Sequence[Explanation], book: Book) -> None:
        found = ways[0]
        rate = found.would_match_at
        super().__init__(
            "no-match",
            _causes(ways),
            _remedy(found),
            would_match_at=None if rate is None else str(rate),
            excluded=excluded_plain(found, book),
        )


def _causes(ways: Sequence[Explanation]) -> str:
    if len(ways) == 1:
        return _cause(ways[0])
    return " ".join(f"Alternative {number}: {_cause(found)}" for number, found in enumerate(ways, start=1))


def _cause(found: Explanation) -> str:
    if not found.excluded:
        return "No provider is live on this node right now."
    counts = Counter(name for one in found.excluded for name in one.dimensions)
    named = ", ".join(f"{name} excludes {count}" for name, count in counts.most_common())
    return f"None of {len(found.excluded)} live offers serves this bid: {named}."


def _remedy(found: Explanation) -> str:
    if found.would_match_at is not None:
        return f"Raise the limit to {found.would_match_at} milli-base-units per hour, and it matches now."
    if not found.excluded:
        return "Let it wait (wait: 10m), or try again later."
    nearest = found.excluded[0]
    return (
        f"The nearest offer needs a change in {', '.join(nearest.dimensions)}: {'; '.join(nearest.detail)}."
    )
