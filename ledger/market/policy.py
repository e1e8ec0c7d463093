"""The rules that a market fixed at its deployment; immutable per market, read from the contract."""

from dataclasses import dataclass

from ledger.market.errors import Rejected
from ledger.market.ranges import unsigned

CLOCK_SLACK_SECONDS = 15
"""a receipt may be this far ahead of the chain's clock (PROTOCOL "Receipt")"""
BASIS_POINTS = 10_000
MAX_FEE_BPS = 200
CLAIM_INTERVALS = 2
"""a claim reaches at most this many receipt intervals beyond what is paid"""
JURY_INTERVALS = 2
"""receipt intervals that the jury waits for commitments after a replica's end, and then for results"""
FREE_CLAIM_INTERVALS = 1
"""a claim up to this many receipt intervals needs no bond of the provider"""


def lock_of(escrow: int, stake_bps: int) -> int:
    """Base units of its provider's stake that a lease of this escrow locks, rounded down."""
    return escrow * stake_bps // BASIS_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Windows of one market in seconds, shares in basis points (1/10,000)."""

    receipt_interval: int
    """how often usage is co-signed"""
    grace: int
    """how long after its end a lease waits for its last receipt, before anybody may close it"""
    challenge_window: int
    """how long a buyer may contest a provider's claim"""
    arbitration_window: int
    """how long the arbiter may take, before a contested claim is split"""
    unstake_delay: int
    """how long stake stays after it was asked back; longer than every other window"""
    fee_bps: int
    """of each payout, to the matcher that opened the lease; at most `MAX_FEE_BPS`"""
    stake_bps: int
    """of a lease's escrow, locked of the provider's free stake while the lease is open"""
    no_show_bps: int
    """of that lock, burned where a lease expires without a receipt or a claim"""

    def __post_init__(self) -> None:
        for name in (
            "receipt_interval",
            "grace",
            "challenge_window",
            "arbitration_window",
            "unstake_delay",
        ):
            unsigned(name, getattr(self, name), 32)
        longest = max(self.receipt_interval, self.grace, self.challenge_window, self.arbitration_window)
        if self.unstake_delay <= longest:
            raise Rejected(
                "unstake-delay",
                f"Stake could leave after {self.unstake_delay} s, within a window of {longest} s.",
                "Give a delay that is longer than every other window.",
            )
        for name, most in (
            ("fee_bps", MAX_FEE_BPS),
            ("stake_bps", BASIS_POINTS),
            ("no_show_bps", BASIS_POINTS),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise Rejected(
                    "policy-share", f"{name} is {getattr(self, name)}.", f"Give 0 to {most} basis points."
                )

    @property
    def jury_patience(self) -> int:
        """Seconds that the jury waits for commitments, and then again for results."""
        return JURY_INTERVALS * self.receipt_interval

    def lock_for(self, escrow: int) -> int:
        """`lock_of` in this market."""
        return lock_of(escrow, self.stake_bps)

    def fee_on(self, paid: int) -> int:
        """The matcher's part, in base units, of all that a lease has paid; a payout's fee is a difference."""
        return paid * self.fee_bps // BASIS_POINTS

    def no_show_of(self, lock: int) -> int:
        """What a no-show burns of a lease's lock."""
        return lock * self.no_show_bps // BASIS_POINTS


EMBEDDED = Policy(
    receipt_interval=10,
    grace=60,
    challenge_window=60,
    arbitration_window=300,
    unstake_delay=360,
    fee_bps=100,
    stake_bps=1_000,
    no_show_bps=5_000,
)
PUBLIC = Policy(
    receipt_interval=60,
    grace=24 * 3600,
    challenge_window=24 * 3600,
    arbitration_window=72 * 3600,
    unstake_delay=7 * 24 * 3600,
    fee_bps=100,
    stake_bps=1_000,
    no_show_bps=5_000,
)
