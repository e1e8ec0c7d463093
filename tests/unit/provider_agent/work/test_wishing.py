from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.books.books import Books, open_books
from ledger.chain.outcomes import Outcome
from ledger.market.identity import LeaseId
from ledger.market.instructions import ReleaseLease
from ledger.market.outbox import IntentState
from provider_agent.work.wishing import Wishes
from tests.factories import NOW, a_digest, an_address, some_terms

RELEASE = ReleaseLease(lease=LeaseId(a_digest("lease")), terms=some_terms())
ME = an_address("provider")


class Scene:
    """Wishes by a clock that the test sets."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.now = NOW
        self.woken = 0
        self.wishes = Wishes(books, lambda: self.now, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def wish(self, after: int = 0) -> int:
        """Wish again so much later; how many wishes there are by now."""
        self.now += after
        self.wishes.wish("release", RELEASE)
        return len(self.books.outbox(ME).pending(9)) + self.ended

    ended = 0

    def end(self, state: IntentState) -> None:
        (intent,) = self.books.outbox(ME).pending(9)
        self.books.outbox(ME).settle_intent(Outcome(intent=intent.id, state=state, detail=""))
        self.ended += 1


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    books = open_books(str(tmp_path / "outbox.db"))
    yield Scene(books)
    books.close()


def test_a_wish_under_way_is_made_once_however_often_it_is_wished(scene: Scene) -> None:
    assert [scene.wish(), scene.wish(1), scene.wish(1_000)] == [1, 1, 1]
    assert scene.woken == 1


def test_a_wish_that_failed_is_made_anew_after_a_growing_pause(scene: Scene) -> None:
    scene.wish()
    scene.end(IntentState.FAILED)
    assert [scene.wish(3), scene.wish(1)] == [1, 2]
    scene.end(IntentState.FAILED)
    assert [scene.wish(7), scene.wish(1)] == [2, 3]


def test_a_wish_that_took_effect_waits_for_its_event(scene: Scene) -> None:
    scene.wish()
    scene.end(IntentState.DONE)
    assert [scene.wish(29), scene.wish(1)] == [1, 2]
