"""A process that stands for writer whenever nobody is: it takes over within seconds of the last one's end.

Each term has books, exchange and loops of its own. What a deposed writer still holds in memory is stale, and
its books cannot write any more (`ledger.books.election`); so nothing of one term goes into the next.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ledger.books.books import Books
from node.api.application import application
from node.api.front import Front, Served
from node.assembly import Node

_log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
"""how often a replica stands for writer, and a writer makes sure that it still is"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Term:
    books: Books
    node: Node


class Candidacy:
    """`open_books` opens the books anew, `assemble` makes a node on them; `on_elected` is told of each term
    once it serves."""

    def __init__(
        self,
        url: str,
        front: Front,
        open_books: Callable[[], Books],
        assemble: Callable[[Books], Node],
        on_elected: Callable[[], None],
    ) -> None:
        self._url = url
        self._front = front
        self._open_books = open_books
        self._assemble = assemble
        self._on_elected = on_elected
        self._candidate: Books | None = None
        self._term: _Term | None = None

    def step(self) -> bool:
        """Stand for writer, or make sure that this is still the writer; never more at once."""
        if self._term is None:
            self._stand()
        elif not self._term.books.leads():
            _log.warning("the writer's place was lost; this node is a replica")
            self.step_down()
        return False

    def step_down(self) -> None:
        """End the term under way, if any, and give the place back."""
        self._front.follow()
        term, self._term = self._term, None
        if term is not None:
            term.node.stop()
            term.books.close()
        if self._candidate is not None:
            self._candidate.close()
            self._candidate = None

    def _stand(self) -> None:
        if self._candidate is None:
            self._candidate = self._open_books()
        if self._candidate.lead():
            books, self._candidate = self._candidate, None
            try:
                self._begin(books)
            except BaseException:
                self.step_down()
                books.close()
                raise

    def _begin(self, books: Books) -> None:
        node = self._assemble(books)
        self._term = _Term(books=books, node=node)
        node.start()
        self._front.lead(Served(application=application(node.services), attach=node.services.nudges.attach))
        _log.info("this node writes: term %d", books.announce(self._url))
        self._on_elected()
