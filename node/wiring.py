"""The process that runs a node: its lock, its listener, its chain, and an orderly end."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import uvicorn

from ledger.books.books import open_books
from ledger.chain.client import MarketClient
from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import Address, from_text
from node.api.application import application
from node.assembly import Foundations, Node, assemble
from node.embedded_chain import EmbeddedChain
from node.instance import only_instance
from node.operator_key import operator_key
from node.settings import NodeSettings

_log = logging.getLogger(__name__)
URL_FILE = "node.url"
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
        node = assemble(
            Foundations(
                settings=settings,
                client=client,
                books=books,
                key=key,
                rpc_url=rpc_url,
                first_block=first_block,
            )
        )
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
    for loop in node.loops.all():
        loop.start()
    try:
        announced = (server, f"http://{host}:{port}", directory, ready)
        threading.Thread(target=_announce, args=announced, daemon=True).start()
        server.run(sockets=[listener])
    finally:
        (directory / URL_FILE).unlink(missing_ok=True)
        for loop in node.loops.all():
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
