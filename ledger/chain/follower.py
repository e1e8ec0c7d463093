"""Why a fact of the chain reaches the books once, in order, and leaves them when its block does.

The follower keeps nothing itself: the cursor goes in and comes out as a value, and its caller commits
it together with the facts. The same cursor polled twice gives the same facts; a crash between poll and
commit loses nothing. Finalised blocks are read in ranges, the unfinalised tail block by block, so that
a reorganisation shows as a parent that is not ours.

Nodes behind one endpoint may differ: one that lags proves nothing, so only another block in the place of one
that we followed is a reorganisation, and a block whose logs are missing is asked for again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Protocol

from ledger.chain.finality import final_number
from ledger.chain.log_ranges import LogRange
from ledger.market.errors import Broken, LostRace, Rejected, Unavailable
from ledger.market.events import BlockRef, Logged
from ledger.market.facts import ChainObserved, ChainRewound

LIVE_BLOCKS = 256


class ChainSource(Protocol):
    """What is asked of a chain; `ledger.chain.client.MarketClient` is one.

    `block` raises `LostRace` where there is no such block; so may the others when the chain moves.
    `logs_at_once` raises `Rejected` or `Unavailable` for a range that the endpoint finds too large.
    """

    def block(self, which: int | Literal["latest", "finalized"]) -> BlockRef: ...

    def logs_at_once(self, first: int, last: int) -> Sequence[Logged]: ...

    def logs_of(self, block_hash: bytes) -> Sequence[Logged]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowCursor:
    """How far the chain was followed: `block` was the last; `tail` are the blocks, oldest first and
    `block` last, from the newest finalised one on, to find the common ancestor in a reorganisation."""

    block: BlockRef
    tail: tuple[BlockRef, ...]

    def __post_init__(self) -> None:
        if not self.tail or self.tail[-1] != self.block:
            raise Rejected("malformed-cursor", "The tail does not end in the block.", "Start anew.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One step: facts in order, and the cursor to commit with them. `caught_up` is False where more
    waits and the next poll should follow at once."""

    facts: tuple[ChainObserved | ChainRewound, ...]
    cursor: FollowCursor
    caught_up: bool


class Follower:
    """Follows one chain up to `confirmations` deep; 1 takes the head itself."""

    def __init__(self, source: ChainSource, confirmations: int = 1) -> None:
        self._source = source
        self._behind = max(0, confirmations - 1)
        self._range = LogRange()

    def start(self, first_block: int) -> FollowCursor:
        """The cursor from which `first_block` (where the market was deployed) is followed next."""
        block = self._source.block(max(0, first_block - 1))
        return FollowCursor(block=block, tail=(block,))

    def poll(self, cursor: FollowCursor) -> Followed:
        """The next facts after `cursor`. `Broken` where a reorganisation reached below finality."""
        head = self._source.block("latest")
        final = final_number(self._source, head)
        kept = self._canonical(cursor)
        facts: list[ChainObserved | ChainRewound] = []
        if kept != cursor:
            facts.append(ChainRewound(to=kept.block))
        target = head.number - self._behind
        walk = _Walk(self._source, kept, final)
        try:
            facts_of_range = walk.finalised(target, self._range)
            facts += facts_of_range if facts_of_range is not None else walk.live(target)
        except LostRace:
            facts += walk.found
        return Followed(facts=tuple(facts), cursor=walk.cursor, caught_up=walk.cursor.block.number >= target)

    def _canonical(self, cursor: FollowCursor) -> FollowCursor:
        """The cursor, cut back to the newest block that still is in the chain where another one is in the
        place of a newer."""
        replaced = False
        for position in range(len(cursor.tail), 0, -1):
            block = cursor.tail[position - 1]
            found = self._hash_at(block.number)
            if found == block.hash:
                return FollowCursor(block=block, tail=cursor.tail[:position]) if replaced else cursor
            replaced = replaced or found is not None
        if not replaced:
            return cursor
        raise Broken(
            "reorganised-below-finality",
            f"Block {cursor.tail[0].number}, which was final, is no longer in the chain.",
            "Check that the endpoint serves the same chain; if so, rebuild the books from its events.",
        )

    def _hash_at(self, number: int) -> bytes | None:
        try:
            return self._source.block(number).hash
        except LostRace:
            return None


class _Walk:
    """One poll's way forward: the cursor moves only over blocks whose facts were read."""

    def __init__(self, source: ChainSource, cursor: FollowCursor, final: int) -> None:
        self._source = source
        self._final = final
        self.cursor = cursor
        self.found: list[ChainObserved] = []

    def finalised(self, target: int, size: LogRange) -> list[ChainObserved] | None:
        """The facts of the next range of final blocks, at most as many as `size` says; None where the tail
        begins."""
        first, end = self.cursor.block.number + 1, min(target, self._final)
        if end <= first:
            return None
        logged, last = self._logs(first, end, size)
        block = self._source.block(last)
        self.cursor = FollowCursor(block=block, tail=(block,))
        return list(_by_block(logged))

    def _logs(self, first: int, end: int, size: LogRange) -> tuple[Sequence[Logged], int]:
        """The logs of the blocks from the first on, and the last one that was asked for."""
        while True:
            last = min(first + size.blocks - 1, end)
            try:
                logged = self._source.logs_at_once(first, last)
            except (Rejected, Unavailable) as exc:
                # After a time-out the next poll asks for less: this one took long enough.
                if not size.halved(exc, last - first + 1) or isinstance(exc, Unavailable):
                    raise
            else:
                size.answered()
                return logged, last

    def live(self, target: int) -> list[ChainObserved]:
        """The facts of the next blocks one by one, up to a block that does not follow ours."""
        for number in range(self.cursor.block.number + 1, target + 1)[:LIVE_BLOCKS]:
            block = self._source.block(number)
            if block.parent != self.cursor.block.hash:
                break
            self.found += _by_block(self._source.logs_of(block.hash))
            self.cursor = FollowCursor(block=block, tail=self._pruned(block))
        return self.found

    def _pruned(self, block: BlockRef) -> tuple[BlockRef, ...]:
        tail = (*self.cursor.tail, block)
        anchor = max((one.number for one in tail if one.number <= self._final), default=0)
        return tuple(one for one in tail if one.number >= anchor)


def _by_block(logged: Iterable[Logged]) -> Iterable[ChainObserved]:
    ordered = sorted(logged, key=lambda one: (one.block.number, one.log_index))
    for block, events in groupby(ordered, key=lambda one: one.block):
        yield ChainObserved(block=block, events=tuple(events))
