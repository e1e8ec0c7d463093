"""The process that runs a node: its lock, its listener, its chain, and an orderly end."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace

import uvicorn
from starlette.types import ASGIApp

from ledger.books.books import Books, open_books
from ledger.books.engine import is_shared
from ledger.chain.client import MarketClient
from ledger.market.errors import MarketError, Rejected
from ledger.market.identity import Address, from_text
from node.api.application import application
from node.api.forwarding import Forwarding
from node.api.front import Front, Served
from node.assembly import Foundations, Node, assemble
from node.candidacy import LOOK_SECONDS, Candidacy
from node.embedded_chain import EmbeddedChain
from node.instance import one_at_a_time, only_instance
from node.loops import Loop
from node.operator_key import operator_keys
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
        shared = is_shared(settings.books_url)
        if not shared or settings.rpc_url is None:
            stack.enter_context(only_instance(settings.directory))
        listener = stack.enter_context(closing(_listener(settings)))
        rpc_url, market, first_block = stack.enter_context(_chain(settings))
        client = MarketClient(rpc_url, market)
        stack.callback(client.close)
        books = stack.enter_context(open_books(settings.books_url))
        with one_at_a_time(settings.directory):
            keys = operator_keys(settings.directory, settings.signer)
        base = Foundations(
            settings=settings,
            client=client,
            books=books,
            keys=keys,
            rpc_url=rpc_url,
            first_block=first_block,
            url=settings.advertised or _url_of(listener),
        )
        serve = _serve_replica if shared else _serve_alone
        serve(base, listener, ready)


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


def _provide_gas(base: Foundations) -> None:
    """On an embedded grid the faucet pays the node's first gas; elsewhere the operator does."""
    account, embedded = base.key.address, base.settings.rpc_url is None
    try:
        if base.client.coin_balance(account) < GAS_FLOOR_WEI and embedded:
            base.client.faucet(account)
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


def _serve_alone(base: Foundations, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """The only process of a node."""
    _provide_gas(base)
    node = assemble(base)
    node.start()
    try:
        _serve(application(node.services), listener, _Started(base, ready, lambda: _name_writer(base)))
    finally:
        _forget_writer(base)
        node.stop()


def _serve_replica(base: Foundations, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """One of several processes of a node, of which one writes: a replica that stands for writer."""
    services = assemble(replace(base, writes=False)).services
    reading = Served(application=application(services), attach=services.nudges.attach)
    front = Front(reading, Forwarding(lambda: _other_writer(base)))

    def lead(books: Books) -> Node:
        _provide_gas(base)
        return assemble(replace(base, books=books))

    candidacy = Candidacy(
        base.url, front, lambda: open_books(base.settings.books_url), lead, lambda: _name_writer(base)
    )
    election = Loop("election", candidacy.step, LOOK_SECONDS)
    try:
        _serve(front, listener, _Started(base, ready, election.start))
    finally:
        election.stop()
        candidacy.step_down()
        _forget_writer(base)


def _other_writer(base: Foundations) -> str | None:
    """Who writes, if that is not this process: its own word from before is not to be followed."""
    writer = base.books.writer()
    return None if writer == base.url else writer


@dataclass(frozen=True, slots=True)
class _Started:
    """What happens once a node answers."""

    base: Foundations
    ready: Callable[[str], None]
    then: Callable[[], None]

    def announce(self, server: uvicorn.Server) -> None:
        while not server.started:
            if server.should_exit:
                return
            time.sleep(0.02)
        self.ready(self.base.url)
        self.then()
        _log.info("listening on %s", self.base.url)


def _serve(app: ASGIApp, listener: socket.socket, started: _Started) -> None:
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=3, ws_ping_interval=20
    )
    server = uvicorn.Server(config)
    threading.Thread(target=started.announce, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


def _name_writer(base: Foundations) -> None:
    """Say in the directory where the node that writes listens."""
    path = base.settings.directory / URL_FILE
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(f"{base.url}\n")
    os.replace(partial, path)


def _forget_writer(base: Foundations) -> None:
    path = base.settings.directory / URL_FILE
    with suppress(FileNotFoundError):
        if path.read_text().strip() == base.url:
            path.unlink()
