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
    """Why a lease closed; the contract's codes 1, 2 and 3 in this order."""

    LAST_RECEIPT = "last-receipt"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An open lease as the chain has it. `start` is the block time in seconds of its opening;
    `ended_after` the seconds after which the buyer terminated it, None while nobody did."""

    terms: LeaseTerms
    start: int
    escrow: int
    paid: int = 0
    ended_after: int | None = None

    def seconds(self) -> int:
        """The seconds it may run: its duration, or less once terminated."""
        if self.ended_after is None:
            return self.terms.duration
        return min(self.ended_after, self.terms.duration)

    def closable_at(self, grace: int) -> int:
        """From this moment on anybody may close it at what is settled."""
        return self.start + self.seconds() + grace

    def billable(self, milliseconds: int, at: int) -> int:
        """The most of `milliseconds` that a receipt may claim at the chain time `at`."""
        elapsed = max(0, at - self.start + CLOCK_SLACK_SECONDS) * MILLISECONDS
        return max(0, min(milliseconds, elapsed, self.seconds() * MILLISECONDS))

    def due(self, milliseconds: int) -> int:
        """Base units owed in total after `milliseconds`; never above the escrow."""
        return min(self.escrow, pay_for(self.terms.rate, milliseconds, self.terms.duration))
