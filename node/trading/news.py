"""News: what the journal tells since the exchange looked last, whoever recorded it.

The exchange keeps orders, offers and accounts in memory. Blocks, agents' reports, the settlement's words and
the exchange's own plans all come to the books as facts, so the journal's tail is the one place that tells
what of that memory is old. Facts are read in their order, each once, so what follows from them alone is what
a reader of the whole journal would hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.books.queries import Queries
from ledger.market.events import (
    EpochBumped,
    LeaseOpened,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    Paused,
    Unpaused,
)
from ledger.market.facts import (
    BidAccepted,
    BidWithdrawn,
    ChainObserved,
    ChainRewound,
    Fact,
    GangPlanned,
    LeasePlanned,
    PlanFailed,
    ReceiptCosigned,
    UsageReported,
)
from ledger.market.identity import Address, BidId, LeaseId, OfferId


@dataclass(slots=True)
class Touched:
    """What may have changed: jobs by themselves or by their leases, offers, and accounts' money or keys.
    `bumped` accounts moved to another epoch, `events` are the chain's in their order, `plans` the facts of
    this node that move capacity. After a reorganisation (`rewound`) nothing is as it was."""

    jobs: set[BidId] = field(default_factory=set)
    leases: set[LeaseId] = field(default_factory=set)
    offers: set[OfferId] = field(default_factory=set)
    accounts: set[Address] = field(default_factory=set)
    bumped: set[Address] = field(default_factory=set)
    moves: list[MarketEvent | LeasePlanned | GangPlanned | PlanFailed] = field(default_factory=list)
    market: bool = False
    rewound: bool = False

    def __bool__(self) -> bool:
        return bool(self.jobs or self.leases or self.offers or self.accounts or self.market or self.rewound)


class News:
    """Reads the journal from where it stood last."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._seen = 0

    def restart(self) -> None:
        """What is in the books now is known; to be called before it is read."""
        self._seen = self._queries.newest_entry()

    def own(self, before: int, newest: int) -> None:
        """The entries above `before` up to `newest` are the reader's own: no news, where it knew the rest."""
        if before == self._seen:
            self._seen = newest

    def read(self) -> tuple[Touched, int]:
        """What the new facts touch, and the newest one's number; they are news until `seen` was called."""
        touched, newest = Touched(), self._seen
        for seq, fact in self._queries.facts(self._seen):
            _touch(touched, fact)
            newest = seq
        return touched, newest

    def seen(self, newest: int) -> None:
        """Everything up to that number is known."""
        self._seen = newest


def _touch(touched: Touched, fact: Fact) -> None:
    match fact:
        case ChainRewound():
            touched.rewound = True
        case ChainObserved(events=events):
            for logged in sorted(events, key=lambda one: one.log_index):
                _touch_event(touched, logged.event)
        case UsageReported() | ReceiptCosigned():
            return
        case LeasePlanned() | GangPlanned() | PlanFailed():
            touched.jobs.add(fact.job)
            touched.moves.append(fact)
        case BidAccepted() | BidWithdrawn():
            touched.jobs.add(fact.job)
        case _:
            touched.leases.add(fact.lease)


def _touch_event(touched: Touched, event: MarketEvent) -> None:
    touched.moves.append(event)
    match event:
        case OfferRegistered(id=offer) | OfferCancelled(id=offer):
            touched.offers.add(offer)
        case EpochBumped(account=account):
            touched.bumped.add(account)
        case LeaseOpened(id=lease):
            touched.leases.add(lease)
        case Paused() | Unpaused():
            touched.market = True
        case NoncesCancelled():
            pass
        case _ if hasattr(event, "lease"):
            touched.leases.add(LeaseId(event.lease))
        case _:
            pass
    touched.accounts.update(_parties(event))


def _parties(event: MarketEvent) -> Sequence[Address]:
    """The accounts whose money, keys or epoch an event moves."""
    if isinstance(event, LeaseOpened):
        return (event.terms.buyer, event.terms.provider)
    names = ("account", "buyer", "provider", "matcher")
    return [getattr(event, name) for name in names if hasattr(event, name)]
