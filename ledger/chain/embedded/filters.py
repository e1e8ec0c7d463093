"""Filters: news for clients that poll over HTTP and have no connection to be told on.

A filter that nobody polls for `IDLE_SECONDS` is forgotten, and there are never more than `MAX_FILTERS`.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.chain.embedded import formatting, parameters
from ledger.chain.embedded.block_references import HIGHEST, TAGS
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.feeds import ArrivalFeed, BlockFeed, Feed, LogFeed
from ledger.chain.embedded.queries import LogFilter
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, SERVER_ERROR, RpcError, invalid

IDLE_SECONDS = 300
MAX_FILTERS = 1_000


@dataclass
class _Installed:
    feed: Feed
    used: float
    wanted: object = None
    """the filter object, of a log filter"""
    polling: threading.Lock = field(default_factory=threading.Lock)


class Filters:
    """Bound to one chain; `clock` is monotonic, in seconds; `draw` makes ids that nobody guesses.

    `logs` answers `eth_getLogs`.
    """

    def __init__(
        self,
        chain: EmbeddedChain,
        logs: Callable[[object], object],
        clock: Callable[[], float],
        draw: Callable[[], str],
    ) -> None:
        self._chain = chain
        self._logs = logs
        self._clock = clock
        self._draw = draw
        self._installed: dict[str, _Installed] = {}
        self._lock = threading.Lock()

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {
            "eth_newFilter": self.new_filter,
            "eth_newBlockFilter": self.new_block_filter,
            "eth_newPendingTransactionFilter": self.new_pending_filter,
            "eth_getFilterChanges": self.changes,
            "eth_getFilterLogs": self.filter_logs,
            "eth_uninstallFilter": self.uninstall,
        }

    def new_filter(self, wanted: object) -> str:
        """Follow the logs that a filter object matches, from now on; the filter's id."""
        feed = LogFeed(self._chain, followed(wanted))
        return self._install(_Installed(feed, self._clock(), wanted))

    def new_block_filter(self) -> str:
        """Follow the hashes of new blocks; the filter's id."""
        feed = BlockFeed(self._chain, lambda row: formatting.data(row.hash))
        return self._install(_Installed(feed, self._clock()))

    def new_pending_filter(self, full: object = False) -> str:
        """Follow the hashes of arriving transactions; the filter's id."""
        if full not in (False, None):
            raise invalid("whole transactions are not offered by filters")
        return self._install(_Installed(ArrivalFeed(self._chain, formatting.data), self._clock()))

    def changes(self, key: object) -> list[object]:
        """What is new since the last call."""
        installed = self._find(key)
        with installed.polling:
            return installed.feed.poll()

    def filter_logs(self, key: object) -> object:
        """All logs of a log filter's range, as `eth_getLogs` gives them."""
        installed = self._find(key)
        if installed.wanted is None:
            raise _absent()
        return self._logs(installed.wanted)

    def uninstall(self, key: object) -> bool:
        """Forget a filter; false when there was none."""
        with self._lock:
            return self._installed.pop(str(key), None) is not None

    def _install(self, installed: _Installed) -> str:
        key = self._draw()
        with self._lock:
            self._forget_idle()
            if len(self._installed) >= MAX_FILTERS:
                raise RpcError(LIMIT_EXCEEDED, f"more than {MAX_FILTERS} filters: uninstall some")
            self._installed[key] = installed
        return key

    def _find(self, key: object) -> _Installed:
        with self._lock:
            self._forget_idle()
            installed = self._installed.get(str(key))
            if installed is None:
                raise _absent()
            installed.used = self._clock()
            return installed

    def _forget_idle(self) -> None:
        oldest = self._clock() - IDLE_SECONDS
        for key in [key for key, one in self._installed.items() if one.used < oldest]:
            del self._installed[key]


def followed(wanted: object) -> LogFilter:
    """A filter object as a filter of what comes; heights bound it, tags do not."""
    if not isinstance(wanted, dict):
        raise invalid("filter object is missing")
    if wanted.get("blockHash") is not None:
        raise invalid("a filter of what comes cannot name a block's hash")
    first, last = _height(wanted.get("fromBlock"), 0), _height(wanted.get("toBlock"), HIGHEST)
    if first > last:
        raise invalid("invalid block range params")
    return parameters.log_filter(wanted, first, last)


def _height(block: object, otherwise: int) -> int:
    if block is None or (isinstance(block, str) and block in TAGS):
        return otherwise
    return min(parameters.quantity(block, "block"), HIGHEST)


def _absent() -> RpcError:
    return RpcError(SERVER_ERROR, "filter not found")
