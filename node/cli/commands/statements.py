"""Commands about what was paid: `statement` of a period and `invoice` of a job, as a table or a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Behalf, JobId, Json, NodeUrl, PasswordFile, Wallet

if TYPE_CHECKING:
    from node.cli.session import Session

CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write it as CSV.", metavar="FILE")]
HtmlFile = Annotated[Path | None, typer.Option("--html", help="Write it as a page to print.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    app.command()(statement)
    app.command()(invoice)


def statement(
    since: Annotated[str, typer.Option("--from", help="First day, such as 2027-01-01 (UTC).")] = "",
    until: Annotated[str, typer.Option("--to", help="Last day; today where not given.")] = "",
    csv: CsvFile = None,
    html: HtmlFile = None,
    behalf: Behalf = None,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    node: NodeUrl = None,
    as_json: Json = False,
) -> None:
    """What the account got and gave in a period, with opening and closing balance."""
    from node.cli.reading.days import end_of, start_of
    from node.cli.session import Session

    query: dict[str, str] = {}
    if since:
        query["since"] = str(start_of(since))
    if until:
        query["until"] = str(end_of(until))
    with Session(wallet=wallet, password_file=password_file, node_url=node, behalf=behalf) as session:
        _show(session, query, {"text/csv": csv, "text/html": html}, as_json=as_json)


def invoice(
    job: JobId,
    csv: CsvFile = None,
    html: HtmlFile = None,
    behalf: Behalf = None,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    node: NodeUrl = None,
    as_json: Json = False,
) -> None:
    """What one job cost its buyer, or brought its provider, payment by payment."""
    from ledger.market.identity import text
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, node_url=node, behalf=behalf) as session:
        query = {"job": text(session.job_id(job))}
        _show(session, query, {"text/csv": csv, "text/html": html}, as_json=as_json)


def _show(session: "Session", query: dict[str, str], files: dict[str, Path | None], *, as_json: bool) -> None:
    """Into each file that was asked for, and as the command's result."""
    from ledger.market.identity import text
    from node.cli.views.output import Output, write_file
    from node.cli.views.statement_table import render

    path = f"/v1/accounts/{text(session.account)}/statement"
    plain: dict[str, Any] = session.node.get(path, signed=True, **query)
    written: dict[str, str] = {}
    for kind, file in files.items():
        if file is not None:
            answer = session.node.send("GET", path, query=query, headers={"Accept": kind})
            write_file(file, answer.content)
            written[kind] = str(file)
    output = Output(as_json=as_json)
    output.result(plain | {"files": written}, render(plain))
    for kind, name in written.items():
        output.note(f"{kind}: {name}")
