"""The command `replay`: clear an epoch again, on a host that trusts nothing but its own chain's RPC."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import Json

if TYPE_CHECKING:
    from ledger.market.identity import Address, Digest
    from node.replaying.sources import Files, Node


def register(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    epoch: Annotated[
        str,
        typer.Argument(help="Root of an epoch, or a transaction or block that logged one.", metavar="EPOCH"),
    ],
    rpc: Annotated[str, typer.Option(help="JSON-RPC URL of a chain that you trust.")],
    node: Annotated[str | None, typer.Option(help="Node that published the epoch.", metavar="URL")] = None,
    file: Annotated[
        Path | None, typer.Option(help="File or folder that --save made, instead of a node.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Folder for the epoch, to replay it without the node.", metavar="DIR")
    ] = None,
    market: Annotated[
        str | None,
        typer.Option(help="The market that counts for you; the bundle's by default.", metavar="0x…"),
    ] = None,
    first_block: Annotated[int, typer.Option(help="Block in which the market was deployed.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Compute an epoch's matches again from what the node published, and compare bit for bit."""
    from contextlib import closing

    from ledger.chain.client import MarketClient
    from ledger.market.errors import Rejected
    from node.cli.views.output import Output
    from node.cli.views.replay_view import agreed_plain, agreed_view
    from node.replaying.anchoring import meant
    from node.replaying.replay import replayed

    source = _source(node, file)
    address = _market(source, market, epoch)
    with closing(source), closing(MarketClient(rpc, address)) as client:
        root = meant(client, epoch)
        found = replayed(client, source, root, first_block)
        if save is not None:
            _save(save, root, found.raw)
    if market is not None and found.bundle.header.ground.market != address:
        raise Rejected("other-market", "The epoch is of another market.", "Name the market that you mean.")
    plain = agreed_plain(found)
    Output(as_json=as_json).result(plain, agreed_view(plain))


def _source(node: str | None, file: Path | None) -> "Node | Files":
    from ledger.market.errors import Rejected
    from node.replaying.sources import Files, Node

    if (node is None) == (file is None):
        raise Rejected(
            "no-bundle-named", "An epoch is read from one place.", "Give either --node URL or --file PATH."
        )
    return Node(node) if node is not None else Files(file or Path())


def _market(source: "Node | Files", named: str | None, epoch: str) -> "Address":
    """Where to look: what the person named, else what the bundle or the node says."""
    from ledger.market.errors import Rejected
    from ledger.market.identity import Address, from_text

    if named is not None:
        return Address(from_text(named, 20))
    found = source.market()
    if found is None:
        raise Rejected(
            "no-market-named", f"Which market {epoch[:80]} is of is not known.", "Name it with --market 0x…."
        )
    return found


def _save(folder: Path, root: "Digest", raw: bytes) -> None:
    from node.cli.views.output import write_file
    from node.replaying.sources import file_name

    write_file(folder / file_name(root), raw)
