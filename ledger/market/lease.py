"""Lease: one match of an offer and a bid; its terms travel in calldata, its money lies in the contract."""

from dataclasses import dataclass
from enum import StrEnum

from ledger.market.identity import Address, BidId, OfferId
from ledger.market.money import MILLISECONDS, pay_for
from ledger.market.policy import CLOCK_SLACK_SECONDS
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.resource import Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """What the lease id is the hash of (PROTOCOL "Lease id"); no block data, so a reorganised match
    keeps its id. `rate` is milli-base-units per hour, `duration` seconds."""

    offer: OfferId
    bid: BidId
    member: int
    provider: Address
    buyer: Address
    signer: Address
    matcher: Address
    want: Quantities
    rate: int
    duration: int

    def __post_init__(self) -> None:
        for name in ("offer", "bid"):
            exact_bytes(name, getattr(self, name), 32)
        for name in ("provider", "buyer", "signer", "matcher"):
            exact_bytes(name, getattr(self, name), 20)
        unsigned("member", self.member, 8)
        unsigned("rate", self.rate, 96)
        unsigned("duration", self.duration, 32)


class ClosedBecause(StrEnum):
    """Why a lease closed; the contract's codes from 1 on, in this order."""

    LAST_RECEIPT = "last-receipt"
    RELEASED = "released"
    EXPIRED = "expired"
    CONTINUED = "continued"
    CLAIMED = "claimed"
    JUDGED = "judged"


class ClaimDecidedBy(StrEnum):
    """Who decided a claim; the contract's codes from 1 on, in this order."""

    NOBODY_CONTESTED = "uncontested"
    ARBITER = "arbiter"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageClaim:
    """A provider's claim on a lease whose signer fell silent: `claimed` is the lease's total in base
    units if it is upheld; from `until` on anybody may finalise it. `buyer_bond` is 0 while nobody
    contested."""

    claimed: int
    provider_bond: int
    until: int
    buyer_bond: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An open lease as the chain has it. `start` is the block time in seconds of its opening;
    `ended_after` the seconds after which the buyer terminated it, None while nobody did. `undecided`
    marks a replica whose result was not judged yet: it neither pays nor closes."""

    terms: LeaseTerms
    start: int
    escrow: int
    paid: int = 0
    ended_after: int | None = None
    undecided: bool = False
    claim: UsageClaim | None = None

    def seconds(self) -> int:
        """The seconds it may run: its duration, or less once terminated."""
        if self.ended_after is None:
            return self.terms.duration
        return min(self.ended_after, self.terms.duration)

    def closable_at(self, grace: int) -> int:
        """From this moment on anybody may close it at what is settled. A replica's end is when it was
        judged, which may be after its duration: its receipts get the whole grace from then."""
        seconds = self.terms.duration if self.ended_after is None else self.ended_after
        return self.start + seconds + grace

    @property
    def contested(self) -> bool:
        """Whether the buyer contests the claim, and the arbiter is to decide."""
        return self.claim is not None and self.claim.buyer_bond > 0

    def billable(self, milliseconds: int, at: int) -> int:
        """The most of `milliseconds` that a receipt may claim at the chain time `at`."""
        elapsed = max(0, at - self.start + CLOCK_SLACK_SECONDS) * MILLISECONDS
        return max(0, min(milliseconds, elapsed, self.seconds() * MILLISECONDS))

    def due(self, milliseconds: int) -> int:
        """Base units owed in total after `milliseconds`; never above the escrow."""
        return min(self.escrow, pay_for(self.terms.rate, milliseconds, self.terms.duration))
