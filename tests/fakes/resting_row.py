"""A resting order as the books show it."""

from dataclasses import replace
from typing import Any

from ledger.books.rows import JobRow
from ledger.market.bid import Bid, SignedBid
from ledger.market.identity import BidId, Digest
from ledger.market.lifecycle import JobState
from tests.factories import NOW


def a_resting_row(job: BidId, bid: Bid, **changes: Any) -> JobRow:
    """One attempt, named as the job; it came now and waits for a minute."""
    row = JobRow(
        job=job,
        sequence=1,
        buyer=bid.buyer,
        document=Digest(bid.job),
        attempts=(SignedBid(bid=bid, signature=bytes(64)),),
        attempt_ids=(job,),
        accepted_at=NOW,
        wait_until=NOW + 60,
        state=JobState.RESTING,
        code="",
        cause="",
        lease=None,
        leases=(),
        next_attempt=0,
        excluded=frozenset(),
        reserve=1,
        exit_code=None,
        outputs=(),
    )
    return replace(row, **changes)
