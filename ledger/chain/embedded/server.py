"""The chain as a process: JSON-RPC on loopback, sealing beside it, until told to stop.

`rpc.url` in the chain's directory says where to connect: it is there exactly while the server listens, and a
leftover of a kill is overwritten.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from ledger.chain.embedded import genesis
from ledger.chain.embedded.announcing import Announcer
from ledger.chain.embedded.application import MAX_BODY, application
from ledger.chain.embedded.chain import DEFAULT_FINALITY, DEFAULT_KEEP_STATES, Clock, EmbeddedChain
from ledger.chain.embedded.faucet import Faucet, FaucetPolicy
from ledger.chain.embedded.grid import open_chain
from ledger.chain.embedded.grid_methods import GridMethods
from ledger.chain.embedded.sealing import SealingLoop, SealPolicy
from ledger.market.errors import Broken, MarketError, Rejected

URL_FILE = "rpc.url"
_START_SECONDS = 30
_STOP_SECONDS = 3
_BACKLOG = 512
_KEEP_ALIVE_SECONDS = 300  # a client that pauses must not find its connection just closed


@dataclass(frozen=True, slots=True, kw_only=True)
class ServePolicy:
    """How a chain is served; `allow_reorg` is for test grids only. See `EmbeddedChain` for `keep_states`."""

    seal: SealPolicy = field(default_factory=SealPolicy)
    faucet: FaucetPolicy = field(default_factory=FaucetPolicy)
    finality: int = DEFAULT_FINALITY
    keep_states: int | None = DEFAULT_KEEP_STATES
    allow_reorg: bool = False


class ChainServer:
    """A chain being served and sealed; `url` is where, `ended` is set when it can no longer go on."""

    def __init__(
        self, chain: EmbeddedChain, listener: socket.socket, policy: ServePolicy, ended: threading.Event
    ) -> None:
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self.ended = ended
        self.failure: Exception | None = None
        self._chain = chain
        self._listener = listener
        self._sealing = SealingLoop(chain, policy.seal, self._fail)
        self._announcer = Announcer(chain)
        self._http = uvicorn.Server(_config(chain, policy, self._announcer))
        self._thread = threading.Thread(target=self._listen, name="json-rpc", daemon=True)

    def start(self) -> None:
        """Return once requests are answered."""
        self._sealing.start()
        self._announcer.start()
        self._thread.start()
        waited = threading.Event()
        for _ in range(_START_SECONDS * 100):
            if self._http.started or not self._thread.is_alive():
                break
            waited.wait(0.01)
        if not self._http.started:
            raise Broken("chain-server", "The JSON-RPC server did not start.", "Read the log above.")
        genesis.put_file(self._chain.directory / URL_FILE, f"{self.url}\n".encode(), mode=0o644)

    def stop(self) -> None:
        """Answer what is being asked, seal what is being sealed, and end; the chain stays open."""
        (self._chain.directory / URL_FILE).unlink(missing_ok=True)
        self._http.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._announcer.stop()
        self._sealing.stop()
        self._listener.close()

    def _listen(self) -> None:
        try:
            self._http.run(sockets=[self._listener])
        finally:
            self.ended.set()

    def _fail(self, failure: Exception) -> None:
        self.failure = failure
        self.ended.set()


@contextmanager
def serve(
    chain: EmbeddedChain,
    host: str = "127.0.0.1",
    port: int = 0,
    policy: ServePolicy | None = None,
    ended: threading.Event | None = None,
) -> Iterator[ChainServer]:
    """Serve an open chain while the context lasts; port 0 takes a free one. `Rejected` if it is taken.

    `ended` is set when serving cannot go on.
    """
    server = ChainServer(chain, _bind(host, port), policy or ServePolicy(), ended or threading.Event())
    try:
        server.start()
        yield server
    finally:
        server.stop()


def run(
    directory: Path,
    *,
    clock: Clock,
    host: str = "127.0.0.1",
    port: int = 8545,
    policy: ServePolicy | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the chain in `directory` until SIGTERM or SIGINT; call it from the main thread. `ready` is told
    the URL once it answers.

    Raises `Rejected` (no chain there, already running, port taken) or `Broken` (a block cannot be written).
    """
    policy = policy or ServePolicy()
    chain = open_chain(directory, clock, finality=policy.finality, keep_states=policy.keep_states)
    ended = threading.Event()
    try:
        with _signals(ended), serve(chain, host, port, policy, ended) as server:
            ready(server.url)
            ended.wait()
            failure = server.failure
    finally:
        chain.close()
    if failure is not None:
        raise _broken(failure) from failure


def url_of(directory: Path) -> str | None:
    """Where the chain in `directory` was last heard to listen; None when it says nothing."""
    with suppress(OSError):
        return (directory / URL_FILE).read_text(encoding="ascii").strip() or None
    return None


def _config(chain: EmbeddedChain, policy: ServePolicy, announcer: Announcer) -> uvicorn.Config:
    faucet = Faucet(chain, policy.faucet)
    grid = GridMethods(chain, faucet, allow_reorg=policy.allow_reorg)
    return uvicorn.Config(
        application(chain, grid, announcer),
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=_STOP_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY,
    )


def _bind(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), backlog=_BACKLOG)
        # Accepted sockets inherit it. asyncio leaves it unset here, and each answer would wait for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener  # noqa: TRY300  # both calls can fail
    except OSError as exc:
        raise Rejected(
            "port-taken",
            f"Cannot listen on {host}:{port}: {exc.strerror}.",
            "Choose another port; 0 is any.",
        ) from exc


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    wanted = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(one, lambda *_: stop.set()) for one in wanted]
    try:
        yield
    finally:
        for one, handler in zip(wanted, before, strict=True):
            signal.signal(one, handler)


def _broken(failure: Exception) -> MarketError:
    if isinstance(failure, MarketError):
        return failure
    return Broken(
        "chain-cannot-seal",
        f"A block could not be written: {failure}.",
        "Check the disk of the chain's directory; nothing acknowledged was lost.",
    )
