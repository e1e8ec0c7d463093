"""What the routes share: one value, made by the wiring, so that no route reaches for a global."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Query, Request

from ledger.books.books import Books
from ledger.books.rows import JobRow, LeaseRow
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.identity import Address, BidId, LeaseId, from_text, text
from node.api.authentication import Authentication, Credentials, Forbidden
from node.exchange import Exchange
from node.relay.blobs import BlobStore
from node.relay.job_logs import JobLogs
from node.relay.nudges import Nudges
from node.settings import NodeSettings
from node.trading.delegates import Delegates
from node.trading.relaying import Relaying
from node.trading.settlement import Settlement
from node.trading.track_records import TrackRecords

Number = Annotated[int, Query(ge=0, le=(1 << 53) - 1)]
"""a count in a query: what JSON, files and the books can all hold"""
Health = Callable[[], dict[str, object]]


def no_haste(row: JobRow) -> None:
    """For services without loops."""


def nothing_is_known() -> None:
    """For services that follow no chain."""


class AccountsOnChain(Protocol):
    """What is asked of the chain's head about an account; `ledger.chain.client.MarketClient` is one."""

    def balance_of(self, account: Address) -> int: ...

    def token_balance(self, account: Address) -> int: ...

    def stake_of(self, account: Address) -> int: ...

    def unstaking_of(self, account: Address) -> tuple[int, int]: ...

    def epoch_of(self, account: Address) -> int: ...

    def next_nonces(self, account: Address, count: int) -> list[int]: ...

    def permit_nonce(self, owner: Address) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of a running node. `market` is the body of `GET /v1/market` without the time."""

    settings: NodeSettings
    books: Books
    exchange: Exchange
    settlement: Settlement
    track_records: TrackRecords
    delegates: Delegates
    relaying: Relaying
    chain: AccountsOnChain
    blobs: BlobStore
    logs: JobLogs
    authentication: Authentication
    nudges: Nudges
    market: dict[str, object]
    health: Health
    hasten: Callable[[JobRow], None] = no_haste
    """told of each accepted order, so that nobody waits for a poll"""
    check_chain: Callable[[], None] = nothing_is_known
    """raises what the follower found, where the chain does not answer: what is matched then opens nowhere"""
    clock: Callable[[], float] = time.time
    """seconds since 1970"""

    def now(self) -> int:
        return int(self.clock())

    def job(self, name: str) -> JobRow:
        """The job by its whole id; `Rejected` where the node does not know it."""
        row = self.books.queries.job(BidId(from_text(name, 32)))
        if row is None:
            raise Unknown("job", name)
        return row

    def lease(self, name: str) -> LeaseRow:
        """The lease by its id; `Rejected` where the node does not know it."""
        row = self.books.queries.lease(LeaseId(from_text(name, 32)))
        if row is None:
            raise Unknown("lease", name)
        return row

    def signed_by(self, request: Request, body: bytes, needed: Address | None, role: str) -> Address:
        """The request's signer; `Forbidden` where it is not `needed`."""
        query = f"?{request.url.query}" if request.url.query else ""
        given = credentials_of(request)
        caller = self.authentication.caller(given, request.method, request.url.path + query, body, self.now())
        if needed is not None and caller != needed:
            raise Forbidden(caller, f"{role} {text(needed)}")
        return caller

    def signed_for_buyer(self, request: Request, body: bytes, buyer: Address) -> Address:
        """The request's signer: the buyer, or a key that may spend for it; `Forbidden` otherwise."""
        caller = self.signed_by(request, body, None, "anybody")
        if not self.delegates.may(Role.SPEND, buyer, caller, self.now()):
            raise Forbidden(caller, f"the buyer {text(buyer)} (or a key that may spend for it)")
        return caller

    def signed_for_provider(self, request: Request, body: bytes, provider: Address) -> Address:
        """The request's signer: the lease's provider, or a key that operates for it."""
        caller = self.signed_by(request, body, None, "anybody")
        if not self.delegates.may(Role.OPERATE, provider, caller, self.now()):
            raise Forbidden(caller, f"the lease's provider {text(provider)} (or a key that operates for it)")
        return caller


class Unknown(Rejected):
    """The node does not know what was asked for."""

    http_status = 404

    def __init__(self, what: str, name: str) -> None:
        super().__init__(
            f"unknown-{what}", f"This node knows no {what} {name[:80]}.", f"Check the {what}'s id."
        )


def credentials_of(request: Request) -> Credentials:
    """The four `Bingwang-…` headers of a request, "" where one is absent."""
    header = request.headers.get
    return Credentials(
        address=header("bingwang-address", ""),
        nonce=header("bingwang-nonce", ""),
        deadline=header("bingwang-deadline", ""),
        signature=header("bingwang-signature", ""),
    )


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body, refused as soon as it exceeds `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise OversizedBody(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def json_of(body: bytes) -> object:
    """The body as plain JSON; `Rejected` where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Rejected("malformed-json", "The body is not JSON.", "Send one JSON object.") from exc


class OversizedBody(Rejected):
    """A request's body is larger than this call takes."""

    http_status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(
            "oversized-upload", f"The body exceeds {limit} bytes.", "Send less at once.", limit=limit
        )
