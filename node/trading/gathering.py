"""Gathering: orders that come while others are served are served together, in one clearing and one commit.

A commit costs the same for one order as for sixty. So each submitter queues its order; the one that finds
nobody serving serves, a lone order at once, and then all that gathered meanwhile, an epoch at a time. When
its own order is answered, it hands the service to a submitter that still waits. Nobody is answered before
what it is told was committed, nobody waits on a timer, and an epoch that fails answers everybody in it.

An epoch takes the buyers by turns, so that the flood of one delays nobody else by more than one turn.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.books.rows import JobRow
from ledger.market.errors import MarketError, Unavailable
from ledger.market.identity import Address, text
from ledger.market.receipt import SignedReceipt
from matcher.orders import BidOrder
from node.trading.admission import Order
from node.trading.followed import Told

MOST_AN_EPOCH = 64
LEAST_AN_EPOCH = 16
"""fewer would pay for an epoch's own cost more often than it helps the one who waits"""
EPOCH_SECONDS = 0.02
"""how long an epoch should take: the next one takes fewer orders where this one took longer"""
MOST_WAITING = 4_096
MOST_WAITING_OF_BUYER = 512


@dataclass(slots=True, eq=False)
class Ticket:
    """One order at the door. It gets exactly one answer: a row, an error, or the orders for which nothing
    was found. `told` is what the chain itself said of the buyer; `doubtful` marks a refusal that only rests
    on what was followed of the chain."""

    order: Order
    wait: int
    at: int
    receipt: SignedReceipt | None = None
    told: Told | None = None
    row: JobRow | None = None
    error: BaseException | None = None
    unmatched: tuple[BidOrder, ...] = ()
    doubtful: bool = False
    _wake: threading.Event = field(default_factory=threading.Event)

    @property
    def buyer(self) -> Address:
        return self.order.bid.buyer

    @property
    def answered(self) -> bool:
        return bool(self.row is not None or self.error is not None or self.unmatched)

    def accept(self, row: JobRow) -> None:
        """It was committed as this job."""
        assert not self.answered
        self.row = row

    def refuse(self, error: BaseException, *, doubtful: bool = False) -> None:
        """Nothing of it was kept."""
        assert not self.answered
        self.error, self.doubtful = error, doubtful

    def find_nothing(self, orders: Sequence[BidOrder]) -> None:
        """Nothing of it was kept, since no offer serves any of these."""
        assert not self.answered
        self.unmatched = tuple(orders)

    def wake(self) -> None:
        """Its submitter goes on: to its answer, or to serve."""
        self._wake.set()

    def wait_for_turn(self) -> None:
        """Return once it is answered, or its submitter is the one to serve."""
        self._wake.wait()


Serve = Callable[[Sequence[Ticket]], Sequence[Ticket]]
"""answers tickets; those it gives back are for the next epoch, the first one never among them"""


class Gathering:
    """The queue at the door. Thread-safe; `serve` is called by one submitter at a time."""

    def __init__(self, serve: Serve, clock: Callable[[], float] = time.perf_counter) -> None:
        self._serve = serve
        self._clock = clock
        self._waiting = _Turns()
        self._most = MOST_AN_EPOCH
        self._served = False
        self._mutex = threading.Lock()

    def submit(self, ticket: Ticket) -> None:
        """Return once the ticket is answered; `Unavailable` where too many wait already."""
        if not self.queue(ticket):
            ticket.wait_for_turn()
        if ticket.answered:
            return
        try:
            while not ticket.answered:
                self._epoch()
        finally:
            self._hand_over(ticket)

    def queue(self, ticket: Ticket) -> bool:
        """Queue the ticket; whether its submitter is the one to serve now."""
        with self._mutex:
            self._waiting.put(ticket)
            serves, self._served = not self._served, True
        return serves

    @property
    def waiting(self) -> int:
        """How many tickets wait for an epoch."""
        return self._waiting.count

    def _epoch(self) -> None:
        with self._mutex:
            tickets = self._waiting.take(self._most)
        started = self._clock()
        later: Sequence[Ticket] = ()
        try:
            later = self._serve(tickets)
        except MarketError as error:
            _refuse_rest(tickets, error)
        except BaseException as error:
            _refuse_rest(tickets, error)
            raise
        finally:
            with self._mutex:
                self._waiting.put_back(later)
            for ticket in tickets:
                if ticket.answered:
                    ticket.wake()
        self._adapt(len(tickets), self._clock() - started)

    def _adapt(self, count: int, seconds: float) -> None:
        """Twice as many at most, and as many as would have filled the time of an epoch."""
        if count and seconds > 0:
            fitting = int(count * EPOCH_SECONDS / seconds)
            self._most = max(LEAST_AN_EPOCH, min(MOST_AN_EPOCH, 2 * self._most, fitting))

    def _hand_over(self, ticket: Ticket) -> None:
        """The next one serves. Whoever broke down before its own order was served takes that along."""
        with self._mutex:
            self._waiting.drop(ticket)
            following = self._waiting.first()
            self._served = following is not None
        if following is not None:
            following.wake()


def _refuse_rest(tickets: Sequence[Ticket], error: BaseException) -> None:
    """An error of the market answers all whom nothing answered yet; a bug shows to the one who served."""
    for ticket in tickets:
        if not ticket.answered:
            ticket.refuse(
                error
                if isinstance(error, MarketError)
                else Unavailable(
                    "order-not-served", "The orders of this moment could not be served.", "Send it again."
                )
            )


class _Turns:
    """Waiting tickets, by buyer; the buyers take turns."""

    def __init__(self) -> None:
        self._queues: dict[Address, deque[Ticket]] = {}
        self.count = 0

    def put(self, ticket: Ticket) -> None:
        """Behind the buyer's others."""
        queue = self._queues.get(ticket.buyer, ())
        if self.count >= MOST_WAITING or len(queue) >= MOST_WAITING_OF_BUYER:
            raise Unavailable(
                "too-many-waiting",
                f"{self.count} orders wait to be served, {len(queue)} of them of {text(ticket.buyer)}.",
                "Send it again in a moment, and fewer at once.",
            )
        self._queues.setdefault(ticket.buyer, deque()).append(ticket)
        self.count += 1

    def put_back(self, tickets: Sequence[Ticket]) -> None:
        """Before the buyers' others, in their order."""
        for ticket in reversed(tickets):
            self._queues.setdefault(ticket.buyer, deque()).appendleft(ticket)
            self.count += 1

    def take(self, most: int) -> list[Ticket]:
        """Up to `most`, one a buyer and turn; whose turn it was is last the next time."""
        taken: list[Ticket] = []
        while self._queues and len(taken) < most:
            buyer, queue = next(iter(self._queues.items()))
            del self._queues[buyer]
            taken.append(queue.popleft())
            if queue:
                self._queues[buyer] = queue
        self.count -= len(taken)
        return taken

    def drop(self, ticket: Ticket) -> None:
        """It waits no more, if it does."""
        queue = self._queues.get(ticket.buyer, ())
        if ticket in queue:
            left = deque(one for one in queue if one is not ticket)
            self.count -= 1
            self._queues[ticket.buyer] = left
            if not left:
                del self._queues[ticket.buyer]

    def first(self) -> Ticket | None:
        """The one that is served next."""
        return next((queue[0] for queue in self._queues.values()), None)
