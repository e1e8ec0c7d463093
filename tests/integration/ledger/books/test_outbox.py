"""What the sender of transactions finds again after it died."""

from collections.abc import Callable, Iterator

import pytest

from ledger.books.books import Books, open_books
from ledger.books.outbox import BooksOutbox
from ledger.chain.outbox import OutboxStore
from ledger.chain.outcomes import Outcome
from ledger.market.errors import Broken, LostRace
from ledger.market.events import BlockRef
from ledger.market.facts import ChainRewound
from ledger.market.outbox import IntentState, SettledNonce, Sighting, TxAttempt
from tests.factories import NOW, an_address
from tests.fakes.small_market import planned

SENDER = an_address("node")


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as opened:
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


def test_everything_is_found_again_after_a_restart(books: Books, store: BooksOutbox, books_url: str) -> None:
    store.record_attempt(an_attempt(1, nonce=4))
    books.close()
    with open_books(books_url) as again:
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


def a_block(number: int) -> BlockRef:
    return BlockRef(number=number, hash=bytes([number]) * 32, parent=bytes(32), at=NOW)


def seen(attempt: TxAttempt, number: int, cost: int = 0) -> Sighting:
    return Sighting(block=a_block(number), transaction=attempt.hash, cost=cost)


def states(books: Books) -> list[IntentState]:
    return [row.state for row in books.queries.intents(list(IntentState))]


def a_settled_nonce(store: BooksOutbox, intent: int, nonce: int, number: int, cost: int = 0) -> TxAttempt:
    attempt = an_attempt(intent, nonce=nonce)
    store.record_attempt(attempt)
    store.settle_attempt(nonce, [Outcome(intent=intent, state=IntentState.DONE)], seen(attempt, number, cost))
    return attempt


def test_what_was_seen_is_remembered_until_it_is_final(store: BooksOutbox) -> None:
    a_settled_nonce(store, 1, 0, 5)
    a_settled_nonce(store, 2, 1, 6)
    assert store.settled() == [
        SettledNonce(nonce=0, number=5, hash=a_block(5).hash),
        SettledNonce(nonce=1, number=6, hash=a_block(6).hash),
    ]
    store.make_final(5)
    assert [one.nonce for one in store.settled()] == [1]


def test_a_reopened_nonce_flies_again_with_the_wishes_that_it_decided(
    books: Books, store: BooksOutbox
) -> None:
    attempt = a_settled_nonce(store, 1, 0, 5)
    store.reopen([0])
    assert store.attempts_in_flight() == [attempt]
    assert states(books)[0] is IntentState.SENT
    assert store.settled() == []


def test_a_wish_that_another_nonce_decided_is_left_alone(books: Books, store: BooksOutbox) -> None:
    attempt = an_attempt(1, 2)
    store.record_attempt(attempt)
    store.settle_attempt(0, [Outcome(intent=2, state=IntentState.DONE)], seen(attempt, 5))
    store.settle_intent(Outcome(intent=1, state=IntentState.DONE))
    store.reopen([0])
    assert states(books)[:2] == [IntentState.DONE, IntentState.SENT]


def test_a_rewind_in_the_books_brings_back_what_was_seen_above_it(books: Books, store: BooksOutbox) -> None:
    a_settled_nonce(store, 1, 0, 5)
    a_settled_nonce(store, 2, 1, 6)
    a_settled_nonce(store, 3, 2, 7)
    store.make_final(5)
    with books.transaction() as unit:
        unit.record(ChainRewound(to=a_block(6)))
    assert states(books) == [IntentState.DONE, IntentState.DONE, IntentState.SENT]
    assert [attempt.nonce for attempt in store.attempts_in_flight()] == [2]


def test_gas_is_spent_on_the_day_it_was_sent_and_no_more_once_it_vanished(store: BooksOutbox) -> None:
    dear = 2**70
    a_settled_nonce(store, 1, 0, 5, dear)
    a_settled_nonce(store, 2, 1, 6, 7)
    assert store.spent(NOW // 86_400) == dear + 7
    assert store.spent(NOW // 86_400 + 1) == 0
    store.reopen([1])
    assert store.spent(NOW // 86_400) == dear


def test_the_newest_store_of_an_account_is_the_only_one_that_writes(books: Books) -> None:
    older, newer = books.outbox(SENDER), books.outbox(SENDER)
    older.claim()
    older.record_attempt(an_attempt(1))
    newer.claim()
    refused: list[Callable[[], None]] = [
        lambda: older.record_attempt(an_attempt(2, nonce=1)),
        lambda: older.settle_attempt(0, []),
        lambda: older.settle_intent(Outcome(intent=3, state=IntentState.FAILED)),
        lambda: older.reopen([0]),
        lambda: older.make_final(9),
    ]
    for write in refused:
        with pytest.raises(LostRace) as refusal:
            write()
        assert refusal.value.code == "outbox-superseded"
    assert newer.attempts_in_flight() == [an_attempt(1)]
    assert states(books) == [IntentState.SENT, IntentState.PENDING, IntentState.PENDING]


def test_another_account_s_store_is_not_refused(books: Books, store: BooksOutbox) -> None:
    store.claim()
    books.outbox(an_address("another")).claim()
    store.record_attempt(an_attempt(1))
    assert len(store.attempts_in_flight()) == 1


def test_a_restarted_process_takes_the_account_over(books: Books, books_url: str) -> None:
    books.outbox(SENDER).claim()
    books.close()
    with open_books(books_url) as again:
        store = again.outbox(SENDER)
        store.claim()
        store.record_attempt(an_attempt(1))
        assert store.next_nonce() == 1
