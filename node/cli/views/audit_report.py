"""An audit as a document and as a picture: every figure that does not hold is named with its amount."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.books.books import open_books
from ledger.chain.audit import AuditReport
from ledger.chain.client import MarketClient
from ledger.market.errors import Rejected
from ledger.market.identity import text
from node.auditing import examine
from node.cli.reading.amounts import format_amount
from node.cli.views.output import Render, pairs, table

if TYPE_CHECKING:
    from rich.console import Console


def report_plain(report: AuditReport) -> dict[str, Any]:
    """The audit's figures; amounts are base units as decimal texts."""
    state = report.state
    return {
        "block": report.block.number,
        "block_hash": text(report.block.hash),
        "events": report.events,
        "balances": {text(account): str(amount) for account, amount in state.balances.items()},
        "open_leases": {
            text(lease): {"escrow": str(one.escrow), "paid": str(one.paid), "start": one.start}
            for lease, one in state.leases.items()
        },
        "closed_leases": {
            text(lease): {"paid": str(one.paid), "refunded": str(one.refunded), "because": one.because.value}
            for lease, one in state.closed.items()
        },
        "totals": {name: str(amount) for name, amount in report.totals().items()},
        "held": str(report.held),
        "unsolicited": str(report.unsolicited),
        "token_balance": str(report.token_balance),
        "findings": [asdict(finding) for finding in report.findings],
    }


def differences_plain(url: str, client: MarketClient, report: AuditReport) -> list[dict[str, Any]]:
    """Where the node's books at `url`, a path or a database's address, differ from what they must be: table,
    row, field and both values."""
    if "://" not in url and not Path(url).is_file():
        raise Rejected("books-not-found", f"There is no database {url}.", "Give the node's database.")
    with open_books(url) as books:
        found = examine(books, client, report.logged)
    return [{key: str(value) for key, value in asdict(one).items()} for one in found]


def render(plain: Mapping[str, Any], decimals: int) -> Render:
    """The figures, then what does not hold."""
    figures = {
        "block": plain["block"],
        "events read": plain["events"],
        "leases": f"{len(plain['open_leases'])} open, {len(plain['closed_leases'])} closed",
        **{name: format_amount(int(amount), decimals) for name, amount in plain["totals"].items()},
        "unsolicited": format_amount(int(plain["unsolicited"]), decimals),
        "token balance": format_amount(int(plain["token_balance"]), decimals),
        "verdict": "everything agrees" if plain["sound"] else "IT DOES NOT AGREE",
    }

    def show(out: "Console") -> None:
        pairs(figures)(out)
        for title in ("findings", "differences"):
            found = plain[title]
            if found:
                rows = [tuple(item.values()) for item in found]
                table(title, tuple(found[0]), rows)(out)

    return show
