import asyncio
from collections.abc import Iterator
from typing import cast

import pytest

from ledger.market.errors import MarketError, Rejected, Unavailable
from ledger.market.identity import LeaseId
from provider_agent.connections.log_shipping import LogShipping
from provider_agent.connections.node_client import NodeClient
from provider_agent.runtimes.base import LogChunk, Runtime, Stream
from tests.factories import a_digest

LEASE = LeaseId(a_digest("lease"))
AWAY = Unavailable("node-unreachable", "The node is away.", "Wait.")


class LogOfOne:
    """A container's log, a byte a chunk; `fails` ends it."""

    def __init__(self, text: bytes, fails: MarketError | None = None) -> None:
        self.text = text
        self.fails = fails

    def logs(self, lease: bytes, *, offset: int = 0, follow: bool = False) -> Iterator[LogChunk]:
        assert lease == LEASE
        for place in range(offset, len(self.text)):
            yield LogChunk(offset=place, stream=Stream.STDOUT, data=self.text[place : place + 1])
        if self.fails is not None:
            raise self.fails


class NodeLog:
    """The node's copy; it is away for the calls that are numbered in `away`."""

    def __init__(self, kept: bytes = b"", away: frozenset[int] = frozenset()) -> None:
        self.kept = kept
        self.away = away
        self.calls = 0

    async def append_log(self, lease: LeaseId, offset: int, data: bytes) -> int:
        self.calls += 1
        if self.calls in self.away:
            raise AWAY
        assert offset <= len(self.kept)
        self.kept += data[len(self.kept) - offset :]
        return len(self.kept)


def shipping(node: NodeLog, log: LogOfOne) -> LogShipping:
    return LogShipping(cast(NodeClient, node), cast(Runtime, log))


def ship(node: NodeLog, log: LogOfOne) -> list[MarketError]:
    failed: list[MarketError] = []

    async def scene() -> None:
        logs = shipping(node, log)
        logs.follow(LEASE, LEASE, failed.append)
        await logs.finish(LEASE, LEASE)

    asyncio.run(scene())
    return failed


@pytest.mark.parametrize("kept", [b"", b"hel", b"hello world"])
def test_a_log_arrives_once_from_where_the_node_has_it(kept: bytes) -> None:
    node = NodeLog(kept)
    assert ship(node, LogOfOne(b"hello world")) == []
    assert node.kept == b"hello world"


def test_a_node_that_was_away_gets_the_rest_at_the_end() -> None:
    node = NodeLog(away=frozenset({2}))
    assert ship(node, LogOfOne(b"hello world")) == [AWAY]
    assert node.kept == b"hello world"


def test_a_node_that_stays_away_is_said_so() -> None:
    with pytest.raises(Unavailable):
        ship(NodeLog(away=frozenset(range(1, 9))), LogOfOne(b"hello"))


def test_what_came_before_a_failure_is_shipped_and_a_lost_container_has_no_rest() -> None:
    gone = Rejected("container-not-found", "It is gone.", "Look again.")
    node = NodeLog()
    assert ship(node, LogOfOne(b"hello", gone)) == [gone]
    assert node.kept == b"hello"


def test_an_empty_log_is_no_log() -> None:
    node = NodeLog()
    assert ship(node, LogOfOne(b"")) == []
    assert node.kept == b""
