"""Resting: until when an order may wait for an offer, and how soon after a skipped match it is tried again.

A match that the contract skips costs the node gas, so the same order is not tried again at once; what
the contract will never take leaves the book.
"""

from ledger.books.rows import JobRow
from ledger.market.identity import BidId
from ledger.market.reasons import SkipReason

INCLUSION_SECONDS = 30
"""how long after its planning a match may be mined; whatever ends sooner is not matched"""
REMATCH_SECONDS = 60
"""how long after its acceptance an order whose match was skipped still looks for another offer"""
FIRST_PAUSE_SECONDS = 4
LONGEST_PAUSE_SECONDS = 300
HOPELESS = frozenset(
    {
        SkipReason.BID_FIELD,
        SkipReason.FLAGS,
        SkipReason.MEMBERS,
        SkipReason.CONTINUES,
        SkipReason.BID_EXPIRED,
        SkipReason.START_BY,
        SkipReason.BID_EPOCH,
        SkipReason.SIGNATURE,
        SkipReason.DELEGATE,
    }
)
"""reasons that lie in the bid itself: no offer and no waiting cures them"""


def rests_until(row: JobRow) -> int:
    """The last second in which an order may be matched, in seconds since 1970.

    Its buyer's waiting time counts for the first match; after a skipped one it has at least a minute from
    its acceptance; an order whose lease was lost or refused may rest as long as its bids are valid.
    """
    valid = max(min(way.bid.start_by, way.bid.valid_until) for way in row.ways) - INCLUSION_SECONDS
    if row.next_attempt > 0:
        return valid
    wait = max(row.wait_until, row.accepted_at + REMATCH_SECONDS) if row.leases else row.wait_until
    return min(wait, valid)


class Pauses:
    """When each order whose match was skipped may be tried again: later each time."""

    def __init__(self) -> None:
        self._until: dict[BidId, int] = {}
        self._strikes: dict[BidId, int] = {}

    def strike(self, job: BidId, at: int) -> None:
        """A match was skipped at `at`, in seconds."""
        strikes = self._strikes.get(job, 0)
        self._strikes[job] = strikes + 1
        self._until[job] = at + min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS << min(strikes, 16))

    def over(self, job: BidId, at: int) -> bool:
        """Whether it may be tried at `at`; a clock that was set back ends the pause."""
        until = self._until.get(job)
        return until is None or not until - LONGEST_PAUSE_SECONDS <= at < until

    def forget(self, jobs: set[BidId]) -> None:
        """Drop orders other than `jobs`, which still rest or open."""
        for job in self._until.keys() - jobs:
            del self._until[job], self._strikes[job]
