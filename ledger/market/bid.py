"""Bid: a buyer's signed request for capacity with a limit price; one nonce opens once."""

from dataclasses import dataclass

from ledger.market.identity import NO_DIGEST, NOBODY, Address, Digest
from ledger.market.ranges import exact_bytes, unsigned
from ledger.market.resource import Quantities
from ledger.market.traits import Traits

DISTINCT = 1
"""flag: every member of the gang at another provider"""
REPLICAS = 2
"""flag: the members run the same job, distinct providers, and a quorum of equal results decides"""
AGREE_SHIFT = 4
"""the high half of `flags`: how many equal results make the quorum of replicas"""
MAX_MEMBERS = 32
"""leases that one call opens at most"""
MAX_REPLICAS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """The signed type `Bid` of PROTOCOL, unpacked. `limit_rate` is milli-base-units per hour of one
    member, `duration` seconds, `start_by`, `valid_until` and `open_after` seconds since 1970."""

    buyer: Address
    signer: Address
    want: Quantities
    traits: Traits
    limit_rate: int
    max_over_ask_bps: int
    duration: int
    start_by: int
    valid_until: int
    open_after: int
    members: int = 1
    flags: int = 0
    epoch: int
    nonce: int
    job: Digest
    provider: Address = NOBODY
    matcher: Address = NOBODY
    continues: Digest = NO_DIGEST

    def __post_init__(self) -> None:
        for name in ("buyer", "signer", "provider", "matcher"):
            exact_bytes(name, getattr(self, name), 20)
        for name in ("job", "continues"):
            exact_bytes(name, getattr(self, name), 32)
        widths = {
            "limit_rate": 96,
            "max_over_ask_bps": 16,
            "duration": 32,
            "start_by": 40,
            "valid_until": 40,
            "open_after": 40,
            "members": 8,
            "flags": 8,
            "epoch": 64,
            "nonce": 64,
        }
        for name, width in widths.items():
            unsigned(name, getattr(self, name), width)

    @property
    def distinct(self) -> bool:
        """Whether no two members may be at one provider."""
        return bool(self.flags & (DISTINCT | REPLICAS))

    @property
    def replicated(self) -> bool:
        return bool(self.flags & REPLICAS)

    @property
    def agree(self) -> int:
        """How many equal results make the quorum, 0 for a bid without replicas."""
        return self.flags >> AGREE_SHIFT


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBid:
    """A bid with its buyer's 64-byte signature (EIP-2098: r, then s with the parity in its top bit)."""

    bid: Bid
    signature: bytes

    def __post_init__(self) -> None:
        exact_bytes("signature", self.signature, 64)
