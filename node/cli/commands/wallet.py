"""Commands about keys and money: `wallet create | import | show | faucet | deposit | withdraw`, rotation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.commands import delegates, rotation
from node.cli.options import Json, PasswordFile, RpcUrl, SignerAccount, SignerUrl, Wallet

if TYPE_CHECKING:
    from node.buying.money import RelayedMoney
    from node.cli.session import Session

app = typer.Typer(no_args_is_help=True)
app.add_typer(delegates.app, name="delegate", help="Keys that may spend for the wallet.")
rotation.add_to(app)

Amount = Annotated[str, typer.Argument(help="Tokens, such as 12.5.", metavar="AMOUNT")]
Name = Annotated[str, typer.Argument(help="Name of the wallet.")]
Relay = Annotated[
    bool, typer.Option("--relay", help="Sign only; the node sends it, so the wallet needs no coin for gas.")
]


@app.command()
def create(
    name: Name = "default",
    signer: SignerUrl = None,
    signer_account: SignerAccount = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Draw a new key and keep it in a keystore file, encrypted with a password.

    With --signer no key is drawn: the wallet is an account of that signer, and needs no password.
    """
    import secrets

    from ledger.chain.key_files import write_external
    from node.cli.home import external, home
    from node.cli.views.output import Output, pairs

    account = external(signer, signer_account)
    if account is not None:
        path = home().wallet(name)
        write_external(path, account).close()
        plain = {"wallet": name, "address": signer_account, "file": str(path)}
        Output(as_json=as_json).result(plain, pairs(plain))
        return
    _keep(name, secrets.token_bytes(32), password_file, as_json=as_json)


@app.command("import")
def import_key(
    key_file: Annotated[Path, typer.Argument(help="File with a private key, 64 hexadecimal digits.")],
    name: Annotated[str, typer.Argument(help="Name of the wallet.")],
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Keep a key that exists already, such as an embedded grid's operator key, in an encrypted keystore."""
    from ledger.market.errors import Rejected

    try:
        secret = bytes.fromhex(key_file.read_text(encoding="ascii").strip().removeprefix("0x"))
    except (OSError, ValueError) as exc:
        raise Rejected(
            "malformed-key",
            f"{key_file} does not hold a private key.",
            "Name a file of 64 hexadecimal digits.",
        ) from exc
    _keep(name, secret, password_file, as_json=as_json)


def _keep(name: str, secret: bytes, password_file: Path | None, *, as_json: bool) -> None:
    from ledger.chain.keys import create_keystore
    from ledger.market.identity import text
    from node.cli.home import home, password
    from node.cli.views.output import Output, pairs

    path = home().wallet(name)
    key = create_keystore(path, password(password_file, new=True), secret)
    plain = {"wallet": name, "address": text(key.address), "keystore": str(path)}
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command()
def show(
    name: Name = "default",
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """The account's coin for gas, its token, and what it holds in the market."""
    from node.cli.session import Session

    with Session(wallet=name, rpc_url=rpc) as session:
        _show(session, {}, as_json=as_json)


@app.command()
def faucet(
    name: Name = "default",
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Ask an embedded grid for coin and test token."""
    from ledger.chain.wallet import wait_for
    from ledger.market.identity import text
    from node.cli.session import Session, patience

    with Session(wallet=name, rpc_url=rpc) as session:
        hashes = session.chain.faucet(session.address)
        for transaction in hashes:
            wait_for(session.chain, transaction, patience())
        _show(session, {"transactions": [text(one) for one in hashes]}, as_json=as_json)


@app.command()
def deposit(
    amount: Amount,
    relay: Relay = False,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Move tokens from the wallet into its balance at the market."""
    from ledger.chain import calls
    from node.cli.reading.amounts import parse_amount
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        profile = session.profile
        units = parse_amount(amount, profile.decimals)
        _check_covers(session.chain.token_balance(session.address), units, session, "wallet faucet")
        if relay:
            _show(session, {"relayed": _relayed(session).deposit(units)}, as_json=as_json)
            return
        sent = []
        if session.chain.allowance(session.address) < units:
            sent.append(session.send(calls.approve(session.chain.token(), profile.market, units)))
        sent.append(session.send(calls.deposit(profile.market, units)))
        _show(session, {"transactions": sent}, as_json=as_json)


@app.command()
def withdraw(
    amount: Amount,
    relay: Relay = False,
    to: Annotated[str | None, typer.Option(help="With --relay: another account that gets it.")] = None,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Pay tokens of the balance at the market out to the wallet."""
    from ledger.chain import calls
    from ledger.market.identity import Address, from_text
    from node.cli.reading.amounts import parse_amount
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        units = parse_amount(amount, session.profile.decimals)
        _check_covers(session.chain.balance_of(session.address), units, session, "wallet show")
        if relay:
            receiver = session.address if to is None else Address(from_text(to, 20))
            _show(session, {"relayed": _relayed(session).withdraw(units, receiver)}, as_json=as_json)
            return
        sent = [session.send(calls.withdraw(session.profile.market, units))]
        _show(session, {"transactions": sent}, as_json=as_json)


def _relayed(session: "Session") -> "RelayedMoney":
    import time

    from node.buying.money import RelayedMoney

    return RelayedMoney(
        key=session.key,
        chain=session.chain,
        node=session.reader,
        nonces=session.nonces,
        clock=time.time,
    )


def _check_covers(held: int, wanted: int, session: "Session", command: str) -> None:
    from ledger.market.errors import Rejected
    from node.cli.reading.amounts import format_amount

    decimals = session.profile.decimals
    if wanted == 0:
        raise Rejected("nothing-to-move", "The amount is zero.", "Give an amount above zero.")
    if held < wanted:
        raise Rejected(
            "insufficient-balance",
            f"{format_amount(wanted, decimals)} is more than the {format_amount(held, decimals)} there.",
            f"Give less, or run `bingwang {command}`.",
            needed=str(wanted),
            held=str(held),
        )


def _show(session: "Session", extra: dict[str, Any], *, as_json: bool) -> None:
    from ledger.market.identity import text
    from node.cli.reading.amounts import format_amount
    from node.cli.views.output import Output, pairs

    chain, account, decimals = session.chain, session.address, session.profile.decimals
    coin, token, balance = (
        chain.coin_balance(account),
        chain.token_balance(account),
        chain.balance_of(account),
    )
    plain = extra | {
        "wallet": session.wallet_name,
        "address": text(account),
        "coin": str(coin),
        "token": str(token),
        "balance": str(balance),
        "decimals": decimals,
    }
    shown = extra | {
        "wallet": session.wallet_name,
        "address": text(account),
        "coin": format_amount(coin, 18),
        "token": format_amount(token, decimals),
        "balance at the market": format_amount(balance, decimals),
    }
    Output(as_json=as_json).result(plain, pairs(shown))
