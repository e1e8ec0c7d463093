"""Commands about a node's own keys: `node key show | rotate | withdraw`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Json, NodeUrl, RpcUrl, SignerAccount, SignerUrl

if TYPE_CHECKING:
    from ledger.chain.keys import Signer
    from ledger.market.identity import Address
    from node.cli.session import Session

app = typer.Typer(no_args_is_help=True)

Directory = Annotated[Path, typer.Option("--dir", help="The node's folder.")]
HERE = Path("node")


@app.command()
def show(directory: Directory = HERE, as_json: Json = False) -> None:
    """The account that new bids name as matcher, and those that it succeeded."""
    from ledger.chain.key_files import address_in, former_keys
    from ledger.market.identity import text
    from node.cli.views.output import Output, pairs
    from node.operator_key import KEYSTORE

    keystore = directory / KEYSTORE
    former = [text(address_in(path)) for path in former_keys(keystore)]
    plain = {"current": text(address_in(keystore)), "former": former}
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command()
def rotate(
    directory: Directory = HERE,
    signer: SignerUrl = None,
    signer_account: SignerAccount = None,
    as_json: Json = False,
) -> None:
    """Give a stopped node a new key, or an account of a signer; buyers `join` again for new jobs.

    The old key stays beside it: it opens the bids that name it, signs for their leases, ends what it has in
    flight, and its fees stay its own (`node key withdraw`).
    """
    from ledger.market.identity import text
    from node import operator_key
    from node.cli.home import external
    from node.cli.views.output import Output, pairs
    from node.instance import only_instance

    account = external(signer, signer_account)
    operator_key.check_present(directory)
    with only_instance(directory):
        done = operator_key.rotate(directory, account)
    plain = {"former": text(done.former), "current": text(done.current), "kept": str(done.kept)}
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command()
def withdraw(
    to: Annotated[str, typer.Option(help="Account that gets the fees.", metavar="0x…")],
    directory: Directory = HERE,
    node: NodeUrl = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """Pay the fees of all the node's keys out; they sign, and the running node sends it."""
    from ledger.market.identity import Address, from_text
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs
    from node.operator_key import operator_keys

    receiver, keys, paid = Address(from_text(to, 20)), operator_keys(directory), []
    with Session(node_url=node, rpc_url=rpc) as session:
        for key in keys.all():
            if amount := session.chain.balance_of(key.address):
                paid.append(_paid(session, directory, key, amount, receiver))
    plain: dict[str, Any] = {"to": to, "withdrawn": paid}
    Output(as_json=as_json).result(plain, pairs(plain))


def _paid(
    session: "Session", directory: Path, key: "Signer", amount: int, receiver: "Address"
) -> dict[str, str]:
    import time

    from ledger.market.identity import text
    from node.buying.money import RelayedMoney
    from node.buying.nonces import NonceCounter

    def unused(count: int, first: int) -> list[int]:
        return session.chain.next_nonces(key.address, count, first)

    counter = NonceCounter(directory / "nonces" / key.address.hex(), unused)
    money = RelayedMoney(key=key, chain=session.chain, node=session.reader, nonces=counter, clock=time.time)
    relayed = money.withdraw(amount, receiver)
    return {"from": text(key.address), "amount": str(amount), "relay": str(relayed["relay"])}
