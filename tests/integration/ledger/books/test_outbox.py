"""What the sender of transactions finds again after it died."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.books.books import Books, open_books
from ledger.books.outbox import BooksOutbox
from ledger.chain.outbox import OutboxStore
from ledger.chain.outcomes import Outcome
from ledger.market.errors import Broken
from ledger.market.outbox import IntentState, TxAttempt
from tests.factories import NOW, an_address
from tests.fakes.small_market import planned

SENDER = an_address("node")


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with open_books(str(tmp_path / "node.db")) as opened:
        with opened.transaction() as unit:
            for name in ("a", "b", "c"):
                unit.wish(name, planned(name).wish, NOW)
        yield opened


@pytest.fixture
def store(books: Books) -> BooksOutbox:
    return books.outbox(SENDER)


def an_attempt(*intents: int, nonce: int = 0, fee: int = 1) -> TxAttempt:
    mark = bytes([nonce, fee])
    return TxAttempt(
        intents=intents, nonce=nonce, raw=b"raw" + mark, hash=bytes(30) + mark, max_fee=fee, sent_at=NOW
    )


def test_it_is_the_store_that_the_outbox_asks_for(store: BooksOutbox) -> None:
    asked: OutboxStore = store
    assert [intent.key for intent in asked.pending(2)] == ["a", "b"]
    assert [intent.key for intent in asked.intents([3, 1])] == ["c", "a"]


def test_a_recorded_attempt_takes_its_wishes_and_its_nonce(store: BooksOutbox) -> None:
    assert store.next_nonce() == 0
    store.record_attempt(an_attempt(1, 2, nonce=7))
    store.record_attempt(an_attempt(1, 2, nonce=7))
    assert store.next_nonce() == 8
    assert [intent.id for intent in store.pending(9)] == [3]
    assert store.attempts_in_flight() == [an_attempt(1, 2, nonce=7)]


def test_a_dearer_attempt_flies_beside_the_first_until_the_nonce_is_settled(store: BooksOutbox) -> None:
    first, dearer = an_attempt(1), an_attempt(1, fee=2)
    other = an_attempt(2, nonce=1)
    for attempt in (other, first, dearer):
        store.record_attempt(attempt)
    assert store.attempts_in_flight() == [first, dearer, other]
    store.settle_attempt(0, [Outcome(intent=1, state=IntentState.DONE)])
    assert store.attempts_in_flight() == [other]
    assert store.next_nonce() == 2


def test_outcomes_are_kept_with_their_reason(books: Books, store: BooksOutbox) -> None:
    store.record_attempt(an_attempt(1, 2))
    store.settle_attempt(
        0,
        [
            Outcome(intent=1, state=IntentState.FAILED, detail="FUNDS"),
            Outcome(intent=2, state=IntentState.PENDING, detail="reverted"),
        ],
    )
    store.settle_intent(Outcome(intent=3, state=IntentState.FAILED, detail="market: not a party"))
    assert [intent.id for intent in store.pending(9)] == [2]
    failed = books.queries.intents([IntentState.FAILED])
    assert [(row.key, row.detail) for row in failed] == [("a", "FUNDS"), ("c", "market: not a party")]
    assert [row.key for row in books.queries.intents([IntentState.FAILED], after=1)] == ["c"]


def test_everything_is_found_again_after_a_restart(books: Books, store: BooksOutbox, tmp_path: Path) -> None:
    store.record_attempt(an_attempt(1, nonce=4))
    books.close()
    with open_books(str(tmp_path / "node.db")) as again:
        found = again.outbox(SENDER)
        assert found.attempts_in_flight() == [an_attempt(1, nonce=4)]
        assert found.next_nonce() == 5
        assert [intent.id for intent in found.pending(9)] == [2, 3]


def test_accounts_do_not_share_nonces(books: Books, store: BooksOutbox) -> None:
    store.record_attempt(an_attempt(1, nonce=4))
    assert books.outbox(an_address("another")).next_nonce() == 0
    assert books.outbox(an_address("another")).attempts_in_flight() == []


def test_an_unknown_wish_is_broken_and_nothing_is_recorded(store: BooksOutbox) -> None:
    with pytest.raises(Broken):
        store.record_attempt(an_attempt(1, 99))
    assert store.attempts_in_flight() == []
    assert len(store.pending(9)) == 3
