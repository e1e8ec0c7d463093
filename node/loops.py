"""The node's own clockwork: follow the chain, send the outbox, sweep what time has ended or made due.

Each loop is a thread that survives every expected failure: it notes it for `/v1/health`, waits longer
each time, and goes on from what the books say.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.books.books import Books
from ledger.books.rows import LeaseRow
from ledger.chain.follower import FollowCursor, Followed, Follower
from ledger.market.errors import MarketError, Unavailable
from ledger.market.events import LeaseOpened
from ledger.market.facts import ChainObserved, ChainRewound
from ledger.market.identity import LeaseId
from ledger.market.lifecycle import LeaseState
from ledger.market.outbox import IntentState
from ledger.market.reasons import SkipReason
from node.exchange import Exchange
from node.trading.claims import Claims
from node.trading.jurying import Jurying
from node.trading.planning import open_key
from node.trading.settlement import Settlement
from node.trading.track_records import TrackRecords
from node.trading.unstaking import Unstaking

_log = logging.getLogger(__name__)
LONGEST_PAUSE = 5.0
HURRY_SECONDS = 1.5
"""how long a loop hurries for news that was announced"""
HURRIED_PAUSE = 0.03


class Loop:
    """Calls `step` until stopped; `step` answers whether more waits already."""

    def __init__(self, name: str, step: Callable[[], bool], pause: float) -> None:
        self.name = name
        self.failure: str | None = None
        self.unavailable: Unavailable | None = None
        self._step = step
        self._pause = pause
        self._wake = threading.Event()
        self._stopped = False
        self._hurry_until = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Do not wait for the pause to end."""
        self._wake.set()

    def hurry(self) -> None:
        """News is on its way: look often for a moment."""
        self._hurry_until = time.monotonic() + HURRY_SECONDS
        self._wake.set()

    def check_available(self) -> None:
        """Raises what the last step found unavailable, if that was why it failed."""
        if self.unavailable is not None:
            told = self.unavailable
            raise Unavailable(told.code, told.cause, told.remedy, **told.facts)

    def stop(self) -> None:
        """Return once the step under way is done."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _run(self) -> None:
        pause = self._pause
        while not self._stopped:
            more = False
            try:
                more = self._step()
                self.failure, self.unavailable, pause = None, None, self._usual_pause()
            except MarketError as exc:
                pause = self._note(exc, pause)
            except Exception as exc:  # a bug in one step must not end the node's clockwork for good
                _log.exception("%s failed", self.name)
                pause = self._note(exc, pause)
            if not more:
                self._wake.wait(pause)
                self._wake.clear()

    def _usual_pause(self) -> float:
        hurried = time.monotonic() < self._hurry_until
        return min(self._pause, HURRIED_PAUSE) if hurried else self._pause

    def _note(self, failure: Exception, pause: float) -> float:
        if str(failure) != self.failure:
            _log.warning("%s: %s", self.name, failure)
        self.failure = str(failure)
        self.unavailable = failure if isinstance(failure, Unavailable) else None
        return min(LONGEST_PAUSE, pause * 2)


class Following:
    """The follower's step: poll, commit facts and cursor at once, then act on them."""

    def __init__(
        self,
        books: Books,
        follower: Follower,
        exchange: Exchange,
        track_records: TrackRecords,
        first_block: int,
        on_opened: Callable[[LeaseOpened], None],
    ) -> None:
        self._books = books
        self._follower = follower
        self._exchange = exchange
        self._track_records = track_records
        self._first_block = first_block
        self._on_opened = on_opened

    def step(self, at: int) -> bool:
        """One poll; whether more waits."""
        cursor = self._cursor()
        followed = self._follower.poll(cursor)
        if followed.cursor != cursor or followed.facts:
            self._commit(followed)
        if followed.facts:
            self._act_on(followed.facts, at)
        return not followed.caught_up

    def _act_on(self, facts: Sequence[ChainObserved | ChainRewound], at: int) -> None:
        """Reputations first, since the exchange matches by them; without them it goes on by the old ones."""
        try:
            self._track_records.follow(rewound=any(isinstance(fact, ChainRewound) for fact in facts))
        finally:
            for event in self._exchange.observed(facts, at):
                self._on_opened(event)

    def _cursor(self) -> FollowCursor:
        known = self._books.queries.cursor()
        if known is None:
            return self._follower.start(self._first_block)
        block, tail = known
        return FollowCursor(block=block, tail=tail)

    def _commit(self, followed: Followed) -> None:
        with self._books.transaction() as unit:
            self._exchange.observe(followed.facts, unit)
            unit.save_cursor(followed.cursor.block, followed.cursor.tail)


class Outgoing(Protocol):
    """Carries out wishes; `ledger.chain.outbox.Outbox` is one."""

    def step(self, at: int) -> int:
        """Settle, pursue and send; how many of these it did."""
        ...


class Sending:
    """The outbox's step, and what its failures mean for planned leases."""

    def __init__(self, books: Books, outbox: Outgoing, exchange: Exchange) -> None:
        self._books = books
        self._outbox = outbox
        self._exchange = exchange

    def step(self, at: int) -> bool:
        """Send and settle; whether more waits."""
        try:
            done = self._outbox.step(at)
        finally:
            self._exchange.fail_plans(self._failed(), at)
        return done > 0

    def _failed(self) -> list[tuple[LeaseId, SkipReason]]:
        failed: list[tuple[LeaseId, SkipReason]] = []
        for row in self._books.queries.leases(states=(LeaseState.PLANNED,)):
            assert row.planned_at is not None
            found = self._books.queries.intent(open_key(row.id, row.planned_at))
            if found is not None and found.state is IntentState.FAILED:
                failed.append((row.id, _reason(found.detail)))
        return failed


def _reason(detail: str) -> SkipReason:
    """The contract's reason by name; a match that could not be sent at all counts as a nonce still good."""
    return SkipReason[detail] if detail in SkipReason.__members__ else SkipReason.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chores:
    """What anybody may do on the chain once it is due, and what the node does for all."""

    claims: Claims
    jurying: Jurying
    unstaking: Unstaking

    def sweep(self, rows: Sequence[LeaseRow], at: int) -> None:
        """Wish for what is due at `at`; `rows` are the open leases."""
        self.claims.sweep(rows, at)
        self.jurying.sweep(rows, at)
        self.unstaking.sweep(at)


class Sweeping:
    """What time ends or makes due: waiting orders, silent agents' leases, leases past their end, claims
    and replicas that nobody needs to wait for any more."""

    def __init__(self, books: Books, exchange: Exchange, settlement: Settlement, chores: Chores) -> None:
        self._books = books
        self._exchange = exchange
        self._settlement = settlement
        self._chores = chores

    def step(self, at: int) -> bool:
        """One sweep; never more at once."""
        presence = self._exchange.presence
        presence.tick(at)
        rows = self._books.queries.leases(states=(LeaseState.ACTIVE,))
        for row in rows:
            assert row.start is not None
            if row.agent_lost_at is None and presence.lost(row.terms.provider, at, row.start):
                self._settlement.give_up(row.id, at)
        self._chores.sweep(rows, at)
        self._settlement.sweep(at)
        self._exchange.clear_round(at)
        self._exchange.lapse(at)
        return False
