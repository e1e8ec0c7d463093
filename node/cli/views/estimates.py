"""What a job would cost and who would run it, or why nobody would and at which price that changes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ledger.market.errors import Rejected
from node.cli.reading.amounts import format_amount, format_rate
from node.cli.views.changes import changes_words
from node.cli.views.explanations import nearest
from node.cli.views.output import Output, Render, console, pairs, table

if TYPE_CHECKING:
    from rich.console import Console

_ELIGIBLE = ("offer", "provider", "domain", "price", "escrow")


def render_estimate(plain: Mapping[str, Any], decimals: int) -> Render:
    """Price and escrow first, then eligible offers from the cheapest on, then the excluded ones."""
    figures = {
        "price": plain["price"] or _why_none(plain),
        "your limit": format_rate(int(plain["limit_rate"]), decimals),
        "locked at most": None if plain["escrow"] is None else format_amount(int(plain["escrow"]), decimals),
        "balance at the market": format_amount(int(plain["balance"]), decimals),
    }
    if plain.get("would_match_at"):
        figures["would match at"] = format_rate(int(plain["would_match_at"]), decimals)

    def show(out: "Console") -> None:
        pairs(figures)(out)
        if plain["eligible"]:
            rows = [_eligible_cells(quote, decimals) for quote in plain["eligible"]]
            table("Eligible offers", _ELIGIBLE, rows)(out)
        if plain["excluded"]:
            nearest(plain["excluded"], decimals)(out)

    return show


def _why_none(plain: Mapping[str, Any]) -> str:
    return "no offer matches" if plain["excluded"] else "no provider is live on this node right now"


def explained(error: Rejected, decimals: int, output: Output) -> Rejected:
    """The refusal as a person reads it: who was excluded and why goes before it, on stderr, and its remedy is
    in the units of a job file. A program gets it as it is."""
    if output.as_json:
        return error
    excluded, cheapest = error.facts.get("excluded"), error.facts.get("cheapest")
    if isinstance(excluded, list) and excluded:
        nearest(excluded, decimals)(console(stderr=True))
    if not isinstance(cheapest, dict):
        return error
    words = changes_words(cheapest["changes"], decimals)
    place = f" in alternative {cheapest['alternative']}" if error.cause.startswith("Alternative") else ""
    remedy = f"{words[0].upper()}{words[1:]}{place}, and it matches now."
    return Rejected(error.code, error.cause, remedy, **error.facts)


def _eligible_cells(quote: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    return (
        str(quote["offer"])[:12],
        str(quote["provider"])[:12],
        str(quote["domain"]),
        format_rate(int(quote["rate"]), decimals),
        format_amount(int(quote["escrow"]), decimals),
    )
