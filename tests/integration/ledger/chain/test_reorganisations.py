"""Real reorganisations, 1 to 64 blocks deep, on both EVMs: the books follow them, and what was sent is sent
again as the same bytes."""

from collections.abc import Iterator

import pytest

from ledger.books.books import Books, open_books
from ledger.books.compare import compare
from ledger.chain.audit import state_at
from ledger.chain.calls import deposit
from ledger.chain.client import Fees, MarketClient
from ledger.chain.follower import FollowCursor, Follower
from ledger.chain.outbox import Outbox
from ledger.market.events import LeaseOpened
from ledger.market.facts import ChainRewound
from ledger.market.instructions import RegisterOffer
from ledger.market.outbox import IntentState
from ledger.market.resource import Quantities
from tests.books_url import fresh_books, grid_kind
from tests.fakes.chain_grid import BUYER, NODE, PROVIDER, Grid
from tests.fakes.outbox_store import MemoryStore
from tests.fakes.two_evms import EVMS, FINALITY, a_market_on

DEPTHS = (1, 2, 7, 33, FINALITY)
DONE, SENT = IntentState.DONE, IntentState.SENT


@pytest.fixture(scope="module", params=EVMS)
def grid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    folder = tmp_path_factory.mktemp("evm")
    with a_market_on(request.param, folder) as grid:
        yield grid


@pytest.fixture(scope="module")
def registered(grid: Grid) -> RegisterOffer:
    """An offer that no reorganisation of these tests takes back."""
    wish = grid.offer(capacity=Quantities(cpu=64_000, memory=65_536, disk=65_536))
    grid.wish(PROVIDER, wish)
    for _ in range(FINALITY):
        grid.seal()
    return wish


class Reader:
    """A follower and the books that it fills, as a node commits them."""

    def __init__(self, grid: Grid, books: Books) -> None:
        self.grid, self.books = grid, books
        self.follower = Follower(grid.client)
        self.rewinds: list[ChainRewound] = []

    def follow(self) -> None:
        caught_up = False
        while not caught_up:
            known = self.books.queries.cursor()
            cursor = FollowCursor(block=known[0], tail=known[1]) if known else self.follower.start(0)
            followed = self.follower.poll(cursor)
            with self.books.transaction() as unit:
                for fact in followed.facts:
                    unit.record(fact)
                unit.save_cursor(followed.cursor.block, followed.cursor.tail)
            self.rewinds += [fact for fact in followed.facts if isinstance(fact, ChainRewound)]
            caught_up = followed.caught_up

    def check(self) -> None:
        """Every event of the chain and no other, and every figure to the base unit."""
        head = self.grid.client.block("latest").number
        events = [(row.block, row.log_index, row.event) for row in self.books.queries.events(limit=10_000)]
        logged = [(one.block, one.log_index, one.event) for one in self.grid.client.logs(0, head)]
        surviving = {one[0].hash for one in logged}
        assert sorted(str(one) for one in events if one[0].hash in surviving) == sorted(map(str, logged))
        assert compare(self.books, state_at(self.grid.client, 0, head)) == []


@pytest.fixture(scope="module")
def reader(grid: Grid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with (
        fresh_books(grid_kind(), tmp_path_factory.mktemp("books")) as url,
        open_books(url) as books,
    ):
        yield Reader(grid, books)


@pytest.mark.parametrize("depth", DEPTHS)
def test_after_a_reorganisation_the_books_are_the_chain(grid: Grid, reader: Reader, depth: int) -> None:
    market = grid.client.market
    for number in range(depth):
        if number % 6:
            grid.seal()
        else:
            grid.send(BUYER, deposit(market, 1_000 + number))
    reader.follow()
    fork, seen = grid.client.block("latest").number - depth, len(reader.rewinds)
    grid.reorg(depth)
    grid.send(BUYER, deposit(market, 7))
    reader.follow()
    assert [fact.to.number for fact in reader.rewinds[seen:]] == [fork]
    reader.check()


def test_a_reorganisation_between_two_others_is_followed_too(grid: Grid, reader: Reader) -> None:
    for depth in (3, 5, 2):
        for _ in range(depth):
            grid.send(BUYER, deposit(grid.client.market, 11))
        grid.reorg(depth)
    grid.seal()
    reader.follow()
    reader.check()


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_settled_match_that_vanishes_is_sent_again_as_the_same_bytes(
    grid: Grid, registered: RegisterOffer, depth: int
) -> None:
    at, store, wish = int(grid.clock.now), MemoryStore(), grid.open(registered)
    node = Outbox(store, grid.client, NODE)
    store.wish(wish)
    node.step(at)
    for _ in range(depth):
        grid.seal()
    node.step(at)
    assert store.states() == [DONE]
    grid.reorg(depth)
    assert grid.client.lease_of(wish.lease) is None
    node.step(at)
    assert store.states() == [SENT]
    grid.seal()
    node.step(at)
    assert (store.states(), len(store.recorded)) == ([DONE], 1)
    mined = grid.client.receipt(store.recorded[0].hash)
    assert mined is not None
    assert [event.id for event in mined.events if isinstance(event, LeaseOpened)] == [wish.lease]


def test_the_books_bring_the_wishes_of_a_vanished_block_back_into_flight(
    grid: Grid, registered: RegisterOffer, reader: Reader
) -> None:
    """With the fact that it vanished: nobody wishes anew for what is still on its way."""
    at, wish = int(grid.clock.now), grid.open(registered)
    with reader.books.transaction() as unit:
        unit.wish("open", wish, at)
    node = Outbox(reader.books.outbox(NODE.address), grid.client, NODE)
    node.step(at)
    grid.seal()
    node.step(at)
    reader.follow()
    assert state_of(reader.books) is DONE
    grid.reorg(1)
    grid.seal()
    reader.follow()
    assert state_of(reader.books) is SENT
    node.step(at)
    grid.seal()
    node.step(at)
    assert state_of(reader.books) is DONE
    assert grid.client.lease_of(wish.lease) is not None


def state_of(books: Books) -> IntentState:
    found = books.queries.intent("open")
    assert found is not None
    return found.state


class Cheap(MarketClient):
    """An endpoint whose first suggestion is less than the next block asks."""

    suggested = 0

    def fees(self) -> Fees:
        real = super().fees()
        self.suggested += 1
        return real if self.suggested > 1 else Fees(max_fee=(real.max_fee - real.tip) * 15 // 32, tip=1)


def test_a_transaction_that_no_block_takes_is_replaced_by_a_dearer_one(
    grid: Grid, registered: RegisterOffer
) -> None:
    at, store = int(grid.clock.now), MemoryStore()
    client = Cheap(grid.client._rpc.url, grid.client.market)
    node = Outbox(store, client, NODE)
    store.wish(grid.open(registered))
    node.step(at)
    grid.seal()
    node.step(at)
    assert store.states() == [SENT]
    node.step(at + 60)
    grid.seal()
    node.step(at + 60)
    client.close()
    assert store.states() == [DONE]
    cheap, dear = store.recorded
    assert cheap.nonce == dear.nonce
    assert dear.max_fee * 8 >= cheap.max_fee * 9
    assert grid.client.receipt(cheap.hash) is None


class Lossy(MarketClient):
    """An endpoint that says that it took a transaction and forgets it, once."""

    lost: bytes | None = None

    def send_raw(self, raw: bytes) -> bytes:
        if self.lost is None:
            self.lost = raw
            return bytes(32)
        return super().send_raw(raw)


def test_a_transaction_that_the_pool_lost_is_sent_again(grid: Grid, registered: RegisterOffer) -> None:
    at, store = int(grid.clock.now), MemoryStore()
    client = Lossy(grid.client._rpc.url, grid.client.market)
    node = Outbox(store, client, NODE)
    store.wish(grid.open(registered))
    for seconds in (0, 1, 5, 6):
        node.step(at + seconds)
        grid.seal()
    node.step(at + 7)
    client.close()
    assert (store.states(), len(store.recorded)) == ([DONE], 1)


def test_a_transaction_handed_over_twice_is_one(grid: Grid, registered: RegisterOffer) -> None:
    at, store = int(grid.clock.now), MemoryStore()
    store.wish(grid.open(registered))
    Outbox(store, grid.client, NODE).step(at)
    Outbox(store, grid.client, NODE).step(at)
    grid.seal()
    Outbox(store, grid.client, NODE).step(at)
    assert (store.states(), len(store.recorded)) == ([DONE], 1)
