from collections.abc import Iterator

import pytest

from ledger.books.attempts import newest_transaction
from ledger.books.books import Books, open_books
from ledger.market.instructions import FinishUnstake
from ledger.market.outbox import TxAttempt
from tests.factories import NOW, a_digest, an_address

SENDER = an_address("sender")


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as books:
        yield books


def wish(books: Books, name: str) -> int:
    with books.transaction() as unit:
        return unit.wish(name, FinishUnstake(account=an_address(name)), NOW)


def attempt(books: Books, nonce: int, name: str, *intents: int) -> bytes:
    signed = TxAttempt(intents=intents, nonce=nonce, raw=b"raw", hash=a_digest(name), max_fee=1, sent_at=NOW)
    books.outbox(SENDER).record_attempt(signed)
    return signed.hash


def test_a_wish_that_waits_has_no_transaction(books: Books) -> None:
    assert newest_transaction(books, wish(books, "waiting")) is None


def test_each_wish_of_a_batch_is_found_in_its_transaction(books: Books) -> None:
    wishes = [wish(books, f"wish {number}") for number in range(12)]
    first = attempt(books, 0, "first", *wishes[:11])
    second = attempt(books, 1, "second", wishes[11])
    assert [newest_transaction(books, one) for one in wishes] == [first] * 11 + [second]


def test_the_newest_of_several_is_shown(books: Books) -> None:
    one = wish(books, "dear")
    cheap = attempt(books, 0, "cheap", one)
    assert newest_transaction(books, one) == cheap
    dearer = attempt(books, 0, "dearer", one)
    assert newest_transaction(books, one) == dearer
