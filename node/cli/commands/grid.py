"""Commands that run or join a grid: `chain run`, `node run`, `join`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import Json, RpcUrl, SignerAccount, SignerUrl

if TYPE_CHECKING:
    from ledger.chain.embedded.genesis import Genesis
    from ledger.chain.embedded.grid import GridPolicy

chain = typer.Typer(no_args_is_help=True)
node = typer.Typer(no_args_is_help=True)

Directory = Annotated[Path, typer.Option("--dir", help="Folder of its files; made if missing.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
SealTime = Annotated[float, typer.Option(help="Longest wait of a transaction for its block, seconds.")]
OnDemand = Annotated[bool, typer.Option("--on-demand", help="Blocks only when asked for (evm_mine).")]
_COIN_DECIMALS = 18


def register(app: typer.Typer) -> None:
    app.command()(join)


@chain.command("run")
def run_chain(
    directory: Directory = Path("chain"),
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8545,
    seal_time: SealTime = 0.2,
    seal_count: Annotated[int, typer.Option(help="Transactions that fill a block at once.")] = 128,
    on_demand: OnDemand = False,
    confirm_time: Annotated[float, typer.Option(help="Pause before an empty block, seconds.")] = 1.0,
    receipt_interval: Annotated[int, typer.Option(help="New grid: seconds between receipts.")] = 10,
    grace: Annotated[int, typer.Option(help="New grid: seconds a lease waits for its last receipt.")] = 60,
    challenge_window: Annotated[int, typer.Option(help="New grid: seconds to contest a claim.")] = 60,
    arbitration_window: Annotated[int, typer.Option(help="New grid: seconds to decide a claim.")] = 300,
    unstake_delay: Annotated[
        int | None,
        typer.Option(help="New grid: seconds that stake stays; a minute beyond the longest window."),
    ] = None,
    fee: Annotated[int, typer.Option(help="New grid: basis points of each payout to the node.")] = 100,
    stake: Annotated[int, typer.Option(help="New grid: basis points of an escrow locked as stake.")] = 1_000,
    faucet_limit: Annotated[int, typer.Option(help="Faucet grants an hour to one account.")] = 3,
    keep_states: Annotated[int, typer.Option(help="Blocks behind the head whose state is kept.")] = 128,
    archive: Annotated[bool, typer.Option("--archive", help="Keep the state of every block.")] = False,
    allow_reorg: Annotated[bool, typer.Option("--allow-reorg", hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Run the embedded chain; a new grid is founded where the folder holds none."""
    import time

    from ledger.chain.embedded import genesis, server
    from ledger.chain.embedded.faucet import FaucetPolicy
    from ledger.chain.embedded.grid import GridPolicy
    from ledger.chain.embedded.sealing import SealPolicy
    from node.cli.daemon import to_stderr

    to_stderr()
    rules = GridPolicy(
        receipt_interval=receipt_interval,
        grace=grace,
        challenge_window=challenge_window,
        arbitration_window=arbitration_window,
        unstake_delay=unstake_delay,
        fee_bps=fee,
        stake_bps=stake,
    )
    identity = genesis.read(directory) if genesis.is_initialised(directory) else found(directory, rules)
    seal = SealPolicy(seconds=seal_time, count=seal_count, on_demand=on_demand, confirm_seconds=confirm_time)
    policy = server.ServePolicy(
        seal=seal,
        faucet=FaucetPolicy(per_address=faucet_limit),
        keep_states=None if archive else keep_states,
        allow_reorg=allow_reorg,
    )

    def ready(url: str) -> None:
        _announce(identity, directory, url, as_json=as_json)

    server.run(directory, clock=time.time, host=host, port=port, policy=policy, ready=ready)


def found(directory: Path, rules: "GridPolicy") -> "Genesis":
    """A new grid with its own chain id, token, jury and market."""
    import secrets
    import time

    from contracts.loader import artifact
    from ledger.chain.embedded.grid import deploy_grid, initialise

    return initialise(
        directory,
        chain_id=1 + secrets.randbelow((1 << 52) - 1),
        at=int(time.time()),
        faucet_key=secrets.token_bytes(32),
        populate=lambda chain: deploy_grid(chain, artifact, rules),
    )


def _announce(identity: "Genesis", directory: Path, url: str, *, as_json: bool) -> None:
    from ledger.market.identity import text
    from node.cli.views.output import Output, pairs

    plain = {"chain_id": identity.chain_id, "directory": str(directory.resolve()), "url": url}
    plain |= {role: text(address) for role, address in identity.contracts.items()}
    Output(as_json=as_json).result(plain, pairs(plain))


@node.command("run")
def run_node(
    directory: Directory = Path("node"),
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8440,
    books: Annotated[str, typer.Option(help="Database of the books; by default a file in --dir.")] = "",
    advertise: Annotated[str, typer.Option(help="Where other processes of the node reach this one.")] = "",
    rpc: Annotated[str | None, typer.Option(help="JSON-RPC of a chain; without it one is embedded.")] = None,
    market: Annotated[str | None, typer.Option(help="Market's address, with --rpc.")] = None,
    confirmations: Annotated[
        int, typer.Option(min=1, help="Depth at which an event counts; 1 is the head.")
    ] = 1,
    first_block: Annotated[int, typer.Option(help="Block of the market's deployment.")] = 0,
    gas_budget: Annotated[
        str | None, typer.Option(help="Coin that its transactions may cost a day (UTC), for example 0.05.")
    ] = None,
    epoch_days: Annotated[
        int, typer.Option(min=1, help="Days for which the pages of cleared epochs are kept.")
    ] = 30,
    epoch_gib: Annotated[
        int, typer.Option(min=1, help="GiB that the pages of cleared epochs may take together.")
    ] = 16,
    seal_time: SealTime = 0.2,
    on_demand: OnDemand = False,
    signer: SignerUrl = None,
    signer_account: SignerAccount = None,
    heartbeat_timeout: Annotated[int, typer.Option(help="Seconds until a silent agent is passed over.")] = 10,
    lost_after: Annotated[int, typer.Option(help="Seconds until a silent agent's leases end.")] = 30,
    as_json: Json = False,
) -> None:
    """Run a node: its books, its API, and an embedded chain unless --rpc names one."""
    from ledger.market.errors import Rejected
    from node.cli.daemon import ended_by_sigterm, to_stderr
    from node.cli.home import external
    from node.cli.reading.amounts import parse_amount
    from node.cli.views.output import Output, pairs
    from node.settings import NodeSettings
    from node.wiring import run_node as serve

    to_stderr()
    if (rpc is None) != (market is None):
        raise Rejected(
            "rpc-without-market", "--rpc and --market belong together.", "Give both of them, or neither."
        )
    settings = NodeSettings(
        directory=directory,
        host=host,
        port=port,
        books=books,
        advertised=advertise,
        rpc_url=rpc,
        market=market,
        confirmations=confirmations,
        first_block=first_block,
        gas_budget=None if gas_budget is None else parse_amount(gas_budget, _COIN_DECIMALS),
        epoch_days=epoch_days,
        epoch_limit=epoch_gib << 30,
        signer=external(signer, signer_account),
        seal_seconds=seal_time,
        seal_on_demand=on_demand,
        heartbeat_timeout=heartbeat_timeout,
        lost_after=lost_after,
    )

    def ready(url: str) -> None:
        plain = {"directory": str(directory.resolve()), "url": url}
        Output(as_json=as_json).result(plain, pairs(plain))

    with ended_by_sigterm():
        serve(settings, ready)


def join(
    url: Annotated[str, typer.Argument(help="Node's address.", metavar="URL")],
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Write the profile of a node's market; later commands use it."""
    import secrets
    import time
    from contextlib import closing

    from node.buying.client import NodeClient
    from node.buying.profile import profile_from_market, write_profile
    from node.cli.home import home
    from node.cli.views.output import Output, pairs

    with closing(NodeClient(url, time.time, secrets.randbits)) as client:
        profile = profile_from_market(client.market(), url, rpc)
    path = home().profile
    write_profile(path, profile)
    plain = {"profile": str(path)} | profile.to_plain()
    Output(as_json=as_json).result(plain, pairs(plain))
