"""Commands about jobs that were bought: `jobs`, `status`, `cancel`."""

import typer

from node.cli.options import JobId, Json, PasswordFile, RpcUrl, Wallet


def register(app: typer.Typer) -> None:
    app.command("jobs")(list_jobs)
    app.command()(status)
    app.command()(cancel)


def list_jobs(wallet: Wallet = "default", as_json: Json = False) -> None:
    """The wallet's jobs, the newest first."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.job_view import COLUMNS, cells
    from node.cli.views.output import Output, table

    with Session(wallet=wallet) as session:
        found = session.reader.jobs(text(session.address))
        decimals = session.profile.decimals
    found.sort(key=lambda job: int(job["accepted_at"]), reverse=True)
    render = table(f"{len(found)} jobs", COLUMNS, [cells(job, decimals) for job in found])
    Output(as_json=as_json).result({"jobs": found}, render)


def status(job: JobId, wallet: Wallet = "default", as_json: Json = False) -> None:
    """Where a job stands."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.job_view import figures
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet) as session:
        found = session.reader.job(text(session.job_id(job)))
        decimals = session.profile.decimals
    Output(as_json=as_json).result(found, pairs(figures(found, decimals)))


def cancel(
    job: JobId,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """End a job: a resting bid is withdrawn, an open lease terminated by your own transaction."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        name = session.job_id(job)
        transaction = session.buyer.cancel(name)
        plain = {
            "job": text(name),
            "how": "withdrawn" if transaction is None else "terminated",
            "transaction": None if transaction is None else text(transaction),
        }
    Output(as_json=as_json).result(plain, pairs(plain))
