"""`bingwang explain`: why a job finds nothing on the market, and what would change that; it signs nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Json, Wallet

if TYPE_CHECKING:
    from ledger.market.identity import Address
    from node.buying.draft import JobDraft
    from node.cli.session import Session

_FILES = (".yaml", ".yml", ".json")


def register(app: typer.Typer) -> None:
    app.command()(explain)


def explain(
    target: Annotated[str, typer.Argument(help="A job file, or a job that waits.", metavar="JOB|JOB.YAML")],
    wallet: Wallet = "default",
    as_json: Json = False,
) -> None:
    """Which offers could serve a job, what excludes the others, and the cheapest change that would match."""
    from node.cli.purchase import read_source
    from node.cli.reading.job_file import parse_job_file
    from node.cli.session import Session
    from node.cli.views.explanations import render_ways
    from node.cli.views.output import Output

    with Session(wallet=wallet) as session:
        decimals = session.profile.decimals
        if target.endswith(_FILES) or Path(target).is_file():
            draft = parse_job_file(read_source(Path(target)), decimals, target)
            ways = _asked(session, draft)
        else:
            told = session.reader.get(f"/v1/jobs/0x{session.job_id(target).hex()}/explanation")
            ways = [told, *told.pop("alternatives", [])]
    plain = ways[0] | ({"alternatives": ways[1:]} if len(ways) > 1 else {})
    Output(as_json=as_json).result(plain, render_ways(ways, decimals))


def _asked(session: "Session", draft: "JobDraft") -> list[dict[str, Any]]:
    """What the node says of each form of the job; no image is needed for that, nor a password."""
    import time

    from ledger.chain.documents import document_hash
    from ledger.market.wire import bid_to_plain
    from node.buying.bidding import Parties, bid_for
    from node.buying.draft import NO_IMAGE

    node = session.profile.node
    parties = Parties(buyer=_buyer(session), signer=node, matcher=node, epoch=0)
    ways = []
    for form in draft.forms:
        job = form.job(NO_IMAGE, form.stored_inputs)
        bid = bid_for(job, document_hash(job.to_plain()), parties, 0, int(time.time()), form.wait)
        told = session.reader.estimate(bid_to_plain(bid), job.to_plain())
        ways.append(told | {"limit_rate": str(bid.limit_rate)})
    return ways


def _buyer(session: "Session") -> "Address":
    """The wallet's account; nobody's where there is no wallet yet."""
    from ledger.market.errors import Rejected
    from ledger.market.identity import NOBODY

    try:
        return session.account
    except Rejected:
        return NOBODY
