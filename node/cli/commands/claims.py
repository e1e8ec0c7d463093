"""Commands about a claim for usage that nobody signed: `claim show | contest | decide | finalize`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Json, PasswordFile, RpcUrl, Wallet

if TYPE_CHECKING:
    from ledger.market.identity import LeaseId
    from ledger.market.lease import LeaseTerms
    from node.cli.session import Session

app = typer.Typer(no_args_is_help=True)

LeaseArgument = Annotated[
    str, typer.Argument(help="Lease id, as the job's status shows it.", metavar="LEASE")
]


@app.command()
def show(lease: LeaseArgument, wallet: Wallet = "default", rpc: RpcUrl = None, as_json: Json = False) -> None:
    """What is claimed on a lease, what it would cost to contest, and until when."""
    from node.cli.session import Session
    from node.cli.views.output import Output, pairs

    with Session(wallet=wallet, rpc_url=rpc) as session:
        plain = _claim_plain(session, _lease_id(lease))
    Output(as_json=as_json).result(plain, pairs(plain))


@app.command()
def contest(
    lease: LeaseArgument,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """As the buyer: deny a claim, with a bond as large as the claim; the market's arbiter decides."""
    from ledger.market.instructions import ContestClaim
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        name = _lease_id(lease)
        call = session.chain.call_of(ContestClaim(lease=name, terms=_terms(session, name)))
        _sent(session, name, session.send(call), as_json=as_json)


@app.command()
def decide(
    lease: LeaseArgument,
    paid: Annotated[str, typer.Option(help="What the lease pays in all, in tokens, such as 0.5.")],
    slash: Annotated[str, typer.Option(help="Tokens of the lease's locked stake to burn.")] = "0",
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """As the arbiter: what a contested claim pays, between what was paid before and what is claimed."""
    from ledger.chain import calls
    from node.cli.reading.amounts import parse_amount
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        name, decimals = _lease_id(lease), session.profile.decimals
        amounts = parse_amount(paid, decimals), parse_amount(slash, decimals)
        call = calls.decide_claim(session.profile.market, _terms(session, name), *amounts)
        _sent(session, name, session.send(call), as_json=as_json)


@app.command()
def finalize(
    lease: LeaseArgument,
    wallet: Wallet = "default",
    password_file: PasswordFile = None,
    rpc: RpcUrl = None,
    as_json: Json = False,
) -> None:
    """As anybody: end a claim whose window is over; uncontested it is paid, undecided it is halved."""
    from ledger.market.instructions import FinalizeClaim
    from node.cli.session import Session

    with Session(wallet=wallet, password_file=password_file, rpc_url=rpc) as session:
        name = _lease_id(lease)
        call = session.chain.call_of(FinalizeClaim(lease=name, terms=_terms(session, name)))
        _sent(session, name, session.send(call), as_json=as_json)


def _lease_id(given: str) -> "LeaseId":
    from ledger.market.identity import LeaseId, from_text

    return LeaseId(from_text(given, 32))


def _terms(session: "Session", lease: "LeaseId") -> "LeaseTerms":
    from ledger.market.identity import text
    from node.buying.shown import shown_terms

    return shown_terms(session.reader.lease(text(lease)), lease, session.domain)


def _claim_plain(session: "Session", lease: "LeaseId") -> dict[str, Any]:
    from ledger.market.errors import Rejected
    from ledger.market.identity import text
    from node.cli.reading.amounts import format_amount
    from node.cli.views.job_view import moment

    claim, held = session.chain.claim_of(lease), session.chain.lease_of(lease)
    if claim is None or held is None:
        raise Rejected("no-claim", "Nothing is claimed on that lease.", "Look at the job's status.")
    decimals = session.profile.decimals
    return {
        "lease": text(lease),
        "paid": format_amount(held.paid, decimals),
        "claimed in all": format_amount(claim.claimed, decimals),
        "to contest": format_amount(claim.claimed - held.paid, decimals),
        "contested": held.state.name == "DISPUTED",
        "until": moment(claim.until),
    }


def _sent(session: "Session", lease: "LeaseId", transaction: str, *, as_json: bool) -> None:
    from ledger.market.identity import text
    from node.cli.views.output import Output, pairs

    plain = {"lease": text(lease), "transaction": transaction}
    Output(as_json=as_json).result(plain, pairs(plain))
