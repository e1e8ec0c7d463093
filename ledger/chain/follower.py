"""Why a fact of the chain reaches the books once, in order, and leaves them when its block does.

The follower keeps nothing itself: the cursor goes in and comes out as a value, and its caller commits
it together with the facts. The same cursor polled twice gives the same facts; a crash between poll and
commit loses nothing. Finalised blocks are read in ranges, the unfinalised tail block by block, so that
a reorganisation shows as a parent that is not ours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Protocol

from ledger.market.errors import Broken, LostRace, Rejected
from ledger.market.events import BlockRef, Logged
from ledger.market.facts import ChainObserved, ChainRewound

RANGE_BLOCKS = 2_000
LIVE_BLOCKS = 256
ASSUMED_FINALITY = 64
"""blocks behind the head that count as final where an endpoint has no `finalized` tag"""


class ChainSource(Protocol):
    """What is asked of a chain; `ledger.chain.client.MarketClient` is one.

    `block` raises `LostRace` where there is no such block; so may the others when the chain moves.
    """

    def block(self, which: int | Literal["latest", "finalized"]) -> BlockRef: ...

    def logs(self, first: int, last: int) -> Sequence[Logged]: ...

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

    def start(self, first_block: int) -> FollowCursor:
        """The cursor from which `first_block` (where the market was deployed) is followed next."""
        block = self._source.block(max(0, first_block - 1))
        return FollowCursor(block=block, tail=(block,))

    def poll(self, cursor: FollowCursor) -> Followed:
        """The next facts after `cursor`. `Broken` where a reorganisation reached below finality."""
        head = self._source.block("latest")
        final = self._final(head)
        if self._lags(head, cursor):
            return Followed(facts=(), cursor=cursor, caught_up=True)
        facts: list[ChainObserved | ChainRewound] = []
        kept = self._canonical(cursor)
        if kept != cursor:
            facts.append(ChainRewound(to=kept.block))
        target = head.number - self._behind
        walk = _Walk(self._source, kept, final)
        try:
            facts_of_range = walk.finalised(target)
            facts += facts_of_range if facts_of_range is not None else walk.live(target)
        except LostRace:
            facts += walk.found
        return Followed(facts=tuple(facts), cursor=walk.cursor, caught_up=walk.cursor.block.number >= target)

    def _final(self, head: BlockRef) -> int:
        try:
            return self._source.block("finalized").number
        except (LostRace, Rejected):
            return max(0, head.number - ASSUMED_FINALITY)

    def _lags(self, head: BlockRef, cursor: FollowCursor) -> bool:
        """Whether the endpoint merely shows an older state of the chain that we follow."""
        return head.number < cursor.block.number and head in cursor.tail

    def _canonical(self, cursor: FollowCursor) -> FollowCursor:
        for position in range(len(cursor.tail), 0, -1):
            block = cursor.tail[position - 1]
            if self._is_canonical(block):
                return FollowCursor(block=block, tail=cursor.tail[:position])
        raise Broken(
            "reorganised-below-finality",
            f"Block {cursor.tail[0].number}, which was final, is no longer in the chain.",
            "Check that the endpoint serves the same chain; if so, rebuild the books from its events.",
        )

    def _is_canonical(self, block: BlockRef) -> bool:
        try:
            return self._source.block(block.number).hash == block.hash
        except LostRace:
            return False


class _Walk:
    """One poll's way forward: the cursor moves only over blocks whose facts were read."""

    def __init__(self, source: ChainSource, cursor: FollowCursor, final: int) -> None:
        self._source = source
        self._final = final
        self.cursor = cursor
        self.found: list[ChainObserved] = []

    def finalised(self, target: int) -> list[ChainObserved] | None:
        """The facts of the next range of final blocks; None where the tail begins."""
        first = self.cursor.block.number + 1
        last = min(first + RANGE_BLOCKS - 1, target, self._final)
        if last <= first:
            return None
        logged = self._source.logs(first, last)
        block = self._source.block(last)
        self.cursor = FollowCursor(block=block, tail=(block,))
        return list(_by_block(logged))

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
