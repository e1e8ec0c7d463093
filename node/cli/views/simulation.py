"""A simulated market on one screen: welfare, prices, fill rates, and who was left out and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ledger.market.identity import text
from matcher.remedy.change import Change
from matcher.remedy.sentences import sentence
from matcher.simulation.report import Filled, Report
from matcher.simulation.scenario import LeftOut, Outcome, Served
from node.cli.reading.amounts import format_amount, format_rate
from node.cli.reading.market_orders import DECIMALS
from node.cli.reading.quantities import format_seconds
from node.cli.views.changes import figure_words
from node.cli.views.output import Render, pairs, table

if TYPE_CHECKING:
    from rich.console import Console

_PRICES = ("model", "leases", "low", "median", "high")
_LEFT = ("bid", "lapsed", "mostly excluded by", "cheapest change")
_FEW = 20


def simulation_plain(outcome: Outcome, told: Report, models: Mapping[int, str]) -> dict[str, Any]:
    """The document; money in base units and rates in milli-base-units per hour, as texts."""
    arrivals = [one.arrival for one in outcome.served] + [one.arrival for one in outcome.left_out]
    start = min((one.at for one in arrivals), default=0)
    return {
        "clearings": told.clearings,
        "welfare": str(told.welfare),
        "paid": str(told.paid),
        "orders": _filled_plain(told.orders),
        "gpu_milli_seconds": _filled_plain(told.gpu_time),
        "prices": {
            models.get(tag, f"{tag:#010x}"): {
                "leases": one.leases,
                "low": str(one.low),
                "median": str(one.median),
                "high": str(one.high),
            }
            for tag, one in told.prices.items()
        },
        "left_out_by": dict(told.reasons.dimensions),
        "left_out_without_a_change": told.reasons.without_a_change,
        "served": [_served_plain(one, start) for one in outcome.served],
        "left_out": [_left_plain(one, start) for one in outcome.left_out],
    }


def _filled_plain(filled: Filled) -> dict[str, int]:
    return {"served": filled.served, "asked": filled.asked, "per_mille": filled.per_mille}


def _served_plain(one: Served, start: int) -> dict[str, Any]:
    return {
        "bid": one.arrival.name,
        "after": one.at - start,
        "waited": one.at - one.arrival.at,
        "rates": [str(rate) for rate in one.rates],
        "offers": [text(place.id) for place in one.places],
        "domains": [place.domain for place in one.places],
    }


def _left_plain(one: LeftOut, start: int) -> dict[str, Any]:
    found = one.why[0]
    return {
        "bid": one.arrival.name,
        "after": one.at - start,
        "obstacles": {item.dimension: item.excluded for item in found.obstacles},
        "would_match_at": None if found.would_match_at is None else str(found.would_match_at),
        "change": None
        if found.remedy is None
        else [_change_words(change, start) for change in found.remedy.changes],
    }


def _change_words(change: Change, start: int) -> str:
    """In the units of the files, moments from the start on."""
    if change.demand == "wait":
        return f"wait until {format_seconds(change.after - start)} after the start, when a lease ends"
    before, after = change.before, change.after
    figures = isinstance(before, int) and isinstance(after, int)
    told = figure_words(change.demand, before, after, DECIMALS) if figures else None
    return sentence(change) if told is None else told


def render_simulation(plain: Mapping[str, Any], decimals: int) -> Render:
    """The figures, then prices by model, then the first that were left out."""
    left = plain["left_out"]
    figures = {
        "welfare": f"{format_amount(int(plain['welfare']), decimals)} tokens",
        "paid at most": f"{format_amount(int(plain['paid']), decimals)} tokens",
        "orders filled": _filled_words(plain["orders"], 1),
        "GPU-hours filled": _filled_words(plain["gpu_milli_seconds"], 3_600_000),
        "clearings": plain["clearings"],
    }
    if not plain["gpu_milli_seconds"]["asked"]:
        del figures["GPU-hours filled"]

    def show(out: "Console") -> None:
        pairs(figures)(out)
        if plain["prices"]:
            rows = [_price_cells(name, one, decimals) for name, one in plain["prices"].items()]
            table("Prices of a device (cpu: of a core) an hour", _PRICES, rows)(out)
        if left:
            title = f"Left out: {len(left):,}" + (f", the first {_FEW}" if len(left) > _FEW else "")
            table(title, _LEFT, [_left_cells(one) for one in left[:_FEW]])(out)

    return show


def _filled_words(filled: Mapping[str, int], unit: int) -> str:
    served, asked = (f"{filled[key] / unit:,.0f}" for key in ("served", "asked"))
    return f"{served} of {asked} ({filled['per_mille'] / 10:.1f} %)"


def _price_cells(name: str, one: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    prices = (format_rate(int(one[key]), decimals) for key in ("low", "median", "high"))
    return (name, str(one["leases"]), *prices)


def _left_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    obstacles = ", ".join(f"{name} {count:,}" for name, count in list(one["obstacles"].items())[:3])
    change = " and ".join(one["change"]) if one["change"] else "none was found"
    return one["bid"], format_seconds(one["after"]), obstacles or "competition", change
