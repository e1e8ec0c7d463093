"""Commands about jobs that were bought: `jobs`, `status`, `cancel`, `extend`, `resize`."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import Behalf, JobId, Json, PasswordFile, RpcUrl, Wallet

if TYPE_CHECKING:
    from node.buying.continuing import Change
    from node.cli.session import Session


def register(app: typer.Typer) -> None:
    app.command("jobs")(list_jobs)
    app.command()(status)
    app.command()(cancel)
    app.command()(extend)
    app.command()(resize)


def list_jobs(wallet: Wallet = "default", behalf: Behalf = None, as_json: Json = False) -> None:
    """The wallet's jobs, the newest first."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.job_view import COLUMNS, cells
    from node.cli.views.output import Output, table

    with Session(wallet=wallet, behalf=behalf) as session:
        found = session.reader.jobs(text(session.account))
        decimals = session.profile.decimals
    found.sort(key=lambda job: int(job["accepted_at"]), reverse=True)
    render = table(f"{len(found)} jobs", COLUMNS, [cells(job, decimals) for job in found])
    Output(as_json=as_json).result({"jobs": found}, render)


def status(job: JobId, wallet: Wallet = "default", behalf: Behalf = None, as_json: Json = False) -> None:
    """Where a job stands."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.job_view import figures
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet, behalf=behalf) as session:
        found = session.reader.job(text(session.job_id(job)))
        decimals = session.profile.decimals
    Output(as_json=as_json).result(found, pairs(figures(found, decimals)))


def cancel(
    job: JobId,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    behalf: Behalf = None,
    as_json: Json = False,
) -> None:
    """End a job: a resting bid is withdrawn, open leases are terminated by your own transactions (by the
    node's signature where the wallet has no coin for gas)."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc, behalf=behalf) as session:
        name = session.job_id(job)
        cancelled = session.buyer.cancel(name)
    plain = {
        "job": text(name),
        "how": cancelled.how,
        "transactions": [text(one) for one in cancelled.transactions],
    }
    Output(as_json=as_json).result(plain, pairs(plain))


def extend(
    job: JobId,
    by: Annotated[str, typer.Option(help="Time beyond what is left, such as 30m.")],
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    behalf: Behalf = None,
    as_json: Json = False,
) -> None:
    """Let a running job go on for longer: a new lease follows the open one, its container runs on."""
    from node.buying.continuing import Change
    from node.cli.reading.quantities import parse_time
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, behalf=behalf) as session:
        _continue(session, job, Change(by=parse_time(by)), as_json=as_json)


def resize(
    job: JobId,
    cpus: Annotated[str | None, typer.Option(help="Cores from now on, such as 2 or 500m.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory from now on, such as 2GiB.")] = None,
    by: Annotated[str, typer.Option(help="Time beyond what is left, such as 30m.")] = "0s",
    max_price: Annotated[str | None, typer.Option(help="New highest price, such as 0.50/h.")] = None,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    behalf: Behalf = None,
    as_json: Json = False,
) -> None:
    """Give a running job more or fewer cores, or memory, without stopping it."""
    from node.buying.continuing import Change
    from node.cli.reading.amounts import parse_price
    from node.cli.reading.quantities import parse_milli, parse_size, parse_time
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, behalf=behalf) as session:
        change = Change(
            by=parse_time(by),
            cpu=None if cpus is None else parse_milli(cpus),
            memory=None if memory is None else parse_size(memory),
            max_rate=None if max_price is None else parse_price(max_price, session.profile.decimals),
        )
        _continue(session, job, change, as_json=as_json)


def _continue(session: "Session", job: str, change: "Change", *, as_json: bool) -> None:
    from ledger.market.identity import text
    from node.buying.continuing import continue_job
    from node.cli.views.job_view import figures
    from node.cli.views.output import Output, pairs

    shown = session.node.job(text(session.job_id(job)))
    submitted = continue_job(session.buyer, shown, change)
    render = pairs(figures(submitted.answer, session.profile.decimals))
    Output(as_json=as_json).result(submitted.answer, render)
