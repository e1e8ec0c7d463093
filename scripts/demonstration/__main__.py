"""The demo: a grid of one machine, four jobs bought on it, and everything that moved shown and recorded."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from ledger.market.errors import MarketError
from scripts.demonstration.failures import DidNotStart, WentWrong
from scripts.demonstration.grid import Grid, remove, stop_kept
from scripts.demonstration.screen import Screen

if TYPE_CHECKING:
    from scripts.demonstration.record import Record


def main() -> int:
    """Run the demo; 0 where everything went as promised."""
    arguments = _arguments()
    folder = Path(arguments.folder).resolve()
    if arguments.stop:
        stopped = stop_kept(folder)
        print(f"stopped: {', '.join(stopped) or 'nothing was running'}")
        return 0
    started = time.monotonic() - arguments.already_seconds
    screen = Screen()
    stop_kept(folder)
    remove(folder)
    grid = Grid(folder=folder)
    (grid.folder / "inputs").mkdir(parents=True)
    kept = False
    try:
        grid.spawn_node()
        # The rest of the demo takes seconds to import: done while the node starts.
        from scripts.demonstration.tour import tour

        record = tour(grid, screen, arguments.nonce)
        if arguments.json:
            target = Path(arguments.called_from) / arguments.json
            target.write_text(json.dumps(record.to_plain(), indent=2) + "\n")
            screen.say(f"everything is recorded in {target}")
        grid.await_idle()
        kept = bool(arguments.keep)
        if kept:
            grid.remember()
            _show_kept(grid, record, screen)
    except (WentWrong, DidNotStart, MarketError) as failure:
        screen.console.print(f"[red]The demo failed:[/red] {escape(str(failure))}")
        return 1
    finally:
        if not kept:
            grid.stop()
    if not kept:
        screen.say("the grid is stopped; scripts/demo --keep leaves it running")
    screen.say(f"done in {time.monotonic() - started:.0f} s")
    return 0


def _show_kept(grid: Grid, record: "Record", screen: Screen) -> None:
    screen.title("The grid keeps running")
    screen.say(f"API and its documentation: {grid.node_url}/docs")
    screen.say(f"events of the contract:    {grid.node_url}/v1/events")
    screen.say(f"JSON-RPC of the chain:     {record.profile.rpc_url}")
    screen.say(f"as the buyer:  export BINGWANG_HOME={grid.home} BINGWANG_PASSWORD=demo")
    screen.say("               .venv/bin/bingwang jobs")
    screen.say("stop it with:  scripts/demo --stop")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the grid running at the end")
    parser.add_argument("--stop", action="store_true", help="end a grid that --keep left running")
    parser.add_argument("--json", metavar="FILE", help="write what a stranger needs to check it")
    parser.add_argument(
        "--nonce", metavar="TEXT", default="", help="comes back inside the first job's output"
    )
    parser.add_argument("--folder", default=".bingwang/demo", help="where the grid's files lie")
    parser.add_argument("--called-from", default=".", help=argparse.SUPPRESS)
    parser.add_argument("--already-seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
