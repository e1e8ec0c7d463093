"""What every call of the model rests on: the policy, the roles, the state, and how a call is refused.

A call is decided on the present state and answered with the events that the contract logs; the state is
the fold of those events and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import FeePaid, LeaseClosed, MarketEvent, StakeBurned
from ledger.market.identity import NOBODY, Address, LeaseId
from ledger.market.lease import ClosedBecause, Lease, LeaseTerms
from ledger.market.policy import Policy
from ledger.market.state import MarketState

MAX_AMOUNT = (1 << 88) - 1
"""base units that the market holds at most: what one balance field can count"""
NONCE_WORDS = 1 << 56


def require(holds: bool, code: str, cause: str) -> None:
    """Refuse the call, as the contract reverts it."""
    if not holds:
        raise Rejected(code, cause, "Look at the market's state before the call.")


@dataclass(slots=True, kw_only=True)
class Market:
    """`lease_id` hashes terms with the market's domain; times are seconds since 1970."""

    policy: Policy
    lease_id: Callable[[LeaseTerms], LeaseId]
    guardian: Address = NOBODY
    arbiter: Address = NOBODY
    jury: Address = NOBODY
    state: MarketState = field(default_factory=MarketState)

    def __post_init__(self) -> None:
        if self.state.policy is None:
            self.state.policy, self.state.guardian = self.policy, self.guardian

    def _log(self, event: MarketEvent, at: int = 0) -> list[MarketEvent]:
        self.state.apply(event, at)
        return [event]

    def _not_paused(self, at: int) -> None:
        require(at >= self.state.paused_until, "paused", "The guardian has paused the market.")

    def may(self, caller: Address, account: Address, role: Role, at: int) -> bool:
        """Whether the caller is the account, or a key that it gave this role."""
        held = self.state.delegations.get((account, caller))
        return caller == account or (held is not None and held.may(role, at))

    def open_lease(self, terms: LeaseTerms) -> tuple[LeaseId, Lease]:
        """The open lease of these terms; the call is refused where there is none."""
        lease_id = self.lease_id(terms)
        lease = self.state.leases.get(lease_id)
        if lease is None:
            raise Rejected(
                "no-such-lease",
                "No lease with these terms is open.",
                "Look at the market's state before the call.",
            )
        return lease_id, lease

    def pay_fees(self, matcher: Address) -> list[MarketEvent]:
        """Credit a matcher what the receipts before owe it; nothing is logged where nothing is owed."""
        owed = self.state.unpaid_fees.get(matcher, 0)
        return self._log(FeePaid(matcher=matcher, amount=owed)) if owed else []

    def close_lease(self, lease_id: LeaseId, because: ClosedBecause, burn: int = 0) -> list[MarketEvent]:
        """Close at what is paid; the rest goes back to the buyer, the lock but for `burn` to the provider."""
        lease = self.state.leases[lease_id]
        closed = LeaseClosed(
            lease=lease_id,
            buyer=lease.terms.buyer,
            provider=lease.terms.provider,
            paid=lease.paid,
            refunded=lease.escrow - lease.paid,
            because=because,
        )
        events = self._log(closed)
        if burn:
            events += self._log(StakeBurned(provider=lease.terms.provider, lease=lease_id, amount=burn))
        return events
