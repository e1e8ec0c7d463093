"""What the demo does on its grid: offers, wallet, four purchases, and what moved."""

import os
import shutil
from pathlib import Path

from ledger.market.identity import Address, from_text, text
from node.cli.session import Session
from scripts.demonstration.digits import write_digits
from scripts.demonstration.grid import PROVIDERS, Grid
from scripts.demonstration.purchases import Shop
from scripts.demonstration.record import Record
from scripts.demonstration.screen import Screen

DEPOSIT = "100"


def tour(grid: Grid, screen: Screen, nonce: str) -> Record:
    """Everything from a node that is starting to a record of what was bought; `WentWrong` otherwise."""
    screen.title("A grid on this machine")
    with screen.progress("chain and node", 5) as bar:
        write_digits(grid.folder / "inputs")
        shutil.copy(Path(__file__).parent / "classify.py", grid.folder / "inputs")
        grid.await_node()
        bar.done("providers")
        for which in PROVIDERS:
            grid.start_provider(which)
            bar.done("wallet")
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
        parties |= {name: Address(from_text(account, 20)) for account, name in names.items()}
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
