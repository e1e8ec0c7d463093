"""Orders: what the matcher knows of an offer or a bid, so that it asks nobody else while it decides.

The signed values come with what does not fit the contract's words: the offer's domain, the job's domain
lists, the providers that lost this job before, and the bid's place in the queue.
"""

from dataclasses import dataclass

from ledger.market.bid import Bid
from ledger.market.domains import check_domain, check_pattern
from ledger.market.identity import Address, BidId, OfferId
from ledger.market.offer import Offer
from ledger.market.ranges import exact_bytes, unsigned


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOrder:
    """A standing offer of a provider whose agent is alive; `domain` is from the offer's document."""

    id: OfferId
    offer: Offer
    domain: str

    def __post_init__(self) -> None:
        exact_bytes("id", self.id, 32)
        check_domain(self.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class BidOrder:
    """A bid that waits for an offer. `id` is that of this attempt, `job` that of the first one; a lower
    `sequence` is served earlier, `arrived_at` is seconds since 1970, `exclude` names providers that
    must not get the job."""

    id: BidId
    job: BidId
    bid: Bid
    sequence: int
    arrived_at: int
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    exclude: frozenset[Address] = frozenset()

    def __post_init__(self) -> None:
        exact_bytes("id", self.id, 32)
        exact_bytes("job", self.job, 32)
        unsigned("sequence", self.sequence, 63)
        unsigned("arrived_at", self.arrived_at, 40)
        for pattern in (*self.allow, *self.deny):
            check_pattern(pattern)
