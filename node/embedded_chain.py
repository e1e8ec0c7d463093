"""The embedded chain as the node's child: started, watched and restarted, stopped with the node.

A process of its own, so that a crash of one leaves the other whole; the chain's own lock refuses a second.
A chain that is already running in the directory (a node restarted after kill -9) is used as it is, and
taken over once it ends. It leads a session of its own: an interrupt at the terminal reaches the node
alone, which needs its chain until it has stopped.
"""

import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from ledger.chain.embedded import genesis
from ledger.chain.embedded.chain import is_running
from ledger.chain.embedded.server import url_of
from ledger.chain.rpc import Rpc
from ledger.market.errors import MarketError, Unavailable
from ledger.market.identity import Address

_log = logging.getLogger(__name__)
START_SECONDS = 60.0
WATCH_SECONDS = 0.5
PORT_FILE = "rpc.port"
"""where the chain listened last, in its directory: wallets and agents have written that port down"""


class EmbeddedChain:
    """The chain below `directory`; `seal_seconds` and `on_demand` are handed on to its process."""

    def __init__(self, directory: Path, *, seal_seconds: float, on_demand: bool) -> None:
        self._directory = directory
        self._options = ["--seal-time", str(seal_seconds)] + (["--on-demand"] if on_demand else [])
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._port = 0

    def start(self) -> str:
        """Start it unless it runs; its RPC URL. `Unavailable` where it does not come up."""
        url = self._ready_url()
        if url is None:
            self._port = self._usual_port()
            self._spawn()
            url = self._wait()
        self._port = int(url.rsplit(":", 1)[1])
        genesis.put_file(self._directory / PORT_FILE, b"%d\n" % self._port, mode=0o644)
        threading.Thread(target=self._watch, name="chain-watch", daemon=True).start()
        return url

    def market(self) -> Address:
        """The market contract that the grid was founded with."""
        return Address(genesis.read(self._directory).contracts["market"])

    def stop(self) -> None:
        """Stop what was started here; a chain that was found running is left alone."""
        with self._starting:
            self._ended.set()
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _usual_port(self) -> int:
        """The port of before; 0, any, at the first start or where somebody else has it now."""
        with suppress(OSError, ValueError):
            port = int((self._directory / PORT_FILE).read_text())
            with suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port
            _log.warning("port %d is taken; providers and wallets must be told the chain's new one", port)
        return 0

    def _spawn(self) -> None:
        command = [
            sys.executable,
            "-m",
            "node.cli",
            "chain",
            "run",
            "--dir",
            str(self._directory),
            "--port",
            str(self._port),
            *self._options,
        ]
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def _wait(self) -> str:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            url = self._ready_url()
            if url is not None:
                return url
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise Unavailable(
            "chain-did-not-start",
            f"The embedded chain in {self._directory} did not come up.",
            "Run bingwang chain run --dir there to see why.",
        )

    def _ready_url(self) -> str | None:
        url = url_of(self._directory)
        if url is None:
            return None
        rpc = Rpc(url, timeout=2.0)
        try:
            chain_id = int(str(rpc.raw("eth_chainId")), 16)
        except MarketError:
            return None
        finally:
            rpc.close()
        # A file left by a crash may name a port that another grid's chain has since taken.
        return url if chain_id == genesis.read(self._directory).chain_id else None

    def _watch(self) -> None:
        """A chain that dies is started again on the same port, so that nobody has to look for it."""
        while not self._ended.wait(WATCH_SECONDS):
            with self._starting:
                if not self._ended.is_set() and self._died():
                    _log.warning("the embedded chain ended; starting it again")
                    self._spawn()

    def _died(self) -> bool:
        """Whether nobody runs the chain: neither our child nor somebody else, before it or after it."""
        if self._process is not None and self._process.poll() is None:
            return False
        return self._ready_url() is None and not is_running(self._directory)
