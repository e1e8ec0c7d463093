"""The command `bingwang`: one thin edge, and the one place where failures become exit codes."""

import sys
from collections.abc import Sequence

import typer

from ledger.market.errors import MarketError
from node.cli import failures
from node.cli.commands import (
    books,
    chain_files,
    claims,
    contracts,
    explain,
    follow,
    grid,
    jobs,
    market,
    node_key,
    provider,
    replay,
    results,
    simulate,
    statements,
    submit,
    usage,
    wallet,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Bingwang: buy and lend compute on a market whose contracts hold the money.",
)
chain_files.register(grid.chain)
app.add_typer(grid.chain, name="chain", help="The embedded chain of a grid.")
grid.node.add_typer(node_key.app, name="key", help="The node's own keys.")
app.add_typer(grid.node, name="node", help="The node that matches bids with offers.")
app.add_typer(provider.app, name="provider", help="Lend this machine.")
app.add_typer(wallet.app, name="wallet", help="Keys and money.")
app.add_typer(contracts.app, name="market", help="A market's contracts.")
app.add_typer(books.app, name="books", help="A node's database.")
app.add_typer(claims.app, name="claim", help="Usage that a provider claims and nobody signed.")
app.add_typer(usage.app, name="usage", help="Metered usage, line by line, and its proof.")
app.add_typer(market.image, name="image", help="Container images.")
for commands in (grid, market, submit, jobs, follow, results, statements, replay, explain, simulate):
    commands.register(app)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; its exit code."""
    as_json = failures.wants_json(arguments)
    try:
        answer = typer.main.get_command(app).main(
            args=list(arguments), prog_name="bingwang", standalone_mode=False
        )
    except MarketError as error:
        return failures.show(error, as_json=as_json)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "bingwang"
        return failures.show_usage(error.format_message(), command, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return failures.INTERRUPTED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else failures.DONE
    except Exception as error:
        return failures.show(failures.unforeseen(error), as_json=as_json)
    return answer if isinstance(answer, int) else failures.DONE


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
