"""What the books keep of published epochs, on both databases."""

from collections.abc import Iterator

import pytest

from ledger.books.books import Books, open_books
from ledger.market.identity import Digest
from tests.factories import a_digest

PAGES = {a_digest(name): name.encode() for name in ("first", "second", "third")}
FIRST, SECOND, THIRD = PAGES


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as books:
        yield books


def publish(books: Books, number: int, new: tuple[Digest, ...], gone: tuple[Digest, ...] = ()) -> int:
    with books.transaction() as unit:
        seq = unit.bundles.add(a_digest(f"root {number}"), b"header", at=number, matches=1)
        unit.bundles.leave(gone, seq - 1)
        unit.bundles.keep({name: PAGES[name] for name in new})
        return seq


def held(books: Books) -> set[Digest]:
    return {name for name in PAGES if books.bundles.page(name) is not None}


def test_an_epoch_and_its_pages_are_read_back(books: Books) -> None:
    publish(books, 1, (FIRST, SECOND))
    row = books.bundles.bundle(a_digest("root 1"))
    assert row is not None
    assert (row.root, row.header, row.at, row.kept) == (a_digest("root 1"), b"header", 1, True)
    assert books.bundles.page(FIRST) == b"first"
    assert sorted(books.bundles.pages([FIRST, SECOND, THIRD])) == [b"first", b"second"]


def test_what_was_never_published_is_not_known(books: Books) -> None:
    assert books.bundles.bundle(a_digest("root 1")) is None
    assert books.bundles.page(FIRST) is None
    assert books.bundles.bundles(10) == []


def test_a_unit_that_is_undone_publishes_nothing(books: Books) -> None:
    def undone() -> None:
        with books.transaction() as unit:
            unit.bundles.add(a_digest("root 1"), b"header", at=1, matches=1)
            unit.bundles.keep(PAGES)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        undone()
    assert books.bundles.bundles(10) == []
    assert held(books) == set()


def test_epochs_are_listed_newest_first_in_pages(books: Books) -> None:
    for number in range(5):
        publish(books, number, ())
    first = books.bundles.bundles(2)
    assert [row.at for row in first] == [4, 3]
    assert [row.at for row in books.bundles.bundles(9, before=first[-1].seq)] == [2, 1, 0]


def test_what_is_too_old_goes_and_what_a_newer_epoch_shares_stays(books: Books) -> None:
    publish(books, 1, (FIRST, SECOND))
    publish(books, 2, (THIRD,), gone=(FIRST,))
    with books.transaction() as unit:
        assert unit.bundles.retire(before=2, budget=1 << 30) == 1
    assert held(books) == {SECOND, THIRD}
    assert [row.kept for row in books.bundles.bundles(9)] == [True, False]


def test_what_exceeds_the_budget_goes_oldest_first(books: Books) -> None:
    publish(books, 1, (FIRST,))
    publish(books, 2, (SECOND,), gone=(FIRST,))
    publish(books, 3, (THIRD,), gone=(SECOND,))
    with books.transaction() as unit:
        assert unit.bundles.retire(before=0, budget=len(b"second" + b"third")) == 1
    assert held(books) == {SECOND, THIRD}


def test_the_newest_epoch_stays_whatever_the_budget(books: Books) -> None:
    publish(books, 1, (FIRST,))
    publish(books, 2, (SECOND,), gone=(FIRST,))
    with books.transaction() as unit:
        assert unit.bundles.retire(before=9, budget=0) == 1
    assert held(books) == {SECOND}
    row = books.bundles.bundle(a_digest("root 2"))
    assert row is not None
    assert row.kept


def test_a_page_that_comes_back_stays_with_the_newer_epoch(books: Books) -> None:
    publish(books, 1, (FIRST,))
    publish(books, 2, (), gone=(FIRST,))
    publish(books, 3, (FIRST,))
    with books.transaction() as unit:
        unit.bundles.retire(before=3, budget=1 << 30)
    assert held(books) == {FIRST}


def test_nothing_published_leaves_nothing_to_retire(books: Books) -> None:
    with books.transaction() as unit:
        assert unit.bundles.retire(before=1 << 40, budget=0) == 0
