"""Orders: what the matcher knows of an offer or a bid, so that it asks nobody else while it decides.

The signed values come with what does not fit the contract's words: the offer's domain and its provider's
reputation, the job's domain lists and reputation floor, the providers that lost this job before, the
seed of the draw, and the bid's place in the queue and among its alternatives.
"""

from dataclasses import dataclass

from ledger.market.bid import Bid
from ledger.market.domains import check_domain, check_pattern
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Address, BidId, OfferId
from ledger.market.offer import Offer
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.reputation import PER_MILLE


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOrder:
    """A standing offer of a provider whose agent is alive; `domain` is from the offer's document,
    `reputation` the provider's, per mille."""

    id: OfferId
    offer: Offer
    domain: str
    reputation: int = 0

    def __post_init__(self) -> None:
        exact_bytes("id", self.id, 32)
        check_domain(self.domain)
        _check_per_mille("reputation", self.reputation)


@dataclass(frozen=True, slots=True, kw_only=True)
class BidOrder:
    """A bid that waits for offers. `id` is that of this attempt, `job` that of the first one; a lower
    `sequence` is served earlier, `arrived_at` is seconds since 1970, `exclude` names providers that
    must not get the job, `min_reputation` is per mille.

    Orders of one `group` are alternatives: at most one of them is matched. `seed` draws the providers of
    replicas and is of no effect otherwise."""

    id: BidId
    job: BidId
    bid: Bid
    sequence: int
    arrived_at: int
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    exclude: frozenset[Address] = frozenset()
    min_reputation: int = 0
    seed: bytes = NO_DIGEST
    group: BidId | None = None

    def __post_init__(self) -> None:
        exact_bytes("id", self.id, 32)
        exact_bytes("job", self.job, 32)
        unsigned("sequence", self.sequence, 63)
        unsigned("arrived_at", self.arrived_at, 40)
        for pattern in (*self.allow, *self.deny):
            check_pattern(pattern)
        exact_bytes("seed", self.seed, 32)
        _check_per_mille("min_reputation", self.min_reputation)
        if self.group is not None:
            exact_bytes("group", self.group, 32)

    @property
    def members(self) -> int:
        """How many leases it opens, together or not at all."""
        return self.bid.members

    @property
    def distinct(self) -> bool:
        """Whether no two members may be at one provider."""
        return self.bid.distinct

    @property
    def replicated(self) -> bool:
        """Whether the members are drawn by `seed`, at distinct providers in distinct domains."""
        return self.bid.replicated


def _check_per_mille(name: str, value: int) -> None:
    unsigned(name, value, 10)
    if value > PER_MILLE:
        raise Rejected(
            "field-out-of-range", f"{name} is {value}.", f"Give 0 to {PER_MILLE} per mille.", field=name
        )
