"""Money in integers: rates, pay and escrow, the same to the base unit here and in the contract.

A rate is milli-base-units of the market's token per hour, the exact sum of ask x want over the lanes;
what is due for a number of milliseconds is rounded down, an escrow is rounded up, and the full duration
pays exactly the escrow. Source: PROTOCOL "Money and quantities".
"""

from ledger.market.ranges import unsigned
from ledger.market.resource import Quantities

MILLISECONDS = 1_000
RATE_DIVISOR = 3_600_000_000
"""milliseconds in an hour x the thousand milli-base-units of a base unit"""
MAX_RATE_BITS = 96


def rate_of(ask: Quantities, want: Quantities) -> int:
    """Milli-base-units per hour for `want` at `ask`; an ask prices 1,000 units of a lane."""
    return sum(price * amount for price, amount in zip(ask, want, strict=True))


def escrow_for(rate: int, seconds: int) -> int:
    """Base units that are locked for `seconds` at `rate`, rounded up."""
    unsigned("rate", rate, MAX_RATE_BITS)
    unsigned("seconds", seconds, 32)
    return -(-rate * seconds * MILLISECONDS // RATE_DIVISOR)


def pay_for(rate: int, milliseconds: int, seconds: int) -> int:
    """Base units due after `milliseconds` of a lease of `seconds`: floor, and the escrow when full."""
    if milliseconds >= seconds * MILLISECONDS:
        return escrow_for(rate, seconds)
    return rate * milliseconds // RATE_DIVISOR


def highest_rate(ask_rate: int, max_over_ask_bps: int) -> int:
    """The highest rate that `maxOverAskBps` allows over an ask: rate x 10^4 <= ask x (10^4 + bps)."""
    return ask_rate * (10_000 + max_over_ask_bps) // 10_000
