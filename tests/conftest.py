"""Which books the tests keep: `--books` chooses, and a test that asks for `books_url` runs once for each."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.books_url import CHOICE, KINDS, POSTGRESQL, drop_all, fresh_books, grid_kind
from tests.secret_scan import SecretScan


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--books",
        choices=KINDS,
        help="Where all books are kept; else tests of books run on each, and grids of processes on SQLite.",
    )


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.getoption("--books")
    if chosen is not None:
        os.environ[CHOICE] = chosen
    config.pluginmanager.register(SecretScan(config))


def pytest_unconfigure() -> None:
    drop_all()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "books_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--books")
        metafunc.parametrize("books_kind", KINDS if chosen is None else (chosen,))


@pytest.fixture
def books_url(books_kind: str, tmp_path: Path) -> Iterator[str]:
    """Empty books of the test's own."""
    with fresh_books(books_kind, tmp_path) as url:
        yield url


@pytest.fixture
def grid_books_url(tmp_path: Path) -> Iterator[str]:
    """Empty books where grids keep theirs, for tests of what lies above the books."""
    with fresh_books(grid_kind(), tmp_path) as url:
        yield url


@pytest.fixture
def postgresql_url(tmp_path: Path) -> Iterator[str]:
    """Empty books on PostgreSQL, for what SQLite has no part in."""
    with fresh_books(POSTGRESQL, tmp_path) as url:
        yield url
