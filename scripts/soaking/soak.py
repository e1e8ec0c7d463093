"""The books under a random market: what a node's life does to them, in whatever order the dice say.

Blocks come one by one or several in a unit, again though they are known, and are taken back up to 64 deep,
sometimes to return; units are abandoned half way, and the books are closed and opened again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import NoReturn

from ledger.books.books import Books, open_books
from ledger.books.compare import compare
from ledger.books.rows import Difference
from ledger.market.events import Logged
from ledger.market.facts import ChainObserved, Fact
from ledger.market.state import MarketState
from scripts.soaking.market import DEPTH, RandomMarket

Progress = Callable[[int], None]


class _Crash(Exception):
    """The process died here."""


@dataclass(slots=True)
class Soaked:
    """What was done to the books, and where they differ from the chain after it."""

    happened: Counter[str] = field(default_factory=Counter)
    deepest: int = 0
    differences: list[Difference] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)


class Soak:
    """One run on the books at `url`, which must be empty."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._dice = Random(seed + 1)  # noqa: S311 - a test's dice
        self._market = RandomMarket(seed)
        self._books: Books = open_books(url)
        self.found = Soaked()

    def run(self, events: int, progress: Progress) -> Soaked:
        """Until the books took in so many events, those that vanished later included."""
        with self._books:
            while self.found.happened["events"] < events:
                self._step()
                progress(self.found.happened["events"])
            self._write(self._market.blocks[-3:])
            self.found.differences = self.compared()
        return self.found

    def chain_state(self) -> MarketState:
        """The fold of the events that are canonical."""
        state = MarketState()
        for one in self._logged():
            state.apply(one.event, one.block.at)
        return state

    def compared(self) -> list[Difference]:
        """The books against the chain, event by event, and each row against a replay."""
        with self._books.transaction() as unit:
            unit.save_cursor(self._market.head, (self._market.head,))
        return compare(self._books, self.chain_state(), self._logged())

    def _logged(self) -> list[Logged]:
        return [one for block in self._market.blocks for one in block.events]

    def _step(self) -> None:
        dice = self._dice.random()
        if dice < 0.03 and self._market.reach:
            self._reorganise()
        elif dice < 0.06:
            self._reopen()
        elif dice < 0.12:
            self._repeat()
        else:
            self._write([self._sealed() for _ in range(self._dice.choice((1, 1, 1, 5)))])

    def _sealed(self) -> ChainObserved:
        block = self._market.seal(self._dice.choice((1, 4, 12, 40)))
        self.found.events.update(type(one.event).__name__ for one in block.events)
        self.found.happened["events"] += len(block.events)
        self.found.happened["blocks"] += 1
        return block

    def _reorganise(self) -> None:
        most = min(DEPTH, self._market.reach, len(self._market.blocks) - 1)
        if most < 1:
            return
        depth = self._dice.choice((1, 2, self._dice.randint(1, most), most))
        rewound, vanished = self._market.rewind(min(depth, most))
        self.found.happened["reorganisations"] += 1
        self.found.deepest = max(self.found.deepest, len(vanished))
        self._write([rewound])
        if self._dice.random() < 0.4:
            self._come_back(vanished)

    def _come_back(self, vanished: list[ChainObserved]) -> None:
        """Another branch is canonical for a block, then the old one again."""
        self._write([self._sealed()])
        rewound, _ = self._market.rewind(1)
        self._market.bring_back(vanished)
        self.found.happened["branches that came back"] += 1
        self._write([rewound, *vanished])

    def _repeat(self) -> None:
        known = self._market.blocks[-self._dice.randint(1, DEPTH) :]
        self.found.happened["duplicates"] += len(known)
        self._write(known)

    def _reopen(self) -> None:
        self.found.happened["openings"] += 1
        self._books.close()
        self._books = open_books(self._url)

    def _write(self, facts: Sequence[Fact]) -> None:
        """One unit; now and then it dies before its end, and is tried again."""
        if self._dice.random() < 0.1:
            self.found.happened["crashes"] += 1
            self._die_in(facts[: self._dice.randint(0, len(facts))])
        with self._books.transaction() as unit:
            for fact in facts:
                unit.record(fact)

    def _die_in(self, facts: Sequence[Fact]) -> None:
        with suppress(_Crash):
            self._record_and_die(facts)
        self._reopen()

    def _record_and_die(self, facts: Sequence[Fact]) -> NoReturn:
        with self._books.transaction() as unit:
            for fact in facts:
                unit.record(fact)
            raise _Crash
