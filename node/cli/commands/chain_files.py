"""Commands on an embedded chain's files: `chain backup`, `restore`, `verify` and `prune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.commands.grid import Directory
from node.cli.options import Json

if TYPE_CHECKING:
    from ledger.chain.embedded.verification import Verified
    from node.cli.views.output import Output

_AT_ONCE = 64
"""blocks whose replaced state is dropped in one transaction"""


def register(chain: typer.Typer) -> None:
    chain.command("backup")(backup_chain)
    chain.command("restore")(restore_chain)
    chain.command("verify")(verify_chain)
    chain.command("prune")(prune_chain)


def backup_chain(
    to: Annotated[Path, typer.Option("--to", help="New file; the faucet's key goes beside it, to FILE.key.")],
    directory: Directory = Path("chain"),
    as_json: Json = False,
) -> None:
    """Copy a chain, running or not, into one file."""
    from ledger.chain.embedded.backup import backup
    from node.cli.views.output import Output, pairs

    output = Output(as_json=as_json)
    with output.progress() as progress:
        done = backup(directory, to, progress)
    plain = {
        "file": str(to.resolve()),
        "bytes": done.size,
        "head": done.head,
        "head_hash": f"0x{done.head_hash.hex()}",
    }
    output.result(plain, pairs(plain))


def restore_chain(
    file: Annotated[Path, typer.Argument(help="A backup, its FILE.key beside it.", metavar="FILE")],
    directory: Directory = Path("chain"),
    as_json: Json = False,
) -> None:
    """Make a chain from a backup, after every block and state in it was checked."""
    from ledger.chain.embedded.backup import restore
    from node.cli.views.output import Output

    output = Output(as_json=as_json)
    with output.progress(counted=True) as progress:
        verified = restore(file, directory, progress)
    _show(output, directory, verified)


def verify_chain(directory: Directory = Path("chain"), as_json: Json = False) -> None:
    """Check a stopped chain: file, headers, transactions, receipts, logs and kept states."""
    import time
    from contextlib import closing

    from ledger.chain.embedded.grid import open_chain
    from ledger.chain.embedded.verification import verify
    from node.cli.views.output import Output

    output = Output(as_json=as_json)
    with closing(open_chain(directory, time.time)) as chain, output.progress(counted=True) as progress:
        verified = verify(chain.store, chain.genesis, progress)
    _show(output, directory, verified)


def prune_chain(
    directory: Directory = Path("chain"),
    keep_states: Annotated[
        int, typer.Option(min=3, help="Blocks behind the head whose state is kept.")
    ] = 128,
    as_json: Json = False,
) -> None:
    """Drop a stopped chain's old states at once, and give the room back to the disk."""
    import time
    from contextlib import closing

    from ledger.chain.embedded.grid import open_chain
    from node.cli.views.output import Output, pairs

    output = Output(as_json=as_json)
    file = directory / "chain.sqlite3"
    before = file.stat().st_size if file.exists() else 0
    with closing(open_chain(directory, time.time)) as chain, output.progress(counted=True) as progress:
        oldest = max(0, chain.head().number - keep_states)
        first = left = max(1, oldest - chain.store.oldest_state())
        while left:
            left = chain.store.prune(oldest, _AT_ONCE)
            progress("blocks", first - left, first)
        chain.store.compact()
        oldest = chain.store.oldest_state()
    plain = {
        "directory": str(directory.resolve()),
        "oldest_state": oldest,
        "bytes_before": before,
        "bytes": file.stat().st_size,
    }
    output.result(plain, pairs(plain))


def _show(output: "Output", directory: Path, verified: "Verified") -> None:
    from node.cli.views.output import pairs

    plain = {
        "directory": str(directory.resolve()),
        "head": verified.head,
        "head_hash": f"0x{verified.head_hash.hex()}",
        "transactions": verified.transactions,
        "logs": verified.logs,
        "state_nodes": verified.nodes,
        "oldest_state": verified.oldest_state,
    }
    output.result(plain, pairs(plain))
