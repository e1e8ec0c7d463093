"""A statement as a document: base units beside exact decimals, so that people and programs read the same.

A buyer's command shows what a node answered: it imports this without the books.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ledger.market.identity import text
from ledger.market.wire import Plain

if TYPE_CHECKING:
    from ledger.books.statements import Statement, StatementLine

COLUMNS = (
    "time",
    "what",
    "job",
    "lease",
    "counterparty",
    "duration",
    "rate per hour",
    "amount",
    "fee",
    "balance",
    "transaction",
)
_RATE_PLACES = 3
"""a rate is milli-base-units an hour"""


def statement_plain(found: "Statement", decimals: int) -> Plain:
    """Amounts are base units as decimal texts, times seconds since 1970."""
    return {
        "account": text(found.account),
        "job": None if found.job is None else text(found.job),
        "from": found.since,
        "to": found.until,
        "decimals": decimals,
        "opening": str(found.opening),
        "received": str(found.received),
        "spent": str(found.spent),
        "fees": str(found.fees),
        "closing": str(found.closing),
        "held": str(found.held),
        "lines": [_line_plain(line) for line in found.lines],
    }


def _line_plain(line: "StatementLine") -> Plain:
    return {
        "at": line.at,
        "purpose": line.purpose.value,
        "gross": str(line.gross),
        "fee": str(line.fee),
        "change": str(line.change),
        "balance": str(line.balance),
        "counterparty": line.counterparty,
        "job": None if line.job is None else text(line.job),
        "job_name": line.job_name,
        "lease": None if line.lease is None else text(line.lease),
        "provider": None if line.provider is None else text(line.provider),
        "buyer": None if line.buyer is None else text(line.buyer),
        "milliseconds": line.milliseconds,
        "rate": None if line.rate is None else str(line.rate),
        "transaction": text(line.transaction),
    }


def cells(line: "StatementLine", decimals: int) -> Sequence[str]:
    """One line as `COLUMNS` name it: exact decimals with all their places, "" where there is nothing."""
    rate = (
        "" if line.rate is None or line.milliseconds is None else placed(line.rate, decimals + _RATE_PLACES)
    )
    return (
        moment(line.at),
        line.purpose.value,
        line.job_name or "",
        "" if line.lease is None else text(line.lease),
        line.counterparty.removeprefix("balance:"),
        "" if line.milliseconds is None else f"{placed(line.milliseconds, 3)} s",
        rate,
        placed(line.gross, decimals),
        placed(line.fee, decimals) if line.fee else "",
        placed(line.balance, decimals),
        text(line.transaction),
    )


def summary(found: "Statement", decimals: int) -> Sequence[tuple[str, str]]:
    """The figures by which the lines foot: opening + received - spent - fees = closing."""
    figures = [
        ("Received", found.received),
        ("Spent", found.spent),
        ("Fees", found.fees),
    ]
    if found.job is None:
        figures = [("Opening balance", found.opening), *figures, ("Closing balance", found.closing)]
        figures.append(("Held now by open leases and claims", found.held))
    else:
        figures.append(("Total", found.closing))
    return [(name, placed(amount, decimals)) for name, amount in figures]


def placed(amount: int, places: int) -> str:
    """The exact decimal text of an integer, all its places shown, so that columns align."""
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(places + 1, "0")
    if not places:
        return sign + digits
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def moment(at: int) -> str:
    """A second as people read it, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
