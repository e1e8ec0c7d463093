"""Track records: what the chain says of each provider's past, kept in memory in step with the books.

A reputation is asked for with every clearing and every page, and it follows from all events of the market.
So they are folded once at the start, and then as they are observed; after a reorganisation, anew.
"""

import threading
from collections.abc import Collection

from ledger.books.queries import Queries
from ledger.books.rows import EventRow
from ledger.market.events import Logged
from ledger.market.identity import Address
from ledger.market.reputation import Reputation, Reputations

_PAGE = 1_000


class TrackRecords:
    """The fold of the events that the books keep; `matchers` are those whose fees count. Thread-safe;
    times are seconds since 1970."""

    def __init__(self, queries: Queries, matchers: Collection[Address]) -> None:
        self._queries = queries
        self._matchers = matchers
        self._lock = threading.Lock()
        self._forget()

    def follow(self, *, rewound: bool = False) -> None:
        """Take in what the books have learned; everything anew where a reorganisation took events back."""
        with self._lock:
            if rewound:
                self._forget()
            while rows := self._queries.events(self._seen, _PAGE):
                for row in rows:
                    self._take(row)

    def reputation(self, provider: Address, at: int) -> Reputation:
        """What the provider has done so far, and the score of it."""
        with self._lock:
            return self._reputations.score(provider, at)

    def per_mille(self, provider: Address, at: int) -> int:
        """The score alone: 0 for a newcomer, at most 1000."""
        return self.reputation(provider, at).per_mille

    def _forget(self) -> None:
        self._seen = 0
        self._reputations = Reputations(self._matchers)

    def _take(self, row: EventRow) -> None:
        self._seen = row.seq
        if not row.rewound:
            logged = Logged(
                event=row.event, block=row.block, log_index=row.log_index, transaction=row.transaction
            )
            self._reputations.apply(logged)
