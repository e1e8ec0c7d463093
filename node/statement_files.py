"""A statement as files: CSV for spreadsheets, and a page to print that needs no script and no network.

Names of jobs come from strangers: the page escapes them, and in the CSV none can become a formula.
"""

import csv
import io
from collections.abc import Sequence
from html import escape

from ledger.books.statements import Statement
from ledger.market.identity import text
from node.statement_view import COLUMNS, cells, moment, summary

CSV_TYPE = "text/csv; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""what the page may do: show itself"""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = ("rate per hour", "amount", "fee", "balance")
_LONG = ("lease", "counterparty", "transaction")
_STYLE = """
@page { size: A4 landscape; margin: 12mm }
* { box-sizing: border-box }
body { font: 10pt/1.4 system-ui, sans-serif; color: #111; background: #fff; margin: 0 auto; padding: 8mm;
  max-width: 300mm }
h1 { font-size: 18pt; margin: 0 0 2mm }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1mm 6mm; margin: 0 0 6mm }
dt { color: #555 }
dd { margin: 0; overflow-wrap: anywhere }
table { width: 100%; border-collapse: collapse; font-size: 8pt }
thead { display: table-header-group }
th { text-align: left; border-bottom: 1.5pt solid #111; padding: 1mm }
td { border-bottom: .5pt solid #bbb; padding: 1mm; vertical-align: top }
tr { break-inside: avoid }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.long { font-family: ui-monospace, monospace; font-size: 6.5pt; overflow-wrap: anywhere; min-width: 22mm }
.sums { width: auto; margin: 6mm 0 0 auto; font-size: 10pt }
.sums tr:last-child td { font-weight: bold }
footer { margin-top: 6mm; color: #555; font-size: 8pt }
@media print { body { padding: 0; max-width: none } }
"""


def to_csv(found: Statement, decimals: int) -> str:
    """A heading, and one row a line (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for line in found.lines:
        row = zip(COLUMNS, cells(line, decimals), strict=True)
        writer.writerow([cell if name in _NUMBERS else _harmless(cell) for name, cell in row])
    return out.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def to_page(found: Statement, decimals: int, printed_at: int) -> str:
    """A whole HTML document."""
    title = "Statement" if found.job is None else "Invoice"
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(found, printed_at)
    )
    head = "".join(f"<th{_class(name)}>{escape(name)}</th>" for name in COLUMNS)
    rows = "".join(_row(cells(line, decimals)) for line in found.lines)
    sums = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{escape(value)}</td></tr>'
        for name, value in summary(found, decimals)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title} {text(found.account)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1><dl>{facts}</dl>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'<table class="sums"><tbody>{sums}</tbody></table>'
        "<footer>Every line is a payment that the market's contract made in the transaction beside it; "
        "amounts are exact.</footer></body></html>\n"
    )


def _facts(found: Statement, printed_at: int) -> list[tuple[str, str]]:
    facts = [("Account", text(found.account))]
    if found.job is None:
        facts.append(("Period", f"{moment(found.since)} to before {moment(found.until)} UTC"))
        return [*facts, ("Made", f"{moment(printed_at)} UTC")]
    names = sorted({line.job_name for line in found.lines if line.job_name})
    facts += [("Job", text(found.job)), *(("Name", name) for name in names)]
    for role in ("buyer", "provider"):
        parties = sorted({text(party) for line in found.lines if (party := getattr(line, role)) is not None})
        facts += [(role.capitalize(), party) for party in parties]
    return [*facts, ("Made", f"{moment(printed_at)} UTC")]


def _row(shown: Sequence[str]) -> str:
    named = zip(COLUMNS, shown, strict=True)
    return "<tr>" + "".join(f"<td{_class(name)}>{escape(cell)}</td>" for name, cell in named) + "</tr>"


def _class(column: str) -> str:
    if column in (*_NUMBERS, "duration"):
        return ' class="number"'
    return ' class="long"' if column in _LONG else ""
