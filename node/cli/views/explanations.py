"""Why a job finds nothing, on one screen: how many offers are out and by what, and the cheapest change."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ledger.market.policy import BASIS_POINTS
from node.cli.reading.amounts import format_rate
from node.cli.views.changes import changes_words
from node.cli.views.output import Render, pairs, table

if TYPE_CHECKING:
    from rich.console import Console

_OBSTACLES = ("excluded by", "offers", "by it alone", "nearest of those")
_REMEDIES = ("cost", "change that makes it match")
_ELIGIBLE = ("offer", "domain", "price")
_NEAREST = ("offer", "domain", "because")
_FEW = 5


def render_explanation(plain: Mapping[str, Any], decimals: int) -> Render:
    """One way of a job, as the API explains it."""
    figures = pairs(_figures(plain, decimals))

    def show(out: "Console") -> None:
        figures(out)
        if plain["remedies"]:
            rows = [_remedy_cells(one, decimals) for one in plain["remedies"]]
            table("Changes, cheapest first", _REMEDIES, rows)(out)
        if plain["obstacles"]:
            columns = _OBSTACLES if any(one["named"] for one in plain["obstacles"]) else _OBSTACLES[:-1]
            rows = [_obstacle_cells(one)[: len(columns)] for one in plain["obstacles"]]
            table("What excludes offers", columns, rows)(out)
        if plain["eligible"]:
            rows = [_eligible_cells(one, decimals) for one in plain["eligible"][:_FEW]]
            table("Cheapest eligible offers", _ELIGIBLE, rows)(out)
        elif plain["excluded"]:
            nearest(plain["excluded"], decimals)(out)

    return show


def render_ways(ways: Sequence[Mapping[str, Any]], decimals: int) -> Render:
    """Each alternative of a job under its number; a job of one way as it is."""
    renders = [render_explanation(way, decimals) for way in ways]

    def show(out: "Console") -> None:
        for number, render in enumerate(renders, start=1):
            if len(renders) > 1:
                out.rule(f"Alternative {number} of {len(renders)}", align="left")
            render(out)

    return show


def nearest(excluded: Sequence[Mapping[str, Any]], decimals: int) -> Render:
    """The first of the excluded offers, with a line for each demand that they fail."""
    return table("Nearest offers", _NEAREST, [_nearest_cells(one, decimals) for one in excluded[:_FEW]])


def _figures(plain: Mapping[str, Any], decimals: int) -> dict[str, object]:
    total = plain["eligible_count"] + plain["excluded_count"]
    figures: dict[str, object] = {
        "price now": _price_now(plain, decimals),
        "your limit": format_rate(int(plain["limit_rate"]), decimals),
        "eligible": f"{plain['eligible_count']:,} of {total:,} offers",
    }
    if plain["would_match_at"] is not None:
        figures["would match at"] = format_rate(int(plain["would_match_at"]), decimals)
    if not plain["eligible"]:
        cheapest = [changes_words(one["changes"], decimals) for one in plain["remedies"][:1]]
        figures["cheapest change"] = cheapest[0] if cheapest else "none was found"
    return figures


def _price_now(plain: Mapping[str, Any], decimals: int) -> str:
    if plain["eligible"]:
        return format_rate(int(plain["eligible"][0]["rate"]), decimals)
    return "no offer matches" if plain["excluded_count"] else "no provider is live on this node right now"


def _remedy_cells(remedy: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    return _percent(int(remedy["cost_bps"])), changes_words(remedy["changes"], decimals)


def _percent(cost: int) -> str:
    """What is given up, as a part of what was asked; very much as a number of times."""
    if cost > 10 * BASIS_POINTS:
        return f"{cost // BASIS_POINTS:,} x"
    return f"{cost / 100:.1f} %"


def _obstacle_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    named = "\n".join(f"{offer['offer'][:10]} {offer['domain']}" for offer in one["named"])
    return str(one["dimension"]), f"{one['excluded']:,}", f"{one['alone']:,}", named


def _eligible_cells(one: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    return str(one["offer"])[:10], str(one["domain"]), format_rate(int(one["rate"]), decimals)


def _nearest_cells(one: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    """The ask stands in tokens where it is what excludes, instead of the line that the matcher has for it;
    a node of an older version tells none."""
    rate = one.get("rate")
    dear = "" if rate is None else f"price: asks {format_rate(int(rate), decimals)}, more than the limit"
    lines = [
        dear if dear and name == "price" else str(said)
        for name, said in zip(one["dimensions"], one["detail"], strict=True)
    ]
    return str(one["offer"])[:10], str(one["domain"]), "\n".join(lines)
