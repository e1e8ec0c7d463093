"""Remembered: the exchange's memory of the books, and what keeps it in step.

Orders, offers, capacity, stakes and accounts are held in memory, so that an order is served without reading
the market again. Memory is changed after the commit that it follows; should that fail half way, or the chain
be reorganised, it is made anew from the books before it is used again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ledger.books.queries import Queries
from ledger.books.rows import JobRow
from ledger.market.events import LeaseClosed, LeaseOpened, MarketEvent
from ledger.market.facts import GangPlanned, LeasePlanned, PlanFailed
from ledger.market.identity import Address
from ledger.market.instructions import ContinueLease
from node.trading.epochs import Epochs
from node.trading.followed import Followed
from node.trading.news import News, Touched
from node.trading.open_orders import OpenOrders
from node.trading.presence import Presence
from node.trading.resting import INCLUSION_SECONDS, Pauses, rests_until
from node.trading.standing_book import StandingBook
from node.trading.turns import Turns


class Remembered:
    """Under the exchange's lock. `on_rewound` is called where a reorganisation was recorded, before
    everything is read anew."""

    def __init__(
        self,
        queries: Queries,
        presence: Presence,
        standing: StandingBook,
        on_rewound: Callable[[int], None],
        turns: Turns,
        epochs: Epochs,
    ) -> None:
        self.turns = turns
        self._epochs = epochs
        self._queries = queries
        self._presence = presence
        self._on_rewound = on_rewound
        self.standing = standing
        self.orders = OpenOrders(queries)
        self.followed = Followed(queries)
        self.news = News(queries)
        self.pauses = Pauses()
        self._paused_until = 0
        self._moved: set[Address] = set()
        self._stale = True

    @property
    def paused_until(self) -> int:
        """Until when the market's guardian keeps it paused, seconds since 1970; 0 where it is not."""
        return self._paused_until

    @contextmanager
    def changing(self) -> Iterator[None]:
        """What is committed in this block must reach the memory too: after a failure half way it is made
        anew before it is used again."""
        before, self._stale = self._stale, True
        yield
        self._stale = before

    def catch_up(self, at: int) -> None:
        """Everything as the books and the agents have it at `at`."""
        if not self._stale:
            self._read_news(at)
        anew = self._stale
        if anew:
            self._rebuild(at)
        with self.changing():
            self.standing.follow(self._presence.moved(at), at)
            if anew:
                self._epochs.prepare(self.standing.book)

    def look_again(self, at: int) -> None:
        """What neither facts nor agents tell, once in a while."""
        with self.changing():
            self.standing.look_again(at)
        self.pauses.forget(self.orders.unopened())

    def rest(self, at: int, *, everybody: bool = False) -> None:
        """Put into the book what rests and is covered, and take out what is not: of the buyers that
        something happened to, or of everybody, since time moves all."""
        buyers, self._moved = set(self.orders.buyers()) if everybody else self._moved, set()
        with self.changing():
            for buyer in buyers:
                self._rest(buyer, at)

    def _rest(self, buyer: Address, at: int) -> None:
        left = self.free_for_resting(buyer)
        rows = [row for row in self.orders.covered(buyer, left) if self.may_match(row, at)]
        wanted = {row.job for row in rows}
        for row in self.orders.resting([buyer]):
            if row.job not in wanted:
                self.standing.take_out(row.job)
        for row in rows:
            self.standing.place(row, at + INCLUSION_SECONDS)

    def may_match(self, row: JobRow, at: int) -> bool:
        """Whether a resting order still waits, and its last skipped match is long enough ago."""
        return at <= rests_until(row) and self.pauses.over(row.job, at)

    def free_for_resting(self, buyer: Address) -> int:
        """Base units of the buyer beside what its planned leases will lock."""
        return self.followed.balance_of(buyer) - self.standing.promised(buyer)

    def _rebuild(self, at: int) -> None:
        self.news.restart()
        self.followed.rebuild()
        self.orders.rebuild()
        self.standing.rebuild()
        self.turns.rebuild(at)
        self._presence.all_moved()
        self._read_market()
        self._moved = set(self.orders.buyers())
        self._stale = False

    def _read_market(self) -> None:
        market = self._queries.market()
        self._paused_until = 0 if market is None else market.paused_until

    def _read_news(self, at: int) -> None:
        with self.changing():
            touched, newest = self.news.read()
            if touched.rewound:
                self._on_rewound(at)
            elif touched:
                self._take(touched, at)
            self.news.seen(newest)
        self._stale = touched.rewound

    def _take(self, touched: Touched, at: int) -> None:
        self.followed.take(touched.moves)
        self.followed.forget(touched.accounts | touched.bumped)
        for move in touched.moves:
            self._move(move)
        self.turns.observed(touched.moves)
        jobs = touched.jobs | (self._queries.jobs_of_leases(touched.leases) if touched.leases else set())
        self._moved |= self.orders.update(jobs) | touched.accounts
        for job in jobs:
            if not self.orders.rests(job):
                self.standing.take_out(job)
        self.standing.reread(touched.offers, touched.accounts, touched.bumped)
        self.standing.rescore(touched.accounts, at)
        if touched.market:
            self._read_market()

    def _move(self, move: MarketEvent | LeasePlanned | GangPlanned | PlanFailed) -> None:
        """What a fact does to capacity and promises; a second time changes nothing."""
        match move:
            case LeasePlanned(wish=wish, terms=terms):
                self.standing.plan(wish.lease, terms, continues=isinstance(wish, ContinueLease))
            case GangPlanned(wish=gang, terms=all_terms):
                for member, terms in zip(gang.members, all_terms, strict=True):
                    self.standing.plan(member.lease, terms)
            case PlanFailed(lease=lease):
                self.standing.fail(lease)
            case LeaseOpened(id=lease, terms=terms):
                self.standing.open(lease, terms)
            case LeaseClosed(lease=lease):
                self.standing.free(lease)
            case _:
                pass
