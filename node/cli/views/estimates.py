"""What a job would cost and who would run it, or why nobody would and at which price that changes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ledger.market.errors import Rejected
from node.cli.reading.amounts import format_amount, format_rate
from node.cli.views.output import Output, Render, console, pairs, table

if TYPE_CHECKING:
    from rich.console import Console

_ELIGIBLE = ("offer", "provider", "domain", "price", "escrow")
_EXCLUDED = ("offer", "provider", "domain", "because", "detail")


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
            table("Excluded offers", _EXCLUDED, [_excluded_cells(one) for one in plain["excluded"]])(out)

    return show


def _why_none(plain: Mapping[str, Any]) -> str:
    return "no offer matches" if plain["excluded"] else "no provider is live on this node right now"


def explain_refusal(error: Rejected, decimals: int, output: Output) -> None:
    """On stderr, before a refusal: who was excluded and why, and the price at which it would match."""
    excluded, rate = error.facts.get("excluded"), error.facts.get("would_match_at")
    if output.as_json:
        return
    if isinstance(excluded, list) and excluded:
        rows = [_excluded_cells(one) for one in excluded]
        table("Excluded offers", _EXCLUDED, rows)(console(stderr=True))
    if rate is not None:
        output.note(f"It would match at {format_rate(int(str(rate)), decimals)}.")


def _eligible_cells(quote: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    return (
        str(quote["offer"])[:12],
        str(quote["provider"])[:12],
        str(quote["domain"]),
        format_rate(int(quote["rate"]), decimals),
        format_amount(int(quote["escrow"]), decimals),
    )


def _excluded_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(one["offer"])[:12],
        str(one.get("provider", ""))[:12],
        str(one.get("domain", "")),
        ", ".join(map(str, one.get("dimensions", ()))),
        "; ".join(map(str, one.get("detail", ()))),
    )
