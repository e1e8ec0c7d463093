"""Commands about a node's database: `books rebuild`."""

from typing import Annotated, Any

import typer

from node.cli.options import Json

app = typer.Typer(no_args_is_help=True)


@app.callback()
def books() -> None:
    """So that `rebuild` is a command of its own."""


@app.command("rebuild")
def rebuild(
    rpc: Annotated[str, typer.Option(help="Chain's JSON-RPC URL.")],
    market: Annotated[str, typer.Option(help="Market's address.")],
    books: Annotated[str, typer.Option(help="New database to make.", metavar="FILE|URL")],
    first_block: Annotated[int, typer.Option(help="Block of the market's deployment.", min=0)] = 0,
    as_json: Json = False,
) -> int:
    """Make a market's books anew from the chain's events and compare; exit code 5 if they differ."""
    from contextlib import closing
    from dataclasses import asdict
    from functools import partial

    from ledger.books.books import open_books
    from ledger.chain.client import MarketClient
    from ledger.market.errors import Broken
    from ledger.market.identity import Address, from_text, text
    from node.cli.views.output import Output, pairs
    from node.rebuilding import rebuild as rebuild_books

    output = Output(as_json=as_json)
    with (
        closing(MarketClient(rpc, Address(from_text(market, 20)))) as client,
        output.progress(counted=True) as progress,
    ):
        client.domain()
        with open_books(books) as opened:
            found = rebuild_books(opened, client, first_block, partial(progress, "blocks"))
    plain: dict[str, Any] = {
        "books": books,
        "block": found.block.number,
        "block_hash": text(found.block.hash),
        "events": found.events,
        "transfers": found.transfers,
        "accounts": found.accounts,
        "leases": found.leases,
        "differences": [asdict(one) for one in found.differences],
    }
    shown = plain | {"differences": [" ".join(one.values()) for one in plain["differences"]]}
    output.result(plain, pairs(shown))
    return Broken.exit_code if found.differences else 0
