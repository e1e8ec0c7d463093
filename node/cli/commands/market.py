"""Commands about the market: `search`, `providers`, `image push`, `audit`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli.options import EngineUrl, Json, PasswordFile, Wallet

image = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command()(search)
    app.command()(providers)
    app.command()(audit)


def search(
    live: Annotated[bool, typer.Option("--live", help="Only offers whose agent answers.")] = False,
    vendor: Annotated[str | None, typer.Option(help="Only this vendor, such as nvidia.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only this device model; several: any.")] = None,
    profile: Annotated[str | None, typer.Option(help="Only MIG instances such as 1g.10gb.")] = None,
    floor: Annotated[list[str] | None, typer.Option(help="Least figure of a precision: bf16=300T.")] = None,
    min_reputation: Annotated[str, typer.Option(help="Only providers from this on, 0 to 1.")] = "0",
    as_json: Json = False,
) -> None:
    """The offers on the market, with prices, place and free capacity."""
    from node.cli.reading.job_goods import parse_floor
    from node.cli.reading.quantities import parse_milli
    from node.cli.session import Session
    from node.cli.views.offers import COLUMNS, Wish, cells, offer_row
    from node.cli.views.output import Output, table

    wish = Wish(
        live=live,
        vendor=vendor or "",
        models=tuple(model or ()),
        profile=profile or "",
        floors=tuple(parse_floor(text) for text in floor or ()),
        min_reputation=parse_milli(min_reputation),
    )
    with Session() as session:
        rows = [offer_row(shown, session.profile.decimals) for shown in session.reader.offers()]
    chosen = [row for row in rows if wish.meets(row)]
    render = table(f"{len(chosen)} offers", COLUMNS, [cells(row) for row in chosen])
    Output(as_json=as_json).result({"offers": chosen}, render)


def providers(as_json: Json = False) -> None:
    """Who lends here: reputation from the market's own events, stake, and what it stands for."""
    from node.cli.session import Session
    from node.cli.views.output import Output, table
    from node.cli.views.providers import COLUMNS, cells

    with Session() as session:
        found = session.reader.providers()
        decimals = session.profile.decimals
    found.sort(key=lambda one: (-int(one["reputation"]["per_mille"]), str(one["provider"])))
    render = table(f"{len(found)} providers", COLUMNS, [cells(one, decimals) for one in found])
    Output(as_json=as_json).result({"providers": found}, render)


@image.command("push")
def push(
    source: Annotated[str, typer.Argument(help="Archive file, or an engine's image.", metavar="REF|ARCHIVE")],
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    engine: EngineUrl = None,
    as_json: Json = False,
) -> None:
    """Bring an image to the node; prints the line for the job file."""
    from node.buying.draft import ArchiveImage
    from node.buying.images import image_line, resolve
    from node.buying.transfers import upload
    from node.cli.reading.job_file import image_source
    from node.cli.session import Session
    from node.cli.views.output import Output

    output = Output(as_json=as_json)
    named = ArchiveImage(path=source) if Path(source).is_file() else image_source(source)
    with (
        Session(wallet=wallet, password_file=password_file, engine_url=engine) as session,
        output.progress() as progress,
    ):
        pushed, blobs = resolve(named, Path.cwd(), session.save_image, progress)
        for blob in blobs:
            upload(session.node, blob, progress)
    plain: dict[str, Any] = {
        "reference": pushed.reference,
        "config": pushed.config,
        "archive": pushed.archive,
        "archive_bytes": pushed.archive_bytes,
        "line": image_line(pushed),
    }
    output.result(plain, lambda out: out.print(plain["line"], markup=False, soft_wrap=True))


def audit(
    rpc: Annotated[str, typer.Option(help="Chain's JSON-RPC URL.")],
    market: Annotated[str, typer.Option(help="Market's address.")],
    first_block: Annotated[int, typer.Option(help="Block of the market's deployment.")] = 0,
    books: Annotated[
        str | None, typer.Option(help="Node's database, to compare with.", metavar="FILE|URL")
    ] = None,
    as_json: Json = False,
) -> int:
    """Rebuild every lease and balance from the chain's events and compare; exit code 5 if it differs."""
    from contextlib import closing

    from ledger.chain.audit import audit as read_chain
    from ledger.chain.client import MarketClient
    from ledger.market.errors import Broken
    from ledger.market.identity import Address, from_text
    from node.cli.views.audit_report import differences_plain, render, report_plain
    from node.cli.views.output import Output

    with closing(MarketClient(rpc, Address(from_text(market, 20)))) as client:
        report = read_chain(client, first_block)
        differences = differences_plain(books, client, report) if books else []
        decimals = client.decimals()
    plain = report_plain(report) | {"books": books, "differences": differences}
    sound = report.sound and not differences
    plain["sound"] = sound
    Output(as_json=as_json).result(plain, render(plain, decimals))
    return 0 if sound else Broken.exit_code
