"""Delegation: what a second key may do for an account, so that the first one can stay in a drawer."""

from dataclasses import dataclass
from enum import IntFlag

from ledger.market.identity import Address
from ledger.market.ranges import exact_bytes, unsigned


class Role(IntFlag):
    """SPEND: sign bids and end the account's leases, within the allowance. OPERATE: register and cancel
    the account's offers, release, claim, commit and reveal for its leases; it can neither withdraw nor
    unstake."""

    SPEND = 1
    OPERATE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """`allowance` is the base units of escrow that the key's bids may still commit (a refund does not
    restore it); `until` the last second at which the key counts. No roles: revoked."""

    key: Address
    roles: Role
    allowance: int
    until: int

    def __post_init__(self) -> None:
        exact_bytes("key", self.key, 20)
        unsigned("allowance", self.allowance, 128)
        unsigned("until", self.until, 40)

    def may(self, role: Role, at: int) -> bool:
        """Whether the key has the role at this moment."""
        return role in self.roles and at <= self.until


def revoked(key: Address) -> Delegation:
    """What a key may do that nobody named, or no longer: nothing."""
    return Delegation(key=key, roles=Role(0), allowance=0, until=0)
