"""The rules that a market fixed at its deployment; immutable per market, read from the contract."""

from dataclasses import dataclass

from ledger.market.ranges import unsigned

CLOCK_SLACK_SECONDS = 15
"""a receipt may be this far ahead of the chain's clock (PROTOCOL "Receipt")"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Windows of one market, in seconds."""

    receipt_interval: int
    """how often usage is co-signed"""
    grace: int
    """how long after its end a lease waits for its last receipt, before anybody may close it"""

    def __post_init__(self) -> None:
        unsigned("receipt_interval", self.receipt_interval, 32)
        unsigned("grace", self.grace, 32)


EMBEDDED = Policy(receipt_interval=10, grace=60)
PUBLIC = Policy(receipt_interval=60, grace=24 * 3600)
