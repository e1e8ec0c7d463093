"""The demo: a grid of one machine, four jobs bought on it, and everything that moved shown and recorded."""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from ledger.market.errors import MarketError
from ledger.market.identity import from_text, text
from node.cli.session import Session
from scripts.demonstration.digits import write_digits
from scripts.demonstration.grid import PROVIDERS, DidNotStart, Grid, stop_kept
from scripts.demonstration.purchases import Shop, WentWrong
from scripts.demonstration.record import Record
from scripts.demonstration.screen import Screen

DEPOSIT = "100"


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
    shutil.rmtree(folder, ignore_errors=True)
    grid = Grid(folder=folder)
    (grid.folder / "inputs").mkdir(parents=True)
    kept = False
    try:
        record = _run(grid, screen, arguments.nonce)
        if arguments.json:
            target = Path(arguments.called_from) / arguments.json
            target.write_text(json.dumps(record.to_plain(), indent=2) + "\n")
            screen.say(f"everything is recorded in {target}")
        kept = bool(arguments.keep)
        if kept:
            grid.remember()
            _show_kept(grid, record, screen)
    except (WentWrong, DidNotStart, MarketError) as failure:
        screen.console.print(f"[red]The demo failed:[/red] {failure}", markup=True)
        return 1
    finally:
        if not kept:
            grid.stop()
    if not kept:
        screen.say("the grid is stopped; scripts/demo --keep leaves it running")
    screen.say(f"done in {time.monotonic() - started:.0f} s")
    return 0


def _run(grid: Grid, screen: Screen, nonce: str) -> Record:
    screen.title("A grid on this machine")
    with screen.progress("chain and node", 5) as bar:
        grid.start_node()
        bar.done("providers")
        for which in PROVIDERS:
            grid.start_provider(which)
            bar.done("wallet")
        write_digits(grid.folder / "inputs")
        shutil.copy(Path(__file__).parent / "classify.py", grid.folder / "inputs")
        created = grid.bingwang("wallet", "create")
        grid.bingwang("wallet", "faucet")
        moved = grid.bingwang("wallet", "deposit", DEPOSIT)
        bar.done("offers")
        offers = grid.await_offers(len(PROVIDERS))
        bar.done("ready")
    names = {offer["offer"]["provider"]: offer["document"]["name"] for offer in offers}
    os.environ |= {key: grid.environment[key] for key in ("BINGWANG_HOME", "BINGWANG_PASSWORD")}
    with Session() as session:
        profile = session.profile
        screen.decimals = profile.decimals
        screen.say(f"chain {profile.chain_id} at {profile.rpc_url}, market {text(profile.market)}")
        screen.say(f"node {grid.node_url}, two providers registered their offers on chain:")
        screen.offers(offers)
        screen.say(f"buyer {created['address']} deposits {DEPOSIT}")
        screen.detail(f"{moved['transactions'][-1]}  Deposited")
        parties = {"buyer": session.address, "node": profile.node}
        parties |= {name: type(profile.node)(from_text(account, 20)) for account, name in names.items()}
        parties["market"] = profile.market
        record = Record(profile=profile, chain=session.chain, parties=parties)
        shop = Shop(
            buyer=session.buyer,
            chain=session.chain,
            screen=screen,
            record=record,
            names=names,
            folder=grid.folder,
        )
        _buy(shop, nonce)
    return record


def _buy(shop: Shop, nonce: str) -> None:
    record, screen = shop.record, shop.screen
    record.before = record.balances()
    screen.balances("Balances before", record.before)
    shop.digits(nonce)
    shop.elsewhere()
    shop.too_cheap()
    shop.cancelled()
    record.after = record.balances()
    screen.title("What moved")
    screen.balances("Balances after", record.after)


def _show_kept(grid: Grid, record: Record, screen: Screen) -> None:
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
