"""The follower against a chain in memory that reorganises at will, even between two of its answers."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.follower import FollowCursor, Follower
from ledger.chain.log_ranges import RANGE_BLOCKS
from ledger.market.errors import Broken, LostRace, MarketError, Rejected, Unavailable
from ledger.market.events import BlockRef, Deposited, Logged
from ledger.market.facts import ChainObserved, ChainRewound
from tests.factories import an_address

FINALITY = 4
ACCOUNT = an_address("account")


class MemoryChain:
    """Blocks with the events of each; `finalized` never goes back, and nothing below it changes."""

    def __init__(self, *, finalized_tag: bool = True) -> None:
        self._fresh = count(1)
        self.finalized_tag = finalized_tag
        self.final = 0
        self.blocks: list[BlockRef] = []
        self.events: dict[bytes, tuple[Logged, ...]] = {}
        self.calls = 0
        self.ambush: tuple[int, Callable[[], None]] | None = None
        self.limit: int | None = None
        self.refusal: MarketError = Rejected("rpc-refused", "Too many blocks.", "Ask for fewer.")
        self.ranges: list[int] = []
        self.lags = 0
        """newest blocks that a second node behind the endpoint does not have; it answers all but the head"""
        self.append(0)

    def append(self, events: int) -> None:
        fresh = next(self._fresh)
        parent = self.blocks[-1].hash if self.blocks else bytes(32)
        number = len(self.blocks)
        block = BlockRef(number=number, hash=sha256(b"%d" % fresh).digest(), parent=parent, at=fresh)
        self.blocks.append(block)
        self.events[block.hash] = tuple(
            Logged(
                event=Deposited(account=ACCOUNT, amount=fresh),
                block=block,
                log_index=index,
                transaction=bytes(32),
            )
            for index in range(events)
        )
        self.final = max(self.final, number - FINALITY)

    def reorg(self, depth: int, events: int) -> None:
        """Replace up to `depth` unfinalised blocks by one more than were dropped."""
        depth = min(depth, len(self.blocks) - 1 - self.final)
        if depth > 0:
            del self.blocks[-depth:]
            for _ in range(depth + 1):
                self.append(events)

    def canonical(self) -> list[Logged]:
        return [logged for block in self.blocks for logged in self.events[block.hash]]

    def block(self, which: int | str) -> BlockRef:
        self._called()
        if which == "latest":
            return self.blocks[-1]
        if which == "finalized":
            if not self.finalized_tag:
                raise Rejected("rpc-refused", "No such tag.", "Use another.")
            return self.blocks[self.final]
        assert isinstance(which, int)
        if which >= len(self.blocks) - self.lags:
            raise LostRace("not-on-chain", "No such block.", "Look again.")
        return self.blocks[which]

    def logs_at_once(self, first: int, last: int) -> list[Logged]:
        self._called()
        self.ranges.append(last - first + 1)
        if self.limit is not None and last - first + 1 > self.limit:
            raise self.refusal
        return [one for block in self.blocks[first : last + 1] for one in self.events[block.hash]]

    def logs_of(self, block_hash: bytes) -> list[Logged]:
        self._called()
        if all(block.hash != block_hash for block in self.blocks):
            raise LostRace("not-on-chain", "No such block.", "Look again.")
        return list(self.events[block_hash])

    def _called(self) -> None:
        self.calls += 1
        if self.ambush is not None and self.calls >= self.ambush[0]:
            strike, self.ambush = self.ambush[1], None
            strike()


class Books:
    """What a caller keeps: the events, and the cursor committed with them."""

    def __init__(self, cursor: FollowCursor) -> None:
        self.cursor = cursor
        self.events: list[Logged] = []
        self.rewinds = 0

    def follow(self, follower: Follower) -> bool:
        followed = follower.poll(self.cursor)
        for fact in followed.facts:
            if isinstance(fact, ChainRewound):
                self.rewinds += 1
                self.events = [one for one in self.events if one.block.number <= fact.to.number]
            else:
                assert all(one.block == fact.block for one in fact.events)
                self.events += fact.events
        self.cursor = followed.cursor
        return followed.caught_up

    def catch_up(self, follower: Follower) -> None:
        for _ in range(10):
            if self.follow(follower):
                return
        pytest.fail("never caught up")


def followed(blocks: int) -> tuple[MemoryChain, Follower, Books]:
    """A chain of so many blocks with an event each, and books that have caught up with it."""
    chain = MemoryChain()
    follower = Follower(chain)
    books = Books(follower.start(0))
    for _ in range(blocks):
        chain.append(1)
    books.catch_up(follower)
    return chain, follower, books


steps = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("reorg"), st.integers(1, FINALITY), st.integers(0, 2)),
    st.tuples(st.just("poll"), st.just(0), st.just(0)),
    st.tuples(st.just("ambush"), st.integers(1, 12), st.integers(0, 2)),
)


def act(chain: MemoryChain, books: Books, follower: Follower, step: tuple[str, int, int]) -> None:
    name, number, events = step
    match name:
        case "append":
            chain.append(number)
        case "reorg":
            chain.reorg(number, events)
        case "ambush":
            chain.ambush = (chain.calls + number, lambda: chain.reorg(FINALITY, events))
        case _:
            books.follow(follower)


@given(st.lists(steps, max_size=40), st.booleans())
def test_what_was_applied_less_what_was_rewound_is_the_canonical_chain(
    history: list[tuple[str, int, int]],
    finalized_tag: bool,
) -> None:
    chain = MemoryChain(finalized_tag=finalized_tag)
    follower = Follower(chain)
    books = Books(follower.start(0))
    for step in history:
        act(chain, books, follower, step)
    chain.ambush = None
    books.catch_up(follower)
    assert books.events == chain.canonical()
    assert books.cursor.block == chain.blocks[-1]


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(1, 6))
def test_only_blocks_as_deep_as_asked_are_followed(blocks: list[int], confirmations: int) -> None:
    chain = MemoryChain()
    follower = Follower(chain, confirmations)
    books = Books(follower.start(0))
    for events in blocks:
        chain.append(events)
    books.catch_up(follower)
    deepest = len(chain.blocks) - confirmations
    assert books.events == [one for one in chain.canonical() if one.block.number <= deepest]


@given(st.lists(st.integers(0, 1), min_size=1, max_size=20))
def test_polling_a_cursor_twice_gives_the_same(blocks: list[int]) -> None:
    chain = MemoryChain()
    follower = Follower(chain)
    cursor = follower.start(0)
    for events in blocks:
        chain.append(events)
    first = follower.poll(cursor)
    assert follower.poll(cursor) == first
    assert follower.poll(first.cursor).facts == () or not first.caught_up


def test_following_begins_at_the_block_asked_for() -> None:
    chain = MemoryChain()
    for _ in range(3):
        chain.append(1)
    follower = Follower(chain)
    books = Books(follower.start(2))
    books.catch_up(follower)
    assert [one.block.number for one in books.events] == [2, 3]


def test_the_tail_reaches_back_to_a_final_block_and_no_further() -> None:
    chain = MemoryChain()
    follower = Follower(chain)
    books = Books(follower.start(0))
    for _ in range(20):
        chain.append(1)
        books.follow(follower)
    assert [one.number for one in books.cursor.tail] == list(range(16, 21))


def test_an_endpoint_that_lags_rewinds_nothing() -> None:
    chain, follower, books = followed(3)
    ahead = chain.blocks.pop()
    books.follow(follower)
    chain.blocks.append(ahead)
    books.follow(follower)
    assert (len(books.events), books.rewinds) == (3, 0)


def test_a_reorganisation_below_finality_stops_the_follower() -> None:
    chain, follower, books = followed(10)
    chain.blocks = []
    for _ in range(12):
        chain.append(1)
    with pytest.raises(Broken) as failure:
        books.follow(follower)
    assert failure.value.code == "reorganised-below-finality"


def test_a_cursor_whose_tail_ends_elsewhere_is_refused() -> None:
    chain = MemoryChain()
    chain.append(0)
    with pytest.raises(Rejected):
        FollowCursor(block=chain.blocks[1], tail=(chain.blocks[0],))


def test_blocks_without_events_are_no_facts() -> None:
    chain = MemoryChain()
    follower = Follower(chain)
    cursor = follower.start(0)
    for events in (0, 1, 0):
        chain.append(events)
    followed = follower.poll(cursor)
    assert [fact.block.number for fact in followed.facts if isinstance(fact, ChainObserved)] == [2]
    assert followed.cursor.block.number == 3


def a_long_chain(blocks: int, events: int = 1) -> MemoryChain:
    chain = MemoryChain()
    for number in range(blocks):
        chain.append(events if number % 50 == 0 else 0)
    return chain


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_a_range_that_is_too_large_is_halved_until_it_is_answered(limit: int) -> None:
    chain = a_long_chain(1_500)
    chain.limit = limit
    books, follower = Books(Follower(chain).start(0)), Follower(chain)
    while not books.follow(follower):
        pass
    assert books.events == chain.canonical()


def test_what_was_found_too_large_is_not_asked_for_again_at_once() -> None:
    """And it grows by a quarter, since some limits depend on what the range holds."""
    chain = a_long_chain(1_500)
    chain.limit = 200
    books, follower = Books(Follower(chain).start(0)), Follower(chain)
    books.follow(follower)
    assert chain.ranges == [1_496, 748, 374, 187]
    books.follow(follower)
    assert chain.ranges[4:] == [234, 117]
    chain.limit = None
    while not books.follow(follower):
        pass
    assert chain.ranges[6:9] == [147, 184, 231]


def test_a_range_that_takes_too_long_is_halved_for_the_next_time() -> None:
    chain = a_long_chain(1_500)
    chain.limit, chain.refusal = 800, Unavailable("rpc-unreachable", "Slow.", "Wait.", timed_out=True)
    books, follower = Books(Follower(chain).start(0)), Follower(chain)
    with pytest.raises(Unavailable):
        books.follow(follower)
    books.follow(follower)
    assert chain.ranges == [1_496, 748]


@pytest.mark.parametrize(
    "refusal",
    [
        Unavailable("rpc-unreachable", "Down.", "Wait.", timed_out=False),
        Rejected("no-market", "Wrong.", "Look."),
    ],
)
def test_another_failure_is_no_reason_to_ask_for_less(refusal: MarketError) -> None:
    chain = a_long_chain(1_500)
    chain.limit, chain.refusal = 800, refusal
    books, follower = Books(Follower(chain).start(0)), Follower(chain)
    with pytest.raises(MarketError):
        books.follow(follower)
    chain.limit = None
    books.follow(follower)
    assert chain.ranges == [1_496, 1_496]


def test_a_single_block_that_is_refused_is_told() -> None:
    chain = a_long_chain(100)
    chain.limit = 0
    with pytest.raises(Rejected) as refusal:
        Books(Follower(chain).start(0)).follow(Follower(chain))
    assert refusal.value.code == "rpc-refused"


def test_no_range_is_larger_than_the_largest() -> None:
    chain = a_long_chain(RANGE_BLOCKS + 500, events=0)
    books, follower = Books(Follower(chain).start(0)), Follower(chain)
    while not books.follow(follower):
        pass
    assert max(chain.ranges) == RANGE_BLOCKS


@pytest.mark.parametrize("lags", [1, 3, 8, 30])
def test_a_node_behind_the_endpoint_that_lags_is_no_reorganisation(lags: int) -> None:
    """However far: behind the followed tail too."""
    chain = MemoryChain()
    follower = Follower(chain)
    books = Books(follower.start(0))
    for _ in range(20):
        chain.append(1)
        books.catch_up(follower)
    chain.lags = lags
    books.follow(follower)
    assert (books.rewinds, len(books.events)) == (0, 20)
    chain.lags = 0
    chain.append(1)
    books.catch_up(follower)
    assert books.events == chain.canonical()


def test_a_head_far_behind_what_was_followed_is_no_reorganisation() -> None:
    chain, follower, books = followed(20)
    ahead, chain.blocks = chain.blocks[3:], chain.blocks[:3]
    chain.final = 2
    assert books.follow(follower)
    assert books.rewinds == 0
    chain.blocks += ahead
    books.catch_up(follower)
    assert books.events == chain.canonical()
