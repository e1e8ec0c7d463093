"""`bingwang simulate`: what a market would have done with given offers and bids, or with recorded history."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import Json

if TYPE_CHECKING:
    from node.cli.reading.market_orders import Files

_EVER = (1 << 40) - 1


def register(app: typer.Typer) -> None:
    app.command()(simulate)


def simulate(
    offers: Annotated[Path | None, typer.Option(help="Offers: YAML, JSON or CSV.", metavar="FILE")] = None,
    bids: Annotated[Path | None, typer.Option(help="Bids: YAML, JSON or CSV.", metavar="FILE")] = None,
    history: Annotated[
        str | None, typer.Option(help="A node's books instead of files.", metavar="URL|FILE|DIR")
    ] = None,
    since: Annotated[str, typer.Option("--from", help="History from here on, as 2027-01-31T18:00Z.")] = "",
    until: Annotated[str, typer.Option("--to", help="History to before here.")] = "",
    epoch: Annotated[str, typer.Option(help="Time from one clearing to the next, such as 10s.")] = "10s",
    stake_bps: Annotated[
        int, typer.Option(help="Stake that a lease locks, in basis points.", min=0, max=10_000)
    ] = 0,
    as_json: Json = False,
) -> None:
    """Run a market on files or on history: welfare, prices, fill rates, and who was left out and why."""
    from matcher.simulation.market import simulate as run
    from matcher.simulation.report import report
    from matcher.simulation.scenario import Scenario
    from node.cli.reading.market_orders import DECIMALS
    from node.cli.reading.quantities import parse_time
    from node.cli.views.output import Output
    from node.cli.views.simulation import render_simulation, simulation_plain

    files = _read(offers, bids, history, (since, until))
    scenario = Scenario(
        listings=files.listings,
        arrivals=files.arrivals,
        epoch=parse_time(epoch),
        stakes=files.stakes,
        stake_bps=stake_bps,
    )
    outcome = run(scenario)
    plain = simulation_plain(outcome, report(outcome), files.models)
    Output(as_json=as_json).result(plain, render_simulation(plain, DECIMALS))


def _read(offers: Path | None, bids: Path | None, history: str | None, span: tuple[str, str]) -> "Files":
    from ledger.market.errors import Rejected
    from node.cli.reading.market_history import read_history
    from node.cli.reading.market_orders import read_market
    from node.cli.reading.moments import parse_past

    if history is not None and offers is None and bids is None:
        since, until = span
        return read_history(history, parse_past(since) if since else 0, parse_past(until) if until else _EVER)
    if offers is None or bids is None or history is not None or any(span):
        raise Rejected(
            "no-market",
            "A simulation needs both offers and bids, or else a history; --from and --to go with that.",
            "Give --offers FILE --bids FILE, or --history URL.",
        )
    return read_market(offers, bids)
