"""What is new on the chain since a client last looked: one cursor a client, so that nothing is queued.

A feed remembers the block that its client saw last and reads from the store whatever happened since, however
slow the client is; a reorganisation shows as blocks left and blocks joined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ledger.chain.embedded import formatting
from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.queries import LogFilter, Queries
from ledger.chain.embedded.rows import BlockRow, LogRow
from ledger.chain.embedded.rpc_error import LIMIT_EXCEEDED, RpcError

MAX_BLOCKS = 1_000
"""blocks that one poll reads; the next one goes on from there"""
MAX_LOGS = 20_000
"""logs of one answer, whoever asks and however"""


class Feed(Protocol):
    """A client's place in what happens."""

    def poll(self) -> list[object]:
        """What is new since the last poll, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """From one block to a later head: `left` newest first, then heights `first` to `head`."""

    left: Sequence[BlockRow]
    first: int
    head: BlockRow


def advance(query: Queries, seen: BlockRow) -> Advance:
    """What to undo and what to do for a client that saw `seen`, at most `MAX_BLOCKS` further."""
    left = []
    while not query.is_canonical(seen):
        left.append(seen)
        parent = query.block_by_hash(seen.parent)
        assert parent is not None, "every block but the canonical first has a parent"
        seen = parent
    last = min(query.head().number, seen.number + MAX_BLOCKS)
    head = query.block_by_number(last)
    assert head is not None, "the canonical chain has no gaps"
    return Advance(left=left, first=seen.number + 1, head=head)


class BlockFeed:
    """New canonical blocks, each as `shown`."""

    def __init__(self, chain: EmbeddedChain, shown: Callable[[BlockRow], object]) -> None:
        self._chain = chain
        self._shown = shown
        self._seen = chain.head()

    def poll(self) -> list[object]:
        """The blocks that joined; those of a new branch from its root."""
        with self._chain.store.reading() as query:
            step = advance(query, self._seen)
            joined = query.blocks_between(step.first, step.head.number)
        self._seen = step.head
        return [self._shown(row) for row in joined]


class LogFeed:
    """New logs that `wanted` matches; its heights bound them too."""

    def __init__(self, chain: EmbeddedChain, wanted: LogFilter) -> None:
        self._chain = chain
        self._wanted = wanted
        self._seen = chain.head()

    def poll(self) -> list[object]:
        """First the logs of blocks that left, latest first and `removed`, then the new ones.

        `RpcError` where there are more than anybody should be sent; they are not offered again.
        """
        with self._chain.store.reading() as query:
            step = advance(query, self._seen)
            self._seen = step.head
            undone = [
                formatting.log(log, removed=True) for row in step.left for log in self._logs_of(query, row)
            ]
            done = self._between(query, step.first, step.head.number)
        if len(done) > MAX_LOGS:
            raise RpcError(LIMIT_EXCEEDED, f"more than {MAX_LOGS} logs since the last look: use eth_getLogs")
        return [*undone, *(formatting.log(log) for log in done)]

    def _logs_of(self, query: Queries, row: BlockRow) -> Sequence[LogRow]:
        if not self._wanted.first <= row.number <= self._wanted.last:
            return ()
        return query.logs(replace(self._wanted, block=row.hash), MAX_LOGS)[::-1]

    def _between(self, query: Queries, first: int, last: int) -> Sequence[LogRow]:
        first, last = max(first, self._wanted.first), min(last, self._wanted.last)
        return query.logs(replace(self._wanted, first=first, last=last), MAX_LOGS + 1)


class ArrivalFeed:
    """Transactions that were pooled, each as `shown` shows its hash; None leaves one out."""

    def __init__(self, chain: EmbeddedChain, shown: Callable[[bytes], object]) -> None:
        self._chain = chain
        self._shown = shown
        with chain.changed:
            self._seen = chain.mempool.arrived

    def poll(self) -> list[object]:
        """The new ones in order, also those that are sealed by now."""
        with self._chain.changed:
            hashes = self._chain.mempool.arrivals_since(self._seen)
            self._seen = self._chain.mempool.arrived
        return [shown for one in hashes if (shown := self._shown(one)) is not None]
