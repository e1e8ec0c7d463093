"""Commands that look on while something happens: `logs`, `watch`, `events`."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import JobId, Json, PasswordFile, Wallet

if TYPE_CHECKING:
    from ledger.market.identity import Address
    from node.cli.session import Session

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")]


def register(app: typer.Typer) -> None:
    app.command()(logs)
    app.command()(watch)
    app.command()(events)


def logs(
    job: JobId,
    follow: Follow = False,
    offset: Annotated[int, typer.Option(min=0, help="Byte to begin at.")] = 0,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """What the job wrote; with --json as one document at the end."""
    import sys

    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import document

    collected = bytearray()
    with Session(wallet=wallet, password_file=password_file) as session:
        name = session.job_id(job)
        for piece in session.buyer.logs(name, follow=follow, offset=offset):
            if as_json:
                collected += piece.data
            else:
                sys.stdout.write(piece.data.decode("utf-8", "replace"))
                sys.stdout.flush()
    if as_json:
        log = collected.decode("utf-8", "replace")
        document({"job": text(name), "offset": offset, "bytes": len(collected), "log": log})


def watch(
    job: JobId,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> int:
    """Follow a job to its end and agree to its usage where this wallet is the lease's signer."""
    from node.cli.failures import DONE, JOB_FAILED
    from node.cli.purchase import attach
    from node.cli.session import Session
    from node.cli.views.job_view import figures
    from node.cli.views.output import Output, pairs

    output = Output(as_json=as_json)
    with Session(wallet=wallet, password_file=password_file) as session:
        result = attach(session, session.job_id(job), output)
        decimals = session.profile.decimals
    output.result(result, pairs(figures(result, decimals)))
    return DONE if result["state"] == "succeeded" else JOB_FAILED


def events(
    follow: Follow = False,
    after: Annotated[int, typer.Option(min=0, help="Number of the last event already seen.")] = 0,
    rpc: Annotated[str | None, typer.Option(help="Read the chain itself at this JSON-RPC URL.")] = None,
    market: Annotated[str | None, typer.Option(help="Market's address, with --rpc.")] = None,
    first_block: Annotated[int, typer.Option(min=0, help="Block to begin at, with --rpc.")] = 0,
    as_json: Json = False,
) -> None:
    """The market's events, from the node or straight from the chain; --follow --json is one a line."""
    from node.cli.session import Session
    from node.cli.views.event_view import Source, from_chain, from_node, show

    with Session() as session:
        source: Source = (
            from_node(session.reader, after, follow=follow)
            if rpc is None
            else from_chain(rpc, _market(session, market), first_block, follow=follow)
        )
        show(source, as_json=as_json, follow=follow)


def _market(session: "Session", given: str | None) -> "Address":
    from ledger.market.identity import address, from_text

    return session.profile.market if given is None else address(from_text(given, 20))
