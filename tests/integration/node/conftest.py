from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.books.books import Books, open_books
from tests.fakes.node_server import NodeServer
from tests.fakes.node_twin import NodeTwin


@pytest.fixture
def books(grid_books_url: str) -> Iterator[Books]:
    """Empty books, and nothing beside them."""
    with open_books(grid_books_url) as books:
        yield books


@pytest.fixture
def node(tmp_path: Path, grid_books_url: str) -> Iterator[NodeTwin]:
    """A node whose buyer has 10,000,000 base units."""
    twin = NodeTwin(tmp_path, grid_books_url)
    twin.deposit(10_000_000)
    twin.seal()
    yield twin
    twin.close()


@pytest.fixture
def server(node: NodeTwin) -> Iterator[NodeServer]:
    """The node's API on a socket of its own."""
    served = NodeServer(node)
    yield served
    served.close()
