"""Commands of a resource owner: `provider init | run | status | drain`, and its money (`provider_money`)."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.commands import provider_money, rotation
from node.cli.options import EngineUrl, Json, PasswordFile, RpcUrl, SignerAccount, SignerUrl, Wallet

if TYPE_CHECKING:
    from ledger.market.identity import Address
    from node.cli.session import Session
    from node.cli.views.output import Output
    from provider_agent.directory import NewProvider

app = typer.Typer(no_args_is_help=True)
provider_money.add_to(app)
rotation.add_to_provider(app)

Directory = provider_money.Directory
HERE = provider_money.HERE


@app.command("init")
def init(
    domain: Annotated[str, typer.Option(help="Group and location, such as example-lab/berlin.")],
    region: Annotated[str, typer.Option(help="Region, such as eu-central, or local.")] = "local",
    name: Annotated[str, typer.Option(help="Name shown beside the offer.")] = "",
    core_price: Annotated[str, typer.Option(help="Tokens an hour for a core.")] = "0.01",
    gib_price: Annotated[str, typer.Option(help="Tokens an hour for a GiB of memory.")] = "0.001",
    disk_gib_price: Annotated[str, typer.Option(help="Tokens an hour for a GiB of disk.")] = "0",
    device_price: Annotated[str, typer.Option(help="Tokens an hour for an accelerator.")] = "0",
    device_gib_price: Annotated[str, typer.Option(help="Tokens an hour for a GiB of its memory.")] = "0",
    cores: Annotated[int | None, typer.Option(help="Cores to lend; all without it.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory to lend, such as 8GiB.")] = None,
    disk: Annotated[str | None, typer.Option(help="Disk to lend, such as 50GiB.")] = None,
    devices: Annotated[int | None, typer.Option(help="Accelerators to lend; all without it.")] = None,
    max_duration: Annotated[str | None, typer.Option(help="Longest lease, such as 12h.")] = None,
    stake: Annotated[
        str, typer.Option(help="Tokens to stake; without it, enough for the whole machine for an hour.")
    ] = "",
    operator: Annotated[
        bool,
        typer.Option("--operator", help="The wallet stays the provider; the folder's key only operates."),
    ] = False,
    until: Annotated[str, typer.Option(help="With --operator: until when its key may act.")] = "365d",
    signer: SignerUrl = None,
    signer_account: SignerAccount = None,
    wallet: Wallet = "default",
    engine: EngineUrl = None,
    directory: Directory = HERE,
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Make a provider's folder for the joined market: a key, and the settings as a file to edit.

    With --operator the wallet owns stake and earnings, and the folder's key can neither withdraw nor unstake.
    """
    import secrets
    from dataclasses import replace

    from ledger.market.identity import text
    from node.cli.home import external, password
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs
    from provider_agent.directory import Paths, init_provider

    output = Output(as_json=as_json)
    prices = {
        "core": core_price,
        "gib": gib_price,
        "disk_gib": disk_gib_price,
        "device": device_price,
        "device_gib": device_gib_price,
    }
    lend = _lend(cores, memory, disk, devices, max_duration)
    place = (name or domain.replace("/", "-"), domain, region)
    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        new = _new_provider(session, place, prices, lend, engine)
        new = replace(new, stake=stake, owner=session.address if operator else None)
        outside = external(signer, signer_account)
        secret = "" if outside else password(password_file, new=True)
        key = init_provider(directory, new, secret, secrets.token_bytes(32), outside)
        granted = _ask_faucet(session, key.address, output)
        plain = {
            "directory": str(directory.resolve()),
            "settings": str(Paths(root=directory).settings),
            "address": text(new.owner or key.address),
            "operator": text(key.address),
            "domain": domain,
            "faucet": granted,
            "authorised": _authorise(session, key.address, until) if operator else "",
            "stake": stake or provider_money.default_stake(directory, session.profile, output),
        }
    output.result(plain, pairs(plain))


@app.command("run")
def run_provider(
    directory: Directory = HERE,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Lend this machine until told to stop; running jobs are taken up again after a restart."""
    from node.cli.daemon import to_stderr
    from node.cli.home import password
    from node.cli.views.output import Output, pairs
    from provider_agent.agent import run

    to_stderr()
    plain = {"directory": str(directory.resolve())}
    shown = Output(as_json=as_json)
    run(directory, lambda: password(password_file), lambda: shown.result(plain, pairs(plain)))


@app.command()
def status(directory: Directory = HERE, as_json: Json = False) -> None:
    """What the agent last said about itself."""
    import time

    from node.cli.views.output import Output
    from node.cli.views.provider_view import ProviderView
    from provider_agent.directory import read_status

    plain = read_status(directory)
    Output(as_json=as_json).result(plain, ProviderView(plain, int(time.time())))


@app.command()
def drain(
    directory: Directory = HERE,
    undo: Annotated[bool, typer.Option("--undo", help="Take leases again.")] = False,
    as_json: Json = False,
) -> None:
    """Take no new leases; what runs runs on."""
    from node.cli.views.output import Output, pairs
    from provider_agent.directory import request_drain

    request_drain(directory, draining=not undo)
    plain = {"directory": str(directory.resolve()), "draining": not undo}
    Output(as_json=as_json).result(plain, pairs(plain))


def _lend(
    cores: int | None, memory: str | None, disk: str | None, devices: int | None, longest: str | None
) -> dict[str, object]:
    from node.cli.reading.quantities import parse_time

    given = {
        "cores": cores,
        "memory": memory,
        "disk": disk,
        "devices": devices,
        "max_seconds": None if longest is None else parse_time(longest),
    }
    return {key: value for key, value in given.items() if value is not None}


def _authorise(session: "Session", key: "Address", until: str) -> str:
    """The wallet lets the folder's key operate for it; the transaction."""
    import time

    from ledger.chain import calls
    from ledger.market.delegation import Delegation, Role
    from node.cli.reading.moments import parse_moment

    delegation = Delegation(
        key=key, roles=Role.OPERATE, allowance=0, until=parse_moment(until, int(time.time()))
    )
    return session.send(calls.set_delegate(session.profile.market, delegation))


def _new_provider(
    session: "Session",
    place: tuple[str, str, str],
    prices: dict[str, str],
    lend: dict[str, object],
    engine: str | None,
) -> "NewProvider":
    from provider_agent.directory import NewProvider
    from provider_agent.settings import Market

    profile = session.profile
    market = Market(
        chain_id=profile.chain_id,
        address=profile.market,
        first_block=profile.first_block,
    )
    return NewProvider(
        name=place[0],
        domain=place[1],
        region=place[2],
        node=profile.node_url,
        rpc=profile.rpc_url,
        market=market,
        prices=prices,
        lend=lend,
        engine=engine or "",
    )


def _ask_faucet(session: "Session", account: "Address", output: "Output") -> list[str]:
    """Registering an offer costs gas; an embedded grid gives it, elsewhere the owner does."""
    from ledger.chain.wallet import wait_for
    from ledger.market.errors import MarketError
    from ledger.market.identity import text
    from node.cli.session import patience

    if not session.profile.embedded:
        output.note(f"Send coin for gas to {text(account)} before `bingwang provider run`.")
        return []
    try:
        hashes = session.chain.faucet(account)
        for transaction in hashes:
            wait_for(session.chain, transaction, patience())
    except MarketError as error:
        output.note(f"No coin for gas yet: {error.cause} {error.remedy}")
        return []
    return [text(one) for one in hashes]
