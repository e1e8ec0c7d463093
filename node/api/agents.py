"""The socket that each agent holds open: heartbeats in, nudges out. Agents dial, so NAT is no obstacle."""

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from ledger.market.delegation import Role
from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import Address, OfferId, from_text, text
from ledger.market.plain import Reader
from node.api.authentication import Credentials, Forbidden
from node.api.services import Services, json_of
from node.trading.presence import Heartbeat

TARGET = "/v1/agent"
POLICY_VIOLATION = 1008
_MOST_OFFERS = 256


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["agents"])

    @router.websocket(TARGET)
    async def agent(socket: WebSocket) -> None:
        """One agent, signed in by its provider's key, or by one that operates for the `provider` of the
        query, until it leaves or breaks the form."""
        try:
            provider = await run_in_threadpool(_provider, services, socket)
        except MarketError as exc:
            await socket.close(POLICY_VIOLATION, reason=_short(exc))
            return
        await socket.accept()
        with services.nudges.subscription(provider) as nudges:
            sender = asyncio.create_task(_send(socket, nudges))
            try:
                await _receive(services, socket, provider)
            except MarketError as exc:
                await socket.close(POLICY_VIOLATION, reason=_short(exc))
            except WebSocketDisconnect:
                pass
            finally:
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sender

    return router


def _provider(services: Services, socket: WebSocket) -> Address:
    query = socket.query_params
    given = Credentials(
        address=query.get("address", ""),
        nonce=query.get("nonce", ""),
        deadline=query.get("deadline", ""),
        signature=query.get("signature", ""),
    )
    caller = services.authentication.caller(given, "GET", TARGET, b"", services.now())
    if "provider" not in query:
        return caller
    provider = Address(from_text(query["provider"], 20))
    if not services.delegates.may(Role.OPERATE, provider, caller, services.now()):
        raise Forbidden(caller, f"the provider {text(provider)} (or a key that operates for it)")
    return provider


async def _receive(services: Services, socket: WebSocket, provider: Address) -> None:
    while True:
        beat = _heartbeat(await _text(socket), services.now())
        await run_in_threadpool(services.exchange.beat, provider, beat)


async def _text(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message.get("text") or ""


async def _send(socket: WebSocket, nudges: asyncio.Queue[str]) -> None:
    while True:
        message = await nudges.get()
        try:
            await socket.send_text(message)
        except (RuntimeError, WebSocketDisconnect):
            return


def _heartbeat(message: str, at: int) -> Heartbeat:
    read = Reader(json_of(message.encode(errors="replace")), "heartbeat")
    if read.get("kind", str) != "heartbeat":
        raise Rejected("unknown-message", "The message is no heartbeat.", "Send kind heartbeat.")
    offers = read.texts("offers")
    if len(offers) > _MOST_OFFERS:
        raise Rejected(
            "too-many-offers", f"{len(offers)} offers in one heartbeat.", f"At most {_MOST_OFFERS}."
        )
    beat = Heartbeat(
        offers=frozenset(OfferId(from_text(one, 32)) for one in offers),
        draining=read.get("draining", bool, False),
        engine_ok=read.get("engine", str, "ok") == "ok",
        at=at,
    )
    read.done()
    return beat


def _short(error: MarketError) -> str:
    """A close reason has at most 123 bytes (RFC 6455)."""
    return f"{error.code}: {error.cause}".encode()[:120].decode(errors="ignore")
