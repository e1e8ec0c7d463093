"""The embedded chain as the node's child: started, watched and restarted, stopped with the node.

A process of its own, so that a crash of one leaves the other whole; the chain's own lock refuses a second.
A chain that is already running in the directory (a node restarted after kill -9) is used as it is.
"""

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

from ledger.chain.embedded import genesis
from ledger.chain.embedded.server import url_of
from ledger.chain.rpc import Rpc
from ledger.market.errors import MarketError, Unavailable
from ledger.market.identity import Address

_log = logging.getLogger(__name__)
START_SECONDS = 60.0
WATCH_SECONDS = 0.5


class EmbeddedChain:
    """The chain below `directory`; `seal_seconds` and `on_demand` are handed on to its process."""

    def __init__(self, directory: Path, *, seal_seconds: float, on_demand: bool) -> None:
        self._directory = directory
        self._options = ["--seal-time", str(seal_seconds)] + (["--on-demand"] if on_demand else [])
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._port = 0

    def start(self) -> str:
        """Start it unless it runs; its RPC URL. `Unavailable` where it does not come up."""
        url = self._ready_url()
        if url is None:
            self._spawn()
            url = self._wait()
        self._port = int(url.rsplit(":", 1)[1])
        threading.Thread(target=self._watch, name="chain-watch", daemon=True).start()
        return url

    def market(self) -> Address:
        """The market contract that the grid was founded with."""
        return Address(genesis.read(self._directory).contracts["market"])

    def stop(self) -> None:
        """Stop what was started here; a chain that was found running is left alone."""
        self._ended.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

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
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603

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
            rpc.raw("eth_blockNumber")
        except MarketError:
            return None
        finally:
            rpc.close()
        return url

    def _watch(self) -> None:
        """A chain that dies is started again on the same port, so that nobody has to look for it."""
        while not self._ended.wait(WATCH_SECONDS):
            process = self._process
            if process is not None and process.poll() is not None:
                _log.warning("the embedded chain ended with %s; starting it again", process.returncode)
                self._spawn()
