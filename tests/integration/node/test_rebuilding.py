"""Books from the chain alone: those of a node that was there, to the last transfer."""

import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from ledger.books.books import Books, open_books
from ledger.chain.audit import audit
from ledger.chain.follower import Follower
from ledger.market.errors import Rejected
from ledger.market.identity import text
from ledger.market.resource import Quantities
from node.cli.main import run
from node.rebuilding import rebuild
from tests.fakes.chain_grid import MONEY, NODE, PROVIDER, Grid, served_grid
from tests.fakes.small_market import accepted


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """A market in which one lease is over and one runs, after a reorganisation."""
    with served_grid(tmp_path_factory.mktemp("grid")) as grid:
        offer = grid.offer(ask=Quantities(cpu=10**8))
        grid.wish(PROVIDER, offer)
        for last in (True, False):
            wish = grid.open(offer, limit_rate=10**13)
            grid.wish(NODE, wish)
            grid.clock.now += 60
            grid.wish(NODE, grid.receipt(wish, 30_000, last=last))
        yield grid


@pytest.fixture
def nodes(grid: Grid, tmp_path: Path) -> Iterator[Books]:
    """What a node noted that followed the chain, a branch that vanished included."""
    with open_books(str(tmp_path / "node.db")) as books:
        follower = Follower(grid.client)
        cursor = follower.start(0)
        for reorganised in (False, True):
            if reorganised:
                grid.reorg(1)
            followed = follower.poll(cursor)
            cursor = followed.cursor
            with books.transaction() as unit:
                for fact in followed.facts:
                    unit.record(fact)
                unit.save_cursor(cursor.block, cursor.tail)
        yield books


def silent(_done: int, _total: int) -> None: ...


def money(books: Books) -> object:
    queries = books.queries
    numbers = {name: one.available for name, one in queries.all_totals().items()}
    return numbers, queries.holds(), queries.stakes(), queries.leases(), queries.offers(), queries.market()


def test_an_empty_host_gets_the_nodes_books(grid: Grid, nodes: Books, books_url: str) -> None:
    told: list[tuple[int, int]] = []
    with open_books(books_url) as books:
        found = rebuild(books, grid.client, 0, lambda done, total: told.append((done, total)))
        assert money(books) == money(nodes)
        assert found.differences == ()
        assert found.leases == 2
        assert found.transfers == len(books.queries.transfers()) > 0
        assert sum(books.queries.balances().values()) < 2 * MONEY
        assert books.queries.balances() == dict(audit(grid.client, 0).state.balances)
    assert told[-1][0] == told[-1][1] == found.block.number + 1


def test_it_goes_on_where_it_was_killed_and_twice_is_once(grid: Grid, nodes: Books, books_url: str) -> None:
    with open_books(books_url) as books:
        follower = Follower(grid.client)
        cursor = follower.start(0)
        with books.transaction() as unit:
            unit.save_cursor(cursor.block, cursor.tail)
        first = rebuild(books, grid.client, 0, silent)
        again = rebuild(books, grid.client, 0, silent)
        assert first == again
        assert money(books) == money(nodes)


def test_a_first_block_beyond_the_chain_is_refused(grid: Grid, books_url: str) -> None:
    with open_books(books_url) as books, pytest.raises(Rejected, match="not deployed in block") as caught:
        rebuild(books, grid.client, 1 << 40, silent)
    assert caught.value.code == "no-such-block"


def test_a_nodes_own_books_are_left_alone(grid: Grid, tmp_path: Path) -> None:
    with open_books(str(tmp_path / "own.db")) as books:
        with books.transaction() as unit:
            unit.record(accepted("digits"))
        with pytest.raises(Rejected) as refused:
            rebuild(books, grid.client, 0, silent)
        assert refused.value.code == "books-in-use"
        assert books.queries.transfers() == []


def test_the_command_says_what_it_made(grid: Grid, tmp_path: Path) -> None:
    out = StringIO()
    where = ["--rpc", grid.client._rpc.url, "--market", text(grid.client.market)]
    with redirect_stdout(out):
        code = run(["books", "rebuild", *where, "--books", str(tmp_path / "new.db"), "--json"])
    told = json.loads(out.getvalue())
    assert code == 0
    assert (told["differences"], told["leases"]) == ([], 2)
    assert told["transfers"] > 0
    with redirect_stdout(StringIO()) as audited:
        code = run(["audit", *where, "--books", str(tmp_path / "new.db"), "--json"])
    assert code == 0, audited.getvalue()
    assert json.loads(audited.getvalue())["differences"] == []
