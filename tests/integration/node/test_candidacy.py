"""A process that stands for writer: what it does with the place when it cannot make use of it."""

import pytest

from ledger.books.books import Books, open_books
from ledger.market.errors import Unavailable
from node.api.forwarding import Forwarding
from node.api.front import Front, Served
from node.assembly import Node
from node.candidacy import Candidacy


async def nothing(*_: object) -> None:
    """An application that is never asked."""


def candidate(url: str, elected: list[Books]) -> Candidacy:
    """One whose node cannot be put together."""

    def assemble(books: Books) -> Node:
        elected.append(books)
        raise Unavailable("chain-unreachable", "The chain does not answer.", "Start it.")

    front = Front(Served(application=nothing, attach=lambda _: None), Forwarding(lambda: None))
    return Candidacy("http://here", front, lambda: open_books(url), assemble, lambda: None)


def test_a_candidate_that_cannot_begin_its_term_gives_the_place_back(postgresql_url: str) -> None:
    elected: list[Books] = []
    candidacy = candidate(postgresql_url, elected)
    for attempt in (1, 2):
        with pytest.raises(Unavailable):
            candidacy.step()
        assert len(elected) == attempt
        with open_books(postgresql_url) as other:
            assert other.leads()
            assert other.writer() is None
    assert elected[0] is not elected[1], "each term opens the books anew"
    candidacy.step_down()


def test_a_candidate_waits_while_another_writes(postgresql_url: str) -> None:
    elected: list[Books] = []
    candidacy = candidate(postgresql_url, elected)
    with open_books(postgresql_url) as writer:
        assert writer.announce("http://there") == 1
        for _ in range(3):
            assert not candidacy.step()
        assert elected == []
        assert writer.writer() == "http://there"
    with pytest.raises(Unavailable):
        candidacy.step()
    assert len(elected) == 1
