"""A statement on the terminal: its lines as a table, and the figures by which they foot."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from node.cli.reading.amounts import format_amount
from node.cli.views.output import Render, pairs, table
from node.statement_view import moment, placed

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("time (UTC)", "what", "job", "duration", "amount", "fee", "balance", "transaction")


def render(plain: Mapping[str, Any]) -> Render:
    """The answer of the node's statement as people read it."""
    decimals = int(plain["decimals"])
    names = ("received", "spent", "fees") if plain["job"] else ("opening", "received", "spent", "fees")
    figures = {name: format_amount(int(plain[name]), decimals) for name in (*names, "closing")}
    rows = [_row(line, decimals) for line in plain["lines"]]

    def show(out: "Console") -> None:
        table(f"{len(rows)} payments", _COLUMNS, rows)(out)
        pairs(figures)(out)

    return show


def _row(line: Mapping[str, Any], decimals: int) -> tuple[str, ...]:
    milliseconds = line["milliseconds"]
    return (
        moment(int(line["at"])),
        line["purpose"],
        line["job_name"] or line["job"] or "",
        "" if milliseconds is None else f"{placed(int(milliseconds), 3)} s",
        format_amount(int(line["gross"]), decimals),
        format_amount(int(line["fee"]), decimals) if int(line["fee"]) else "",
        format_amount(int(line["balance"]), decimals),
        line["transaction"],
    )
