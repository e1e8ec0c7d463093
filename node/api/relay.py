"""Deposits and withdrawals of accounts without coin: who signs decides, the node pays the gas.

The requests need no signature of their own: what they carry is signed for the market itself, and whoever
delivers it can change nothing.
"""

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from ledger.market.identity import Digest, from_text, text
from ledger.market.plain import Reader
from ledger.market.wire import Plain, account, hexed, word
from ledger.market.withdrawal import SignedPermit, SignedWithdrawal, Withdrawal
from node.api.services import Services, Unknown, body_of, json_of

RELAY_LIMIT = 4 << 10


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["relay"])

    async def take(request: Request, keep: Callable[[object], Digest]) -> Plain:
        body = await body_of(request, RELAY_LIMIT)
        return {"relay": text(await run_in_threadpool(lambda: keep(json_of(body))))}

    @router.post("/v1/relay/deposits", status_code=202)
    async def deposit(request: Request) -> Plain:
        """Deposit by the token's permit (ERC-2612) for the market; the node sends the transaction."""
        return await take(
            request, lambda plain: services.relaying.deposit(permit_from_plain(plain), services.now())
        )

    @router.post("/v1/relay/withdrawals", status_code=202)
    async def withdrawal(request: Request) -> Plain:
        """Deliver a signed `Withdraw`; the node sends the transaction."""
        return await take(
            request, lambda plain: services.relaying.withdrawal(withdrawal_from_plain(plain), services.now())
        )

    @router.get("/v1/relay/{relay}")
    def relay(relay: str) -> Plain:
        """How far a relay is: `pending`, `sent`, `done` or `failed` with the cause."""
        found = services.relaying.relay(Digest(from_text(relay, 32)))
        if found is None:
            raise Unknown("relay", relay)
        return {
            "relay": text(found.id),
            "state": found.state.value,
            "transaction": None if found.transaction is None else text(found.transaction),
            "cause": found.cause,
        }

    return router


def permit_from_plain(value: object) -> SignedPermit:
    """`Rejected` for an unknown key, a wrong type or a number out of range."""
    read = Reader(value, "deposit")
    signed = SignedPermit(
        owner=account(read, "owner"),
        amount=word(read, "amount"),
        deadline=read.get("deadline", int),
        signature=hexed(read, "signature", 64),
    )
    read.done()
    return signed


def withdrawal_from_plain(value: object) -> SignedWithdrawal:
    """`Rejected` for an unknown key, a wrong type or a number out of range."""
    read = Reader(value, "withdrawal")
    order = Withdrawal(
        account=account(read, "account"),
        to=account(read, "to"),
        amount=word(read, "amount"),
        nonce=word(read, "nonce"),
        deadline=read.get("deadline", int),
    )
    signed = SignedWithdrawal(withdrawal=order, signature=hexed(read, "signature", 64))
    read.done()
    return signed
