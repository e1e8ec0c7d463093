"""Commands about keys that act for an account: `wallet delegate add | list | revoke`.

A laptop, a CI job or a team member signs bids with its own key, up to an allowance and a date, and the
account's first key stays at home.
"""

from typing import Annotated

import typer

from node.cli.options import Json, PasswordFile, RpcUrl, Wallet

app = typer.Typer(no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The other key's address.", metavar="0x…")]


@app.command()
def add(
    key: Key,
    allowance: Annotated[str, typer.Option(help="Tokens that its bids may commit, such as 5.")] = "0",
    until: Annotated[
        str, typer.Option(help="Last moment: 48h, friday, 2027-01-31 or 2027-01-31T18:00Z.")
    ] = "30d",
    operate: Annotated[
        bool, typer.Option("--operate", help="It may run a provider: offers and leases.")
    ] = False,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Let another key act for the wallet; a second `add` replaces the first."""
    import time

    from ledger.chain import calls
    from ledger.market.delegation import Delegation, Role
    from ledger.market.errors import Rejected
    from ledger.market.identity import Address, from_text
    from node.cli.reading.amounts import parse_amount
    from node.cli.reading.moments import parse_moment
    from node.cli.session import Session
    from node.cli.views.delegates import delegation_plain
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        units = parse_amount(allowance, session.profile.decimals)
        if not units and not operate:
            raise Rejected(
                "nothing-delegated", "The key may do nothing.", "Give --allowance, --operate or both."
            )
        roles = (Role.SPEND if units else Role(0)) | (Role.OPERATE if operate else Role(0))
        delegation = Delegation(
            key=Address(from_text(key, 20)),
            roles=roles,
            allowance=units,
            until=parse_moment(until, int(time.time())),
        )
        sent = session.send(calls.set_delegate(session.profile.market, delegation))
        plain = delegation_plain(delegation, session.profile.decimals) | {"transaction": sent}
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command("list")
def list_delegates(wallet: Wallet = "default", as_json: Json = False) -> None:
    """The keys that may act for the wallet, and what is left of their allowances."""
    from ledger.market.identity import text
    from node.cli.session import Session
    from node.cli.views.delegates import COLUMNS, cells
    from node.cli.views.output import Output, table

    with Session(wallet=wallet) as session:
        found = session.reader.account(text(session.address))["delegates"]
        decimals = session.profile.decimals
    render = table(f"{len(found)} delegates", COLUMNS, [cells(one, decimals) for one in found])
    Output(as_json=as_json).result({"delegates": found}, render)


@app.command()
def revoke(
    key: Key,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Take every right from a key; what it opened goes on."""
    from ledger.chain import calls
    from ledger.market.delegation import revoked
    from ledger.market.identity import Address, from_text
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        nothing = revoked(Address(from_text(key, 20)))
        plain = {"key": key, "transaction": session.send(calls.set_delegate(session.profile.market, nothing))}
    Output(as_json=as_json).result(plain, pairs(plain))
