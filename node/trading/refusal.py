"""Why an order finds no offer, in words that name the remedy: the cheapest change that was found to make it
match, or what excludes each provider; and the same as plain values for the API."""

from collections.abc import Sequence

from ledger.market.errors import Rejected
from ledger.market.identity import OfferId, text
from ledger.market.money import escrow_for
from ledger.market.wire import Plain
from matcher.book import Book
from matcher.clearing import Match
from matcher.explanation import Explanation, Obstacle
from matcher.remedy.change import Change, Remedy
from matcher.remedy.sentences import sentence


def explained_plain(found: Explanation, book: Book) -> Plain:
    """The whole explanation as the API shows it: what is eligible and excluded, how many of each, what
    excludes them, and the changes that would make it match, cheapest first."""
    rate = found.would_match_at
    return {
        "eligible": eligible_plain(found, book),
        "excluded": excluded_plain(found, book),
        "eligible_count": found.eligible_count,
        "excluded_count": found.excluded_count,
        "obstacles": [_obstacle_plain(one, book) for one in found.obstacles],
        "remedies": [_remedy_plain(one) for one in found.remedies],
        "would_match_at": None if rate is None else str(rate),
    }


def _obstacle_plain(one: Obstacle, book: Book) -> Plain:
    return {
        "dimension": one.dimension,
        "excluded": one.excluded,
        "alone": one.alone,
        "named": [
            {"offer": text(name), "domain": listed.domain if (listed := book.offer(name)) else ""}
            for name in one.named
        ],
    }


def _remedy_plain(remedy: Remedy) -> Plain:
    return {
        "cost_bps": str(remedy.cost),
        "at": remedy.at,
        "max_rate": str(remedy.order.bid.limit_rate),
        "changes": [_change_plain(change) for change in remedy.changes],
    }


def _change_plain(change: Change) -> Plain:
    """A change in words; figures are given too, as texts, since some exceed what JSON readers keep."""
    figures = all(type(value) is int for value in (change.before, change.after))
    return {
        "demand": change.demand,
        "before": str(change.before) if figures else None,
        "after": str(change.after) if figures else None,
        "cost_bps": str(change.cost),
        "says": sentence(change),
    }


def eligible_plain(found: Explanation, book: Book) -> list[Plain]:
    """The eligible offers as the API shows them, cheapest first."""
    return [
        _offer_plain(quote.offer, book) | {"rate": str(quote.rate), "escrow": str(quote.escrow)}
        for quote in found.eligible
    ]


def excluded_plain(found: Explanation, book: Book) -> list[Plain]:
    """The excluded offers as the API shows them, nearest first."""
    return [
        _offer_plain(one.offer, book)
        | {"rate": str(one.rate), "dimensions": list(one.dimensions), "detail": list(one.detail)}
        for one in found.excluded
    ]


def places_plain(match: Match, seconds: int, book: Book) -> list[Plain]:
    """What each member would get now, in the order of their numbers."""
    return [
        _offer_plain(member.offer, book)
        | {"rate": str(member.rate), "escrow": str(escrow_for(member.rate, seconds))}
        for member in match.members
    ]


def _offer_plain(name: OfferId, book: Book) -> Plain:
    listed = book.offer(name)
    return {
        "offer": text(name),
        "provider": text(listed.offer.provider) if listed else "",
        "domain": listed.domain if listed else "",
    }


class NoMatch(Rejected):
    """No live offer serves the order as it stands, in none of its ways; the first one's figures are told."""

    def __init__(self, ways: Sequence[Explanation], book: Book) -> None:
        found, cheapest = ways[0], _cheapest(ways)
        rate = found.would_match_at
        super().__init__(
            "no-match",
            _causes(ways),
            _remedy(ways, cheapest),
            would_match_at=None if rate is None else str(rate),
            excluded=excluded_plain(found, book),
            obstacles=[_obstacle_plain(one, book) for one in found.obstacles],
            remedies=[_remedy_plain(one) for one in found.remedies],
            cheapest=None if cheapest is None else {**_remedy_plain(cheapest[0]), "alternative": cheapest[1]},
        )


def _causes(ways: Sequence[Explanation]) -> str:
    if len(ways) == 1:
        return _cause(ways[0])
    return " ".join(f"Alternative {number}: {_cause(found)}" for number, found in enumerate(ways, start=1))


def _cause(found: Explanation) -> str:
    if not found.excluded_count:
        return "No provider is live on this node right now."
    named = ", ".join(f"{one.dimension} excludes {one.excluded}" for one in found.obstacles)
    return f"None of {found.excluded_count} live offers serves this bid: {named}."


def _cheapest(ways: Sequence[Explanation]) -> tuple[Remedy, int] | None:
    """The cheapest remedy of all ways and the number of its way, the first where several cost the same."""
    changed = [(found.remedies[0], number) for number, found in enumerate(ways, start=1) if found.remedies]
    return min(changed, key=lambda one: one[0].cost, default=None)


def _remedy(ways: Sequence[Explanation], cheapest: tuple[Remedy, int] | None) -> str:
    if cheapest is not None:
        remedy, number = cheapest
        words = " and ".join(sentence(change) for change in remedy.changes)
        way = f" in alternative {number}" if len(ways) > 1 else ""
        return f"{words[0].upper()}{words[1:]}{way}, and it matches now."
    if not ways[0].excluded:
        return "Let it wait (wait: 10m), or try again later."
    nearest = ways[0].excluded[0]
    return (
        f"The nearest offer needs a change in {', '.join(nearest.dimensions)}: {'; '.join(nearest.detail)}."
    )
