"""What one WebSocket connection subscribed to, and the notifications that are due on it.

A subscription becomes live only once its id was sent, so that no notification comes before the id.
"""

import json
import threading
from collections.abc import Callable

from ledger.chain.embedded import formatting, parameters
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.feeds import ArrivalFeed, BlockFeed, Feed, LogFeed
from ledger.chain.embedded.filters import followed
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, METHOD_NOT_FOUND, SERVER_ERROR, RpcError

MAX_SUBSCRIPTIONS = 100


class Subscriptions:
    """Of one connection; `transaction` shows a transaction by hash, `draw` makes ids."""

    def __init__(
        self, chain: EmbeddedChain, transaction: Callable[[object], object], draw: Callable[[], str]
    ) -> None:
        self._chain = chain
        self._transaction = transaction
        self._draw = draw
        self._live: dict[str, Feed] = {}
        self._fresh: dict[str, Feed] = {}
        self._lock = threading.Lock()

    def table(self) -> dict[str, Callable[..., object]]:
        """Method names and what answers them."""
        return {"eth_subscribe": self.subscribe, "eth_unsubscribe": self.unsubscribe}

    def subscribe(self, kind: object, details: object = None) -> str:
        """Follow `newHeads`, `logs` or `newPendingTransactions`; the subscription's id."""
        feed = self._feed(kind, details)
        key = self._draw()
        with self._lock:
            if len(self._live) + len(self._fresh) >= MAX_SUBSCRIPTIONS:
                raise RpcError(LIMIT_EXCEEDED, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
            self._fresh[key] = feed
        return key

    def unsubscribe(self, key: object) -> bool:
        """End a subscription. `RpcError` when there is none of that id."""
        with self._lock:
            known = [held.pop(str(key), None) for held in (self._live, self._fresh)]
        if not any(known):
            raise RpcError(SERVER_ERROR, "subscription not found")
        return True

    def activate(self) -> None:
        """The ids of new subscriptions were sent: they are live."""
        with self._lock:
            self._live.update(self._fresh)
            self._fresh.clear()

    def poll(self) -> list[str]:
        """The notifications that are due, as messages."""
        with self._lock:
            live = list(self._live.items())
        return [_notification(key, news) for key, feed in live for news in feed.poll()]

    def _feed(self, kind: object, details: object) -> Feed:
        if kind == "newHeads":
            return BlockFeed(self._chain, formatting.header)
        if kind == "logs":
            return LogFeed(self._chain, followed({} if details is None else details))
        if kind == "newPendingTransactions":
            return ArrivalFeed(self._chain, self._whole if parameters.flag(details) else formatting.data)
        raise RpcError(METHOD_NOT_FOUND, f'no "{kind}" subscription in eth namespace')

    def _whole(self, transaction: bytes) -> object:
        return self._transaction(formatting.data(transaction))


def _notification(key: str, news: object) -> str:
    params = {"subscription": key, "result": news}
    message = {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}
    return json.dumps(message, separators=(",", ":"))
