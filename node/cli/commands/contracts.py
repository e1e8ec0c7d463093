"""Commands about a market's contracts: `market deploy | migrate | pause | unpause | renounce | decide`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Json, PasswordFile, RpcUrl, Wallet

if TYPE_CHECKING:
    from ledger.chain.deployment import Deployment
    from ledger.market.policy import Policy

app = typer.Typer(no_args_is_help=True)

Seconds = Annotated[str | None, typer.Option(help="Window, such as 60s or 24h; the public default without.")]
Shares = Annotated[int | None, typer.Option(help="Basis points (1/10,000); the public default without.")]


@app.command()
def deploy(
    rpc: Annotated[str, typer.Option(help="JSON-RPC URL of any EVM network.")],
    token: Annotated[
        str | None, typer.Option(help="ERC-20 that is paid in; without it a test token.")
    ] = None,
    guardian: Annotated[str | None, typer.Option(help="May pause for 7 days; the wallet without it.")] = None,
    arbiter: Annotated[
        str | None, typer.Option(help="Decides contested claims; the wallet without it.")
    ] = None,
    receipt_interval: Seconds = None,
    grace: Seconds = None,
    challenge_window: Seconds = None,
    arbitration_window: Seconds = None,
    unstake_delay: Seconds = None,
    fee: Shares = None,
    stake: Shares = None,
    no_show: Shares = None,
    verify: Annotated[
        Path | None, typer.Option(help="Write what Sourcify, Blockscout and Etherscan take into this folder.")
    ] = None,
    journal: Annotated[
        Path, typer.Option(help="Written before each transaction; called again, it goes on from there.")
    ] = Path("deployment.json"),
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Put a new market, with its jury of replicas, on a network; the wallet pays the gas."""
    from ledger.chain.deployment import DeploymentPlan
    from ledger.chain.deployment import deploy as create
    from ledger.chain.rpc import TIMEOUT_SECONDS, Rpc
    from ledger.market.identity import Address, from_text
    from node.cli.session import patience, wallet_key
    from node.cli.views.output import Output, pairs

    windows = {
        "receipt_interval": receipt_interval,
        "grace": grace,
        "challenge_window": challenge_window,
        "arbitration_window": arbitration_window,
        "unstake_delay": unstake_delay,
    }
    policy = _policy(windows, {"fee_bps": fee, "stake_bps": stake, "no_show_bps": no_show})
    key = wallet_key(wallet, password_file)

    def account(given: str | None) -> Address:
        return key.address if given is None else Address(from_text(given, 20))

    plan = DeploymentPlan(
        guardian=account(guardian),
        arbiter=account(arbiter),
        policy=policy,
        token=None if token is None else Address(from_text(token, 20)),
    )
    door = Rpc(rpc, timeout=TIMEOUT_SECONDS)
    try:
        deployment = create(door, key, plan, journal, patience())
    finally:
        door.close()
    plain = _deployed(deployment, policy) | _written(deployment, verify)
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command()
def migrate(
    node: Annotated[str, typer.Argument(help="Address of a node of the new market.", metavar="URL")],
    directory: Annotated[Path, typer.Option("--dir", help="The provider's folder.")] = Path("provider"),
    wallet: Annotated[
        str | None, typer.Option("--wallet", help="The owner's wallet, where the folder's key is a delegate.")
    ] = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> int:
    """Move a provider's offers and stake to another market. What must be waited for is said (exit code 4):
    call it again then; the agent must not run meanwhile."""
    import secrets
    import time
    from contextlib import closing

    from node.buying.client import NodeClient
    from node.buying.profile import profile_from_market
    from node.cli.migration import move
    from node.cli.views.output import Output, pairs

    with closing(NodeClient(node, time.time, secrets.randbits)) as client:
        profile = profile_from_market(client.market(), node, None)
    output = Output(as_json=as_json)
    code, plain = move(directory, profile, wallet, password_file, output)
    output.result(plain, pairs(plain))
    return code


@app.command()
def pause(
    wallet: Wallet = "default", password_file: PasswordFile = None, rpc: RpcUrl = None, as_json: Json = False
) -> None:
    """The guardian stops new deposits, offers and matches for 7 days; every exit stays open."""
    _send("pause", wallet, password_file, rpc, as_json=as_json)


@app.command()
def unpause(
    wallet: Wallet = "default", password_file: PasswordFile = None, rpc: RpcUrl = None, as_json: Json = False
) -> None:
    """The guardian ends a pause before its time."""
    _send("unpause", wallet, password_file, rpc, as_json=as_json)


@app.command()
def renounce(
    wallet: Wallet = "default", password_file: PasswordFile = None, rpc: RpcUrl = None, as_json: Json = False
) -> None:
    """The guardian gives up its right for good: nobody can pause the market any more."""
    _send("renounce_guardian", wallet, password_file, rpc, as_json=as_json)


def _send(name: str, wallet: str, password_file: Path | None, rpc: str | None, *, as_json: bool) -> None:
    from ledger.chain import calls
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs

    call = {"pause": calls.pause, "unpause": calls.unpause, "renounce_guardian": calls.renounce_guardian}[
        name
    ]
    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        sent = session.send(call(session.profile.market))
        plain = {"transaction": sent, "paused_until": session.chain.paused_until()}
    Output(as_json=as_json).result(plain, pairs(plain))


def _policy(windows: dict[str, str | None], shares: dict[str, int | None]) -> "Policy":
    from dataclasses import replace

    from ledger.market.policy import PUBLIC
    from node.cli.reading.quantities import parse_time

    changes: dict[str, Any] = {
        name: parse_time(value) for name, value in windows.items() if value is not None
    }
    changes |= {name: value for name, value in shares.items() if value is not None}
    return replace(PUBLIC, **changes)


def _deployed(deployment: "Deployment", policy: "Policy") -> dict[str, Any]:
    from ledger.market.identity import text
    from ledger.market.wire import policy_to_plain

    return {
        "chain_id": deployment.chain_id,
        "market": text(deployment.market),
        "jury": text(deployment.jury),
        "token": text(deployment.token),
        "first_block": deployment.block,
        "transactions": [text(created.transaction) for created in deployment.created],
        "policy": policy_to_plain(policy),
    }


def _written(deployment: "Deployment", folder: Path | None) -> dict[str, Any]:
    from ledger.chain.verification import verification_bundle

    if folder is None:
        return {}
    files = verification_bundle(deployment)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return {"verification": str(folder.resolve()), "files": len(files)}
