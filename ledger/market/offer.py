"""Offer: a provider's standing promise of capacity, registered on chain under its EIP-712 digest."""

from dataclasses import dataclass

from ledger.market.errors import Rejected
from ledger.market.identity import Address, Digest
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.resource import Quantities
from ledger.market.traits import Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The signed type `Offer` of PROTOCOL, unpacked. Times are seconds since 1970, asks base units
    per hour for 1,000 lane units."""

    provider: Address
    capacity: Quantities
    ask: Quantities
    traits: Traits
    min_seconds: int
    max_seconds: int
    valid_until: int
    epoch: int
    salt: int
    document: Digest

    def __post_init__(self) -> None:
        exact_bytes("provider", self.provider, 20)
        exact_bytes("document", self.document, 32)
        for name, width in (("min_seconds", 32), ("max_seconds", 32), ("valid_until", 40)):
            unsigned(name, getattr(self, name), width)
        unsigned("epoch", self.epoch, 64)
        unsigned("salt", self.salt, 64)
        if self.min_seconds > self.max_seconds:
            raise Rejected(
                "offer-duration",
                f"min_seconds {self.min_seconds} is above max_seconds {self.max_seconds}.",
                "Give a minimum that is not above the maximum.",
            )
