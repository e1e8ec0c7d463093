"""Commands that put a new key in the place of another: `wallet passwd | rotate`, `provider rotate`.

Each may be cut off at any point and called again: the old key stays in its place until all is done that
needs it, and is kept afterwards.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.commands.provider_money import HERE, Directory, check_owner
from node.cli.options import Json, PasswordFile, RpcUrl, SignerAccount, SignerUrl, Wallet

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.chain.external_signer import ExternalAccount
    from ledger.market.identity import Address
    from node.cli.session import Session

Name = Annotated[str, typer.Argument(help="Name of the wallet.")]
_SHORT = 8


def add_to(app: typer.Typer) -> None:
    """Make the wallet's commands of the group `app`."""
    app.command("passwd")(change_password)
    app.command("rotate")(rotate_wallet)


def add_to_provider(app: typer.Typer) -> None:
    """Make the provider's command of the group `app`."""
    app.command("rotate")(rotate_operator)


def change_password(
    name: Name = "default",
    password_file: PasswordFile = None,
    new_password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the new password; asked for without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Encrypt a wallet's keystore with another password; a copy of the old file opens with the old one."""
    from ledger.chain import keys
    from ledger.market.identity import text
    from node.cli.home import asked_password, home, no_wallet, password
    from node.cli.views.output import Output, pairs

    path = home().wallet(name)
    if not path.exists():
        raise no_wallet(name)
    key = keys.change_password(path, password(password_file), asked_password(new_password_file))
    plain = {"wallet": name, "address": text(key.address), "keystore": str(path)}
    Output(as_json=as_json).result(plain, pairs(plain))


def rotate_wallet(
    name: Name = "default",
    signer: SignerUrl = None,
    signer_account: SignerAccount = None,
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Draw a new key for a wallet, or name an account of a signer, and move what the old one holds to it.

    Open bids of the old key are voided; its jobs run on, and belong to the wallet whose name is shown.
    """
    from ledger.chain.key_files import succeed, successor_of
    from ledger.market.identity import text
    from node.buying.succession import Succession
    from node.cli.home import external, home
    from node.cli.session import Session, patience
    from node.cli.views.output import Output, pairs

    output, path = Output(as_json=as_json), home().wallet(name)
    with Session(wallet=name, password_file=password_file, rpc_url=rpc) as session:
        key = session.key
        heir = _successor(path, password_file, external(signer, signer_account))
        move = Succession(chain=session.chain, key=key, heir=heir, patience=patience())
        move.check_free(session.chain.stake_of(key.address))
        output.note(f"The new key {text(heir)} lies in {successor_of(path)} until all is moved.")
        steps = []
        for step in move.run():
            output.note(step.what)
            steps.append(step.transaction)
    former = f"{name}-{key.address.hex()[:_SHORT]}"
    succeed(path, home().wallet(former))
    plain = {"wallet": name, "address": text(heir), "former": former, "transactions": steps}
    output.result(plain, pairs(plain))


def rotate_operator(
    directory: Directory = HERE,
    signer: SignerUrl = None,
    signer_account: SignerAccount = None,
    until: Annotated[str, typer.Option(help="Until when the new key may act.")] = "365d",
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Give a stopped agent a new key to operate with: the wallet lets it act, and revokes the old one.

    Running jobs run on; the agent takes them up at its next start and repeats what the old key had not done.
    """
    from ledger.chain.key_files import succeed
    from ledger.market.identity import text
    from node.cli.commands.provider import _ask_faucet, _authorise
    from node.cli.home import external
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs
    from provider_agent.directory import Paths, only_one

    output, paths = Output(as_json=as_json), Paths(root=directory)
    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        _check_owner(directory, session)
        with only_one(paths.lock):
            heir = _successor(paths.keystore, password_file, external(signer, signer_account))
            granted = _ask_faucet(session, heir, output)
            authorised = _authorise(session, heir, until)
            kept = succeed(paths.keystore)
        plain = {
            "operator": text(heir),
            "faucet": granted,
            "authorised": authorised,
            "revoked": _revoke_former(session, paths.keystore),
            "kept": str(kept),
        }
    output.result(plain, pairs(plain))


def _successor(path: Path, password_file: Path | None, account: "ExternalAccount | None") -> "Address":
    import secrets

    from ledger.chain.key_files import draw_successor, name_successor

    if account is not None:
        named = name_successor(path, account)
        named.close()
        return named.address
    return draw_successor(path, _password(password_file), secrets.token_bytes(32)).address


def _password(password_file: Path | None) -> "Callable[[], str]":
    from node.cli.home import password

    return lambda: password(password_file)


def _check_owner(directory: Path, session: "Session") -> None:
    from ledger.market.errors import Rejected
    from provider_agent.settings import read_settings

    owner = read_settings(directory).owner
    if owner is None:
        raise Rejected(
            "key-is-the-provider",
            "The folder's key is the provider itself: its stake and offers are bound to it.",
            "Drain, unstake and withdraw; then make a folder with `provider init --operator`.",
        )
    check_owner(owner, session.address)


def _revoke_former(session: "Session", keystore: Path) -> list[str]:
    """Every key that the folder ever had and that may still act, those of rotations cut off too."""
    from ledger.chain import calls
    from ledger.chain.key_files import address_in, former_keys
    from ledger.market.delegation import revoked

    former = {address_in(path) for path in former_keys(keystore)} - {address_in(keystore)}
    acting = [one for one in sorted(former) if session.chain.delegation_of(session.address, one).roles]
    return [session.send(calls.set_delegate(session.profile.market, revoked(one))) for one in acting]
