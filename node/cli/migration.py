"""One provider's move to another market as a conversation: each step is told before it is sent."""

from contextlib import closing
from pathlib import Path
from typing import Any

from ledger.chain.client import MarketClient
from ledger.market.errors import Unavailable
from ledger.market.identity import text
from node.buying.profile import Profile
from node.cli.failures import DONE
from node.cli.home import password
from node.cli.session import patience, wallet_key
from node.cli.views.job_view import moment
from node.cli.views.output import Output
from provider_agent.directory import open_key
from provider_agent.moving import Move, point_at
from provider_agent.offers.migration import AwaitLeases, AwaitUnlock, Step
from provider_agent.settings import read_settings


def move(
    directory: Path, to: Profile, wallet: str | None, password_file: Path | None, output: Output
) -> tuple[int, dict[str, Any]]:
    """Go as far as can be gone now; the exit code and what there is to show."""
    settings = read_settings(directory)
    key = (
        open_key(directory, lambda: password(password_file))
        if wallet is None
        else wallet_key(wallet, password_file)
    )
    done: list[str] = []

    def told(step: Step) -> None:
        done.append(_words(step))
        output.note(done[-1])

    old = MarketClient(settings.rpc, settings.market.address)
    new = MarketClient(to.rpc_url, to.market)
    with closing(old), closing(new):
        waiting = Move(
            old=old,
            new=new,
            key=key,
            first_block=settings.market.first_block,
            folder=directory,
            patience=patience(),
        ).run(told)
        stake = new.stake_of(key.address)
    market = {"chain_id": to.chain_id, "address": text(to.market), "first_block": to.first_block}
    plain = {"from": text(settings.market.address), "to": text(to.market), "steps": done, "stake": str(stake)}
    if waiting is not None:
        return Unavailable.exit_code, plain | {"waits_for": _words(waiting)}
    kept = point_at(directory, to.node_url, to.rpc_url, market)
    output.note("The settings name the new market; `bingwang provider run` registers the offers there.")
    return DONE, plain | {"kept": str(kept)}


def _words(step: Step) -> str:
    match step:
        case AwaitLeases(count=count):
            return f"{count} leases are still open at the old market"
        case AwaitUnlock(until=until):
            return f"the stake is held until {moment(until)} UTC"
        case _:
            name = type(step).__name__
            amount = getattr(step, "amount", None)
            return name if amount is None else f"{name} {amount}"
