"""Commands about what a job left behind: `receipt` (money) and `fetch` (files)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Folder, JobId, Json, PasswordFile, Wallet

if TYPE_CHECKING:
    from ledger.market.identity import BidId
    from node.cli.session import Session
    from node.cli.views.output import Output


def register(app: typer.Typer) -> None:
    app.command()(receipt)
    app.command()(fetch)


def receipt(
    job: JobId,
    outputs: Annotated[Path | None, typer.Option(help="Fetch the output files into this folder.")] = None,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """What a job cost: time, price, paid and refunded, transactions; with --outputs its files too."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import Output
    from node.cli.views.receipt_view import receipt_plain, render

    output = Output(as_json=as_json)
    with Session(wallet=wallet, password_file=password_file) as session:
        name = session.job_id(job)
        plain = receipt_plain(session.reader.job(text(name)), session.profile.decimals)
        if outputs is not None:
            plain["outputs"] = _fetched(session, name, outputs, output)
    output.result(plain, render(plain))


def fetch(
    job: JobId,
    folder: Folder,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Fetch a job's output files; each is checked against its sha256."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import Output, table

    output = Output(as_json=as_json)
    with Session(wallet=wallet, password_file=password_file) as session:
        name = session.job_id(job)
        files = _fetched(session, name, folder, output)
    rows = [(one["file"], one["size"], one["sha256"]) for one in files]
    render = table(f"{len(files)} files", ("file", "bytes", "sha256"), rows)
    output.result({"job": text(name), "outputs": files}, render)


def _fetched(session: "Session", name: "BidId", folder: Path, output: "Output") -> list[dict[str, Any]]:
    with output.progress() as progress:
        files = session.buyer.fetch_outputs(name, folder, progress)
    return [
        {"path": one.path, "sha256": one.sha256, "size": one.size, "file": str(path)} for one, path in files
    ]
