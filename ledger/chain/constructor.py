"""Why an embedded grid and a public deployment cannot differ: what a market is created with is encoded here.

Constructor arguments follow the bytecode (Solidity ABI specification); all of the market's are static, so
each is one word.
"""

from ledger.market.identity import Address
from ledger.market.policy import Policy


def market_constructor(
    token: Address, guardian: Address, arbiter: Address, jury: Address, policy: Policy
) -> bytes:
    """The encoded arguments of `ComputeMarket`: 12 words. A zero guardian means that nobody may pause."""
    addresses = (token, guardian, arbiter, jury)
    numbers = (
        policy.receipt_interval,
        policy.grace,
        policy.challenge_window,
        policy.arbitration_window,
        policy.unstake_delay,
        policy.fee_bps,
        policy.stake_bps,
        policy.no_show_bps,
    )
    words = [address.rjust(32, b"\0") for address in addresses] + [n.to_bytes(32, "big") for n in numbers]
    return b"".join(words)
