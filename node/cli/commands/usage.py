"""Commands about a job's metered usage: `usage lines | prove | verify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import JobId, Json, Wallet

if TYPE_CHECKING:
    from ledger.market.identity import LeaseId
    from ledger.market.usage_plain import SettledLine
    from node.cli.session import Session

app = typer.Typer(no_args_is_help=True)
Lease = Annotated[str | None, typer.Option(help="Lease id, where the job had several.", metavar="0x…")]
_PAGE = 1_000


@app.command()
def lines(job: JobId, lease: Lease = None, wallet: Wallet = "default", as_json: Json = False) -> None:
    """Every usage line of a job's lease, as the provider metered it, with the root that each gave."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import Output
    from node.cli.views.usage_view import lines_table

    with Session(wallet=wallet) as session:
        name = text(_lease_of(session, job, lease))
        found: list[dict[str, Any]] = []
        while page := session.reader.usage_lines(name, len(found), _PAGE):
            found += page
    Output(as_json=as_json).result({"lease": name, "lines": found}, lines_table(name, found))


@app.command()
def prove(
    job: JobId,
    line: Annotated[int, typer.Option(min=0, help="Number of the line, counted from 0.")],
    lease: Lease = None,
    out: Annotated[Path | None, typer.Option(help="File for the proof, instead of stdout.")] = None,
    wallet: Wallet = "default",
    as_json: Json = False,
) -> None:
    """A file that shows a stranger that a line is among those that the chain paid for."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.output import Output, document, pairs, write_file

    with Session(wallet=wallet) as session:
        proof = session.reader.usage_proof(text(_lease_of(session, job, lease)), line)
    if out is None:
        document(proof)
        return
    write_file(out, f"{json.dumps(proof, indent=2)}\n".encode())
    plain = {"file": str(out), "lease": proof["lease"], "line": line}
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A proof that usage prove wrote.", metavar="FILE")],
    rpc: Annotated[str, typer.Option(help="JSON-RPC URL of a chain that you trust.")],
    market: Annotated[
        str | None, typer.Option(help="The market that counts for you; any by default.", metavar="0x…")
    ] = None,
    as_json: Json = False,
) -> None:
    """Whether a proof holds: asks the chain alone, and needs neither a node nor a wallet."""
    from contextlib import closing

    from ledger.chain.client import MarketClient
    from ledger.chain.usage_proofs import settlement_of
    from node.cli.views.output import Output, pairs
    from node.cli.views.usage_view import verified_plain

    settled = _read(file)
    _check_market(settled, market)
    with closing(MarketClient(rpc, settled.market)) as client:
        found = settlement_of(client, settled)
    plain = verified_plain(settled, found.event, found.block)
    Output(as_json=as_json).result(plain, pairs(plain))


def _lease_of(session: "Session", job: str, lease: str | None) -> "LeaseId":
    from ledger.market.errors import Rejected
    from ledger.market.identity import LeaseId, from_text, text

    shown = session.reader.job(text(session.job_id(job)))
    names = [str(one["lease"]) for one in shown["leases"]]
    wanted = shown["lease"] if lease is None else lease.lower()
    if wanted is None or wanted not in names:
        raise Rejected(
            "no-such-lease",
            f"The job has no lease {wanted}." if lease else "The job has no lease yet.",
            "Look at the job's receipt for its leases.",
        )
    return LeaseId(from_text(wanted, 32))


def _read(file: Path) -> "SettledLine":
    from ledger.market.errors import Rejected
    from ledger.market.usage_plain import settled_line_from_plain

    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise Rejected(
            "proof-unreadable",
            f"{file} is no file with a JSON document.",
            "Give a file that usage prove wrote.",
        ) from exc
    return settled_line_from_plain(plain)


def _check_market(settled: "SettledLine", wanted: str | None) -> None:
    from ledger.market.errors import Rejected
    from ledger.market.identity import from_text, text

    if wanted is not None and from_text(wanted, 20) != settled.market:
        raise Rejected(
            "other-market",
            f"The proof is of the market {text(settled.market)}.",
            "Ask for a proof of the market that you mean.",
        )
