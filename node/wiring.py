"""Where a node's parts meet: the only module that knows them all, and the process that runs them."""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import uvicorn

from ledger.books.books import Books, open_books
from ledger.books.rows import JobRow
from ledger.chain.client import MarketClient
from ledger.chain.follower import Follower
from ledger.chain.keys import LocalKey
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.market.errors import LostRace, MarketError, Rejected, Unavailable
from ledger.market.events import LeaseOpened
from ledger.market.identity import Address, LeaseId, from_text, text
from node.api.application import application
from node.api.authentication import Authentication
from node.api.events import TOPIC
from node.api.services import Services
from node.blobs import BlobStore
from node.embedded_chain import EmbeddedChain
from node.exchange import Exchange
from node.instance import only_instance
from node.job_logs import JobLogs
from node.loops import Following, Loop, Sending, Sweeping
from node.nudges import Nudges
from node.operator_key import operator_key
from node.presence import Presence
from node.settings import NodeSettings
from node.settlement import Settlement
from node.version import VERSION

_log = logging.getLogger(__name__)
URL_FILE = "node.url"
SWEEP_SECONDS = 1.0
_BACKLOG = 512
GAS_FLOOR_WEI = 10**17
"""below this the node asks an embedded grid's faucet for coin"""


def run_node(settings: NodeSettings, ready: Callable[[str], None]) -> None:
    """Run a node until SIGTERM or SIGINT; call it from the main thread. `ready` is told the URL once it
    answers. `Rejected` "port-taken" where something else listens there."""
    settings.directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(only_instance(settings.directory))
        listener = stack.enter_context(closing(_listener(settings)))
        rpc_url, market, first_block = stack.enter_context(_chain(settings))
        client = MarketClient(rpc_url, market)
        stack.callback(client.close)
        books = stack.enter_context(open_books(str(settings.directory / "books.sqlite3")))
        key = operator_key(settings.directory)
        _provide_gas(client, key.address, embedded=settings.rpc_url is None)
        node = _assemble(settings, client, books, key, rpc_url, first_block)
        _serve(node, listener, settings.directory, ready)


@contextmanager
def _chain(settings: NodeSettings) -> Iterator[tuple[str, Address, int]]:
    """The RPC URL, the market and the first block to read."""
    if settings.rpc_url is not None:
        if settings.market is None:
            raise Rejected("no-market", "A foreign chain needs the market's address.", "Give --market 0x….")
        yield settings.rpc_url, Address(from_text(settings.market, 20)), settings.first_block
        return
    chain = EmbeddedChain(
        settings.directory / "chain",
        seal_seconds=settings.seal_seconds,
        on_demand=settings.seal_on_demand,
    )
    try:
        url = chain.start()
        yield url, chain.market(), 0
    finally:
        chain.stop()


def _provide_gas(client: MarketClient, account: Address, *, embedded: bool) -> None:
    """On an embedded grid the faucet pays the node's first gas; elsewhere the operator does."""
    try:
        if client.coin_balance(account) < GAS_FLOOR_WEI and embedded:
            client.faucet(account)
    except MarketError as exc:
        _log.warning("no coin for gas yet: %s", exc)


class Node:
    """A node's services with the loops that keep them going."""

    def __init__(self, services: Services, loops: tuple[Loop, ...]) -> None:
        self.services = services
        self.loops = loops


def _assemble(
    settings: NodeSettings,
    client: MarketClient,
    books: Books,
    key: LocalKey,
    rpc_url: str,
    first_block: int,
) -> Node:
    now = _now()
    domain = client.domain()
    policy = client.policy()
    presence = Presence(now, settings.heartbeat_timeout, settings.lost_after)
    exchange = Exchange(books, client, domain, key.address, presence)
    settlement = Settlement(books, domain, key, policy)
    nudges = Nudges()
    loops = _loops(settings, client, books, key, exchange, settlement, nudges, first_block)
    exchange.start(now)
    services = Services(
        settings=settings,
        books=books,
        exchange=exchange,
        settlement=settlement,
        blobs=BlobStore(settings.directory, settings.blob_limit, settings.store_limit),
        logs=JobLogs(settings.directory / "logs", settings.log_limit),
        authentication=Authentication(domain),
        nudges=nudges,
        market={
            "chain_id": domain.chain_id,
            "market": text(domain.market),
            "token": text(client.token()),
            "decimals": client.decimals(),
            "node": text(key.address),
            "rpc_url": rpc_url,
            "policy": {"receipt_interval": policy.receipt_interval, "grace": policy.grace},
            "first_block": first_block,
            "confirmations": settings.confirmations,
            "embedded": settings.rpc_url is None,
            "version": VERSION,
        },
        health=_health(client, books, loops),
        hasten=_haste(books, nudges, loops),
    )
    return Node(services, loops)


def _loops(
    settings: NodeSettings,
    client: MarketClient,
    books: Books,
    key: LocalKey,
    exchange: Exchange,
    settlement: Settlement,
    nudges: Nudges,
    first_block: int,
) -> tuple[Loop, ...]:
    def on_opened(event: LeaseOpened) -> None:
        nudges.publish(event.terms.provider, _nudge(event.id))
        nudges.publish(TOPIC, "events")

    follower = Follower(client, settings.confirmations)
    following = Following(books, follower, exchange, first_block, on_opened)
    outbox = Outbox(
        books.outbox(key.address), client, key, OutboxPolicy(confirmations=settings.confirmations)
    )
    sending = Sending(books, outbox, exchange)
    sweeping = Sweeping(books, exchange, settlement)
    follow = Loop("follower", lambda: following.step(_now()), settings.poll_seconds)

    def send() -> bool:
        more = sending.step(_now())
        if more:
            follow.hurry()
        return more

    return (
        follow,
        Loop("outbox", send, settings.poll_seconds),
        Loop("sweeper", lambda: sweeping.step(_now()), SWEEP_SECONDS),
    )


def _nudge(lease: LeaseId) -> str:
    return json.dumps({"kind": "lease", "lease": text(lease)})


def _haste(books: Books, nudges: Nudges, loops: tuple[Loop, ...]) -> Callable[[JobRow], None]:
    """Send a new plan at once, and let its agent look out for the block."""

    def hasten(row: JobRow) -> None:
        planned = None if row.lease is None else books.queries.lease(row.lease)
        if planned is not None:
            nudges.publish(planned.terms.provider, _nudge(planned.id))
            for loop in loops:
                if loop.name == "outbox":
                    loop.wake()

    return hasten


def _health(client: MarketClient, books: Books, loops: tuple[Loop, ...]) -> Callable[[], dict[str, object]]:
    def health() -> dict[str, object]:
        chain: dict[str, object]
        cursor = books.queries.cursor()
        try:
            head = client.block("latest").number
            chain = {"ok": True, "head": head, "lag": head - cursor[0].number if cursor else head}
        except (Unavailable, LostRace) as exc:
            chain = {"ok": False, "cause": exc.cause, "remedy": exc.remedy}
        parts = {loop.name: {"ok": loop.failure is None, "cause": loop.failure} for loop in loops}
        well = chain["ok"] is True and all(loop.failure is None for loop in loops)
        return {
            "status": "ok" if well else "degraded",
            "version": VERSION,
            "parts": {"chain": chain, **parts},
        }

    return health


def _listener(settings: NodeSettings) -> socket.socket:
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=_BACKLOG)
        # Accepted sockets inherit it. asyncio leaves it unset here, and each answer would wait for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener  # noqa: TRY300  # both calls can fail
    except OSError as exc:
        raise Rejected(
            "port-taken",
            f"Cannot listen on {settings.host}:{settings.port}: {exc.strerror}.",
            "Choose another port with --port; 0 is any.",
        ) from exc


def _serve(node: Node, listener: socket.socket, directory: Path, ready: Callable[[str], None]) -> None:
    config = uvicorn.Config(
        application(node.services),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        ws_ping_interval=20,
    )
    server = uvicorn.Server(config)
    host, port = listener.getsockname()[:2]
    for loop in node.loops:
        loop.start()
    try:
        announced = (server, f"http://{host}:{port}", directory, ready)
        threading.Thread(target=_announce, args=announced, daemon=True).start()
        server.run(sockets=[listener])
    finally:
        (directory / URL_FILE).unlink(missing_ok=True)
        for loop in node.loops:
            loop.stop()


def _announce(server: uvicorn.Server, url: str, directory: Path, ready: Callable[[str], None]) -> None:
    """Say where the node listens, once it does."""
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    ready(url)
    _put(directory / URL_FILE, f"{url}\n")
    _log.info("listening on %s", url)


def _put(path: Path, content: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(content)
    os.replace(partial, path)


def _now() -> int:
    return int(time.time())
