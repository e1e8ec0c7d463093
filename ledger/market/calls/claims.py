"""Claims: a provider whose counterpart fell silent asks for its pay; contested, decided, or split.

No claim reaches further than two receipt intervals, so no lie about usage is worth more.
"""

from ledger.market.calls.market import Market, require
from ledger.market.calls.settling import check_bounds
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import ClaimContested, ClaimDecided, ClaimOpened, MarketEvent
from ledger.market.identity import Address, LeaseId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause, Lease, LeaseTerms, UsageClaim
from ledger.market.money import MILLISECONDS, RATE_DIVISOR
from ledger.market.policy import CLAIM_INTERVALS, FREE_CLAIM_INTERVALS


class ClaimCalls(Market):
    """Calls around a claim; amounts are base units."""

    __slots__ = ()

    def _price_of(self, terms: LeaseTerms, intervals: int) -> int:
        """What so many receipt intervals cost, rounded up."""
        return -(-terms.rate * intervals * self.policy.receipt_interval * MILLISECONDS // RATE_DIVISOR)

    def claim(self, caller: Address, terms: LeaseTerms, milliseconds: int, at: int) -> list[MarketEvent]:
        """By the provider or its operator, on an active lease; bond-free up to one receipt interval."""
        lease_id, lease = self.open_lease(terms)
        allowed = self.may(caller, terms.provider, Role.OPERATE, at)
        require(allowed, "not-the-provider", "The caller is neither the provider nor its operator.")
        require(not lease.claim, "claimed", "The lease has a claim.")
        require(not lease.undecided, "undecided", "The lease is a replica that was not judged.")
        reason = check_bounds(lease, milliseconds, at)
        require(not reason, "claim-bound", f"The claim is out of bounds: {reason.name}.")
        due = lease.due(milliseconds)
        more = due - lease.paid
        require(more > 0, "nothing-claimed", "So much was paid before.")
        reach = self._price_of(terms, CLAIM_INTERVALS)
        require(more <= reach, "claim-too-large", "The claim reaches too far beyond what is paid.")
        bond = max(0, more - self._price_of(terms, FREE_CLAIM_INTERVALS))
        enough = self.state.balances.get(terms.provider, 0) >= bond
        require(enough, "balance-too-small", "The provider's free balance is below the bond.")
        until = at + self.policy.challenge_window
        return self._log(
            ClaimOpened(
                lease=lease_id,
                buyer=terms.buyer,
                provider=terms.provider,
                claimed=due,
                bond=bond,
                until=until,
            )
        )

    def contest(self, caller: Address, terms: LeaseTerms, at: int) -> list[MarketEvent]:
        """By the buyer alone, with a bond equal to the claim."""
        lease_id, lease, claim = self._claimed(terms)
        require(caller == terms.buyer, "not-the-buyer", "The caller is not the buyer.")
        require(not lease.contested, "contested-before", "The claim is contested.")
        require(at < claim.until, "too-late", "The challenge window has passed.")
        bond = claim.claimed - lease.paid
        enough = self.state.balances.get(caller, 0) >= bond
        require(enough, "balance-too-small", "The buyer's free balance is below the bond.")
        until = at + self.policy.arbitration_window
        return self._log(
            ClaimContested(lease=lease_id, buyer=caller, provider=terms.provider, bond=bond, until=until)
        )

    def decide(self, caller: Address, terms: LeaseTerms, paid: int, slash: int, at: int) -> list[MarketEvent]:
        """By the arbiter alone, inside [paid, claimed]; who is wholly wrong loses its bond."""
        lease_id, lease, claim = self._claimed(terms)
        require(caller == self.arbiter, "not-the-arbiter", "The caller is not the arbiter.")
        require(lease.contested, "not-contested", "Nobody contests the claim.")
        require(at < claim.until, "too-late", "The arbitration window has passed.")
        inside = lease.paid <= paid <= claim.claimed
        require(inside, "outside-the-claim", "The decision is not between what is paid and the claim.")
        lock = self.policy.lock_for(lease.escrow)
        require(slash <= lock, "slash-too-large", "Only this lease's lock can be slashed.")
        to_provider = 0 if paid == lease.paid else claim.provider_bond
        to_buyer = 0 if paid == claim.claimed else claim.buyer_bond
        shares = (to_provider, to_buyer)
        return self._end_claim(lease_id, paid, shares, ClaimDecidedBy.ARBITER, slash)

    def finalize(self, terms: LeaseTerms, at: int) -> list[MarketEvent]:
        """By anybody once the window has passed: uncontested in full, else split in half."""
        lease_id, lease, claim = self._claimed(terms)
        require(at >= claim.until, "not-yet", "The window has not passed.")
        if not lease.contested:
            shares = (claim.provider_bond, 0)
            return self._end_claim(lease_id, claim.claimed, shares, ClaimDecidedBy.NOBODY_CONTESTED)
        more = claim.claimed - lease.paid
        half = more // 2
        shares = (claim.provider_bond + half, more - half)
        return self._end_claim(lease_id, lease.paid + half, shares, ClaimDecidedBy.SILENCE)

    def _claimed(self, terms: LeaseTerms) -> tuple[LeaseId, Lease, UsageClaim]:
        lease_id, lease = self.open_lease(terms)
        if lease.claim is None:
            raise Rejected("not-claimed", "The lease has no claim.", "Look at the lease before the call.")
        return lease_id, lease, lease.claim

    def _end_claim(
        self, lease_id: LeaseId, paid: int, shares: tuple[int, int], by: ClaimDecidedBy, slash: int = 0
    ) -> list[MarketEvent]:
        lease = self.state.leases[lease_id]
        bonds = lease.claim.provider_bond + lease.claim.buyer_bond if lease.claim else 0
        decided = ClaimDecided(
            lease=lease_id,
            buyer=lease.terms.buyer,
            provider=lease.terms.provider,
            amount=paid - lease.paid,
            fee=self.policy.fee_on(paid) - self.policy.fee_on(lease.paid),
            paid=paid,
            to_provider=shares[0],
            to_buyer=shares[1],
            burned=bonds - sum(shares),
            by=by,
        )
        events = self._log(decided) + self.pay_fees(lease.terms.matcher)
        return events + self.close_lease(lease_id, ClosedBecause.CLAIMED, slash)
