"""A stranger replays an epoch by chain, pages and rules, and refuses whatever differs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.books.books import Books, open_books
from ledger.chain.outbox import Outbox, OutboxPolicy
from ledger.market.errors import Rejected
from ledger.market.events import BatchMatched
from ledger.market.identity import Digest, text
from ledger.market.resource import Quantities
from matcher.bundle.epoch import WaitingBid, root_of
from matcher.bundle.values import encoded
from matcher.clearing import Clearing
from matcher.orders import OfferOrder
from node.cli.main import run
from node.replaying.anchoring import meant
from node.replaying.replay import Agreed, replayed
from node.replaying.sources import Files, Pages, file_name
from node.trading.venue import Venue
from tests.fakes.chain_grid import MONEY, NODE, PROVIDER, Grid, served_grid
from tests.fakes.published_epochs import Publisher

ROOM = Quantities(cpu=64_000, memory=65_536, disk=65_536)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        yield grid


class Market:
    """One node on the grid: orders, epochs, and the outbox that carries both to the chain."""

    def __init__(self, grid: Grid, books: Books, folder: Path) -> None:
        self.grid, self.books, self.folder = grid, books, folder
        venue = Venue(domain=grid.client.domain(), address=NODE.address, policy=grid.client.policy())
        self.publisher = Publisher(books, venue)
        self.outbox = Outbox(books.outbox(NODE.address), grid.client, NODE, OutboxPolicy(confirmations=1))
        for _ in range(2):
            wish = grid.offer(capacity=ROOM)
            grid.wish(PROVIDER, wish)
            self.publisher.list(wish.offer, grid.client.stake_of(PROVIDER.address))

    @property
    def now(self) -> int:
        return int(self.grid.clock.now)

    def epoch(self, *members: int, lie: Callable[[Clearing], Clearing] = lambda clearing: clearing) -> Digest:
        for count in members:
            self.publisher.place(self.grid.bid(members=count), self.now)
        return self.publisher.clear(self.grid.client.block("latest"), self.now, lie)

    def send(self) -> None:
        for _ in range(6):
            self.outbox.step(self.now)
            self.grid.seal()

    def save(self, root: Digest) -> Path:
        """The epoch as a node's API would give it, in a file."""
        row = self.books.bundles.bundle(root)
        assert row is not None
        pages = {root: row.header}
        with self.books.reading() as session:
            for (body,) in session.connection().exec_driver_sql("SELECT body FROM bundle_pages"):
                pages[root_of(body)] = body
        file = self.folder / file_name(root)
        file.write_bytes(Pages(by_name=pages).pack(root))
        return file

    def replay(self, root: Digest) -> Agreed:
        return replayed(self.grid.client, Files(self.folder), root, 0)


@pytest.fixture
def market(grid: Grid, tmp_path: Path) -> Iterator[Market]:
    folder = tmp_path / "saved"
    folder.mkdir()
    with open_books(str(tmp_path / "books.sqlite3")) as books:
        yield Market(grid, books, folder)


def test_a_stranger_agrees_with_an_epoch_on_the_chain(market: Market) -> None:
    root = market.epoch(1, 1, 1)
    market.send()
    market.save(root)
    found = market.replay(root)
    assert len(found.clearing.matches) == 3
    assert found.anchor.logged == root
    assert found.evidence.leases == {"opened as matched": 3}
    assert found.evidence.bids == {"signed by the buyer": 3}
    assert found.same_sources


def test_a_lone_bid_and_a_gang_are_anchored_too(market: Market) -> None:
    for members in (1, 3):
        root = market.epoch(members)
        market.send()
        market.save(root)
        assert market.replay(root).evidence.leases == {"opened as matched": members}


def test_two_epochs_in_one_call_are_both_under_its_root(market: Market) -> None:
    first, second = market.epoch(1), market.epoch(1)
    market.send()
    for root in (first, second):
        market.save(root)
    assert market.replay(first).anchor.steps == 1
    assert market.replay(first).anchor.logged == second
    assert market.replay(second).anchor.steps == 0


def test_a_transaction_and_a_block_name_their_epoch(market: Market) -> None:
    root = market.epoch(1)
    market.send()
    market.save(root)
    anchor = market.replay(root).anchor
    client = market.grid.client
    for name in (text(root), text(anchor.transaction), str(anchor.block)):
        assert meant(client, name) == root


def test_a_block_without_an_epoch_names_none(market: Market) -> None:
    with pytest.raises(Rejected) as refusal:
        meant(market.grid.client, "1")
    assert refusal.value.code == "no-epoch-there"


def test_an_epoch_that_is_not_on_the_chain_proves_nothing(market: Market) -> None:
    root = market.epoch(1)
    market.save(root)
    with pytest.raises(Rejected) as refusal:
        market.replay(root)
    assert refusal.value.code == "epoch-not-on-chain"


def test_a_node_that_publishes_another_result_is_refused_with_the_difference(market: Market) -> None:
    def dearer(clearing: Clearing) -> Clearing:
        match = clearing.matches[0]
        member = replace(match.members[0], rate=match.rate + 1)
        return replace(clearing, matches=(replace(match, members=(member,)), *clearing.matches[1:]))

    root = market.epoch(1, 1, lie=dearer)
    market.send()
    market.save(root)
    with pytest.raises(Rejected) as refusal:
        market.replay(root)
    assert refusal.value.code == "replay-differs"
    assert "match 0" in str(refusal.value.facts["difference"])


@pytest.mark.parametrize("kind", ["limit", "ask", "time"])
def test_an_altered_order_is_refused_on_a_host_that_has_nothing_else(market: Market, kind: str) -> None:
    """One unit is changed in the saved bytes."""
    root = market.epoch(1, 1)
    market.send()
    file = market.save(root)
    bundle = market.replay(root).bundle
    order = next(iter(bundle.offers.values()))
    waiting = next(iter(bundle.bids.values()))
    bid = waiting.order.bid
    dearer = replace(waiting.order, bid=replace(bid, limit_rate=bid.limit_rate + 1))
    ask = replace(order.offer.ask, cpu=order.offer.ask.cpu + 1)
    changes = {
        "limit": (encoded(WaitingBid, waiting), encoded(WaitingBid, replace(waiting, order=dearer))),
        "ask": (
            encoded(OfferOrder, order),
            encoded(OfferOrder, replace(order, offer=replace(order.offer, ask=ask))),
        ),
        "time": (b"i%de" % bundle.header.at, b"i%de" % (bundle.header.at + 1)),
    }
    before, after = changes[kind]
    raw = file.read_bytes()
    assert before in raw
    file.write_bytes(raw.replace(before, after))
    with pytest.raises(Rejected) as refusal:
        market.replay(root)
    assert refusal.value.code in ("page-missing", "page-altered")


def test_an_offer_that_nobody_registered_is_refused(market: Market) -> None:
    market.publisher.list(market.grid.offer(capacity=ROOM).offer, MONEY)
    root = market.epoch(1)
    market.send()
    market.save(root)
    with pytest.raises(Rejected) as refusal:
        market.replay(root)
    assert refusal.value.code == "offer-not-registered"


def test_a_bid_that_its_buyer_did_not_sign_is_refused(market: Market) -> None:
    signed = market.grid.bid(key=PROVIDER)
    market.publisher.place(signed, market.now)
    root = market.epoch(1)
    market.send()
    market.save(root)
    with pytest.raises(Rejected) as refusal:
        market.replay(root)
    assert refusal.value.code == "bid-altered"


def test_a_node_without_a_signature_says_so(market: Market) -> None:
    market.publisher.place(market.grid.bid(), market.now, with_signature=False)
    root = market.epoch()
    market.send()
    market.save(root)
    assert market.replay(root).evidence.bids == {"without signature": 1}


def test_the_command_replays_from_a_folder(market: Market, capsys: pytest.CaptureFixture[str]) -> None:
    root = market.epoch(1)
    market.send()
    file = market.save(root)
    arguments = ["replay", text(root), "--rpc", market.grid.client._rpc.url, "--file", str(market.folder)]
    assert run([*arguments, "--json"]) == 0
    assert '"agrees": true' in capsys.readouterr().out
    raw = bytearray(file.read_bytes())
    raw[-40] ^= 1
    file.write_bytes(raw)
    assert run(arguments) == 3


def test_a_root_that_goes_alone_costs_little_more_than_any_transaction(market: Market) -> None:
    market.epoch(2)
    market.send()
    client = market.grid.client
    *_, last = (
        one for one in client.logs(0, client.block("latest").number) if isinstance(one.event, BatchMatched)
    )
    mined = client.receipt(last.transaction)
    assert mined is not None
    assert mined.gas_used < 40_000
