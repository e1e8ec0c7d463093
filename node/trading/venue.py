"""Venue: on which market, under which rules and as whom this node trades; fixed for the node's life."""

from dataclasses import dataclass

from ledger.chain.typed_data import Domain
from ledger.market.identity import Address
from ledger.market.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many `days` the pages of published epochs are kept, and in how many `bytes` all together."""

    days: int = 30
    bytes: int = 16 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """`address` is the node's own account: the matcher that bids name."""

    domain: Domain
    address: Address
    policy: Policy
    retention: Retention = Retention()
