"""Money commands of a resource owner: `provider stake | unstake | withdraw`.

They act with the provider's own key: the folder's, or the wallet's where the folder's key only operates for
it. An agent may be running beside them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.options import Json, PasswordFile, Wallet

if TYPE_CHECKING:
    from ledger.chain.client import MarketClient
    from ledger.chain.keys import Signer
    from ledger.market.identity import Address
    from node.buying.profile import Profile
    from node.cli.views.output import Output

Directory = Annotated[Path, typer.Option("--dir", help="The provider's folder.")]
HERE = Path("provider")
Amount = Annotated[str, typer.Argument(help="Tokens, such as 12.5.", metavar="AMOUNT")]


def add_to(app: typer.Typer) -> None:
    """Make these commands of the group `app`."""
    for command in (stake, unstake, withdraw):
        app.command()(command)


def stake(
    amount: Amount,
    directory: Directory = HERE,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Stake tokens: what the market holds of the provider's first, then what its account holds."""
    from ledger.market.identity import text
    from node.cli.reading.amounts import parse_amount
    from node.cli.session import patience
    from provider_agent.offers.staking import raise_stake

    key, chain = _provider(directory, wallet, password_file)
    try:
        units = parse_amount(amount, chain.decimals())
        sent = raise_stake(chain, key, units, patience())
        _show(chain, key, [text(one) for one in sent], as_json=as_json)
    finally:
        chain.close()


def unstake(
    amount: Amount,
    directory: Directory = HERE,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Ask free stake back; `provider withdraw` pays it out once the market's delay is over.

    A running agent does not stake it again before it is paid out, but its next start tops up to `stake` of
    provider.yaml: write a smaller amount there to keep it.
    """
    from ledger.chain import calls
    from ledger.chain.wallet import send_and_wait
    from ledger.market.identity import text
    from node.cli.reading.amounts import parse_amount
    from node.cli.session import patience

    key, chain = _provider(directory, wallet, password_file)
    try:
        units = parse_amount(amount, chain.decimals())
        call = calls.request_unstake(chain.market, units)
        sent = send_and_wait(chain, key, call, patience()).transaction
        _show(chain, key, [text(sent)], as_json=as_json)
    finally:
        chain.close()


def withdraw(
    amount: Annotated[
        str | None, typer.Argument(help="Tokens; all that can be had without it.", metavar="[AMOUNT]")
    ] = None,
    directory: Directory = HERE,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Pay earnings, and stake whose delay is over, out to the provider's account."""
    from ledger.market.identity import text
    from node.cli.reading.amounts import parse_amount

    key, chain = _provider(directory, wallet, password_file)
    try:
        units = None if amount is None else parse_amount(amount, chain.decimals())
        sent = _pay_out(chain, key, units)
        _show(chain, key, [text(one) for one in sent], as_json=as_json)
    finally:
        chain.close()


def _pay_out(chain: "MarketClient", key: "Signer", units: int | None) -> list[bytes]:
    from ledger.chain import calls
    from ledger.chain.wallet import carry_out, send_and_wait
    from ledger.market.errors import Rejected
    from ledger.market.instructions import FinishUnstake
    from node.cli.session import patience

    sent, account = [], key.address
    queued, unlock_at = chain.unstaking_of(account)
    if queued and unlock_at <= chain.block("latest").at:
        sent.append(carry_out(chain, key, FinishUnstake(account=account), patience()).transaction)
    units = chain.balance_of(account) if units is None else units
    if units == 0:
        raise Rejected(
            "nothing-to-withdraw",
            "The provider's balance at the market is zero.",
            "Look at provider status; stake that was asked back comes after its delay.",
        )
    call = calls.withdraw(chain.market, units)
    return [*sent, send_and_wait(chain, key, call, patience()).transaction]


def _provider(directory: Path, wallet: str, password_file: Path | None) -> tuple["Signer", "MarketClient"]:
    """The key that owns the provider's money, and the chain as its settings name it."""
    from ledger.chain.client import MarketClient
    from node.cli.home import password
    from node.cli.session import wallet_key
    from provider_agent.directory import open_key
    from provider_agent.settings import read_settings

    settings = read_settings(directory)
    if settings.owner is None:
        key = open_key(directory, lambda: password(password_file))
    else:
        key = wallet_key(wallet, password_file)
        check_owner(settings.owner, key.address)
    chain = MarketClient(settings.rpc, settings.market.address)
    chain.check_chain(settings.market.chain_id)
    return key, chain


def check_owner(owner: "Address", wallet: "Address") -> None:
    """`Rejected` "not-the-owner" where the wallet's account is not the provider."""
    from ledger.market.errors import Rejected
    from ledger.market.identity import text

    if wallet != owner:
        raise Rejected(
            "not-the-owner",
            f"The provider belongs to {text(owner)}, the wallet is {text(wallet)}.",
            "Name the owner's wallet with --wallet.",
        )


def _show(chain: "MarketClient", key: "Signer", sent: list[str], *, as_json: bool) -> None:
    from ledger.market.identity import text
    from node.cli.reading.amounts import format_amount
    from node.cli.views.output import Output, pairs

    account, decimals = key.address, chain.decimals()
    unstaking, unlock_at = chain.unstaking_of(account)
    amounts = {
        "free_stake": chain.stake_of(account),
        "unstaking": unstaking,
        "balance": chain.balance_of(account),
        "token": chain.token_balance(account),
    }
    rest = {"address": text(account), "unlock_at": unlock_at, "transactions": sent}
    plain = rest | {name: str(amount) for name, amount in amounts.items()} | {"decimals": decimals}
    shown = rest | {name.replace("_", " "): format_amount(one, decimals) for name, one in amounts.items()}
    Output(as_json=as_json).result(plain, pairs(shown))


def default_stake(directory: Path, profile: "Profile", output: "Output") -> str:
    """What the agent will stake by itself, in tokens, and a note of how that comes about."""
    from node.cli.reading.amounts import format_amount
    from provider_agent.devices.inventory import take_inventory
    from provider_agent.offers.lending import hourly_lock
    from provider_agent.offers.offering import Host, loan_of
    from provider_agent.settings import read_settings

    settings = read_settings(directory)
    host = Host(inventory=take_inventory(directory), cdi=True, hard_disk=False)
    loan = loan_of(host, settings, profile.decimals)
    amount = format_amount(hourly_lock(loan, profile.policy), profile.decimals)
    share = profile.policy.stake_bps / 100
    output.note(
        f"The agent stakes {amount} at its start: {share:g} % of what all that is lent costs for an hour "
        f"({loan.capacity.cpu / 1000:g} cores, {loan.capacity.memory} MiB, {len(loan.devices)} devices). "
        "Give --stake, or write `stake` into the settings, for another amount."
    )
    return amount
