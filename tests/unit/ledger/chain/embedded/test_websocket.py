"""A connection that does not keep up is cut off, and costs nobody anything until then."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ledger.chain.embedded.rpc import Dispatcher
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, RpcError
from ledger.chain.embedded.websocket import MAX_CONNECTIONS, WebSocketSessions


class Announcements:
    """Wakes at once, as if the chain had just changed."""

    @contextmanager
    def waking(self, wake: Any) -> Iterator[None]:
        wake()
        yield


class News:
    """Subscriptions with these notifications; an error is raised in its place."""

    def __init__(self, *batches: list[str] | RpcError) -> None:
        self._batches = list(batches)
        self.polled = threading.Event()

    def table(self) -> dict[str, Any]:
        return {}

    def activate(self) -> None:
        pass

    def poll(self) -> list[str]:
        self.polled.set()
        batch = self._batches.pop(0) if self._batches else []
        if isinstance(batch, RpcError):
            raise batch
        return batch


class Socket:
    """A client that sends nothing and takes messages until it is `stuck`."""

    def __init__(self, *, stuck: bool = False) -> None:
        self._stuck = stuck
        self.sent: list[str] = []
        self.closed: tuple[int, str] | None = None

    async def accept(self) -> None:
        pass

    async def receive(self) -> dict[str, Any]:
        return dict(await asyncio.Future[dict[str, Any]]())

    async def send_text(self, text: str) -> None:
        if self._stuck:
            await asyncio.Future[None]()
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


def sessions(news: News, patience: float = 0.05) -> WebSocketSessions:
    return WebSocketSessions(Dispatcher(), Announcements(), lambda: news, patience)  # type: ignore[arg-type,return-value]


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    socket = Socket(stuck=True)
    asyncio.run(asyncio.wait_for(sessions(News(["one"])).serve(socket), 20))  # type: ignore[arg-type]
    assert socket.sent == []


def test_a_client_with_more_news_than_allowed_is_told_why_and_cut_off() -> None:
    socket = Socket()
    news = News(["one", "two"], RpcError(LIMIT_EXCEEDED, "more than 20000 logs"))
    asyncio.run(asyncio.wait_for(sessions(news).serve(socket), 20))  # type: ignore[arg-type]
    assert socket.sent == ["one", "two"]
    assert socket.closed == (1008, "more than 20000 logs")


def test_a_failure_that_nobody_expected_is_not_swallowed() -> None:
    class Failing(News):
        def poll(self) -> list[str]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(sessions(Failing()).serve(Socket()), 20))  # type: ignore[arg-type]


def test_there_are_only_so_many_connections() -> None:
    async def crowd() -> Socket:
        served = sessions(News())
        crowded = [asyncio.create_task(served.serve(Socket())) for _ in range(MAX_CONNECTIONS)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        one_more = Socket()
        await served.serve(one_more)  # type: ignore[arg-type]
        for task in crowded:
            task.cancel()
        await asyncio.gather(*crowded, return_exceptions=True)
        after = Socket(stuck=True)
        again = sessions(News(["one"]))
        await again.serve(after)  # type: ignore[arg-type]
        return one_more

    assert asyncio.run(crowd()).closed == (1013, "too many connections")
