"""Receipts, and the ends of a lease: released, terminated, expired, or by its last receipt."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.market.calls.market import Market, require
from ledger.market.delegation import Role
from ledger.market.events import LeaseTerminated, MarketEvent, ReceiptSkipped, UsageSettled
from ledger.market.identity import NOBODY, Address
from ledger.market.lease import ClosedBecause, Lease, LeaseTerms
from ledger.market.money import MILLISECONDS
from ledger.market.policy import CLOCK_SLACK_SECONDS
from ledger.market.reasons import SkipReason
from ledger.market.receipt import UsageReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A receipt with the terms of its lease; `authentic`: the signature is by `terms.signer`."""

    terms: LeaseTerms
    receipt: UsageReceipt
    authentic: bool


def check_bounds(lease: Lease, milliseconds: int, at: int) -> SkipReason:
    """No receipt and no claim beyond the clock, the duration, or the end that the buyer set."""
    if milliseconds > (at - lease.start + CLOCK_SLACK_SECONDS) * MILLISECONDS:
        return SkipReason.BEYOND_ELAPSED
    if milliseconds > lease.terms.duration * MILLISECONDS:
        return SkipReason.BEYOND_DURATION
    if milliseconds > lease.seconds() * MILLISECONDS:
        return SkipReason.BEYOND_TERMINATION
    return SkipReason.NONE


def check_settleable(lease: Lease | None) -> SkipReason:
    """Whether the lease is open, without a claim, and not a replica that waits for the jury."""
    if lease is None:
        return SkipReason.LEASE_UNKNOWN
    if lease.claim:
        return SkipReason.CLAIMED
    return SkipReason.UNDECIDED if lease.undecided else SkipReason.NONE


class SettlingCalls(Market):
    """Calls that pay a lease and end it."""

    __slots__ = ()

    def check_settlement(self, item: Settlement, at: int) -> SkipReason:
        """The reason for which the contract would skip this receipt; the first one in its order."""
        lease = self.state.leases.get(self.lease_id(item.terms))
        if reason := check_settleable(lease):
            return reason
        assert lease is not None
        if reason := check_bounds(lease, item.receipt.milliseconds, at):
            return reason
        due = lease.due(item.receipt.milliseconds)
        if due < lease.paid or (due == lease.paid and not item.receipt.last):
            return SkipReason.NOT_MONOTONE
        return SkipReason.NONE if item.authentic else SkipReason.RECEIPT_SIGNATURE

    def settle(self, item: Settlement, at: int) -> list[MarketEvent]:
        """Pays up to the receipt; the last one closes and refunds."""
        return self.settle_many([item], at)

    def settle_many(self, items: Sequence[Settlement], at: int) -> list[MarketEvent]:
        """Every receipt in order; the fees of consecutive ones of one matcher come as one."""
        events: list[MarketEvent] = []
        matcher = NOBODY
        for item in items:
            lease_id = self.lease_id(item.terms)
            if reason := self.check_settlement(item, at):
                events += self._log(ReceiptSkipped(lease=lease_id, reason=reason))
                continue
            if item.terms.matcher != matcher:
                events += self.pay_fees(matcher)
                matcher = item.terms.matcher
            events += self.pay_receipt(item)
            if item.receipt.last:
                events += self.close_lease(lease_id, ClosedBecause.LAST_RECEIPT)
        return events + self.pay_fees(matcher)

    def pay_receipt(self, item: Settlement) -> list[MarketEvent]:
        """Move what the receipt proves, checked before; the matcher's fee stays owed."""
        lease_id, lease = self.open_lease(item.terms)
        due = lease.due(item.receipt.milliseconds)
        settled = UsageSettled(
            lease=lease_id,
            buyer=lease.terms.buyer,
            provider=lease.terms.provider,
            milliseconds=item.receipt.milliseconds,
            amount=due - lease.paid,
            fee=self.policy.fee_on(due) - self.policy.fee_on(lease.paid),
            paid=due,
            evidence=item.receipt.evidence,
        )
        return self._log(settled)

    def release(self, caller: Address, terms: LeaseTerms, at: int = 0) -> list[MarketEvent]:
        """By the provider or its operator: closes at what is paid."""
        lease_id, lease = self.open_lease(terms)
        allowed = self.may(caller, terms.provider, Role.OPERATE, at)
        require(allowed, "not-the-provider", "The caller is neither the provider nor its operator.")
        require(not lease.claim, "claimed", "The lease has a claim.")
        require(not lease.undecided, "undecided", "The lease is a replica that was not judged.")
        return self.close_lease(lease_id, ClosedBecause.RELEASED)

    def terminate(self, caller: Address, terms: LeaseTerms, at: int) -> list[MarketEvent]:
        """By the buyer or a key that may spend for it; replicas too."""
        lease_id, lease = self.open_lease(terms)
        allowed = self.may(caller, terms.buyer, Role.SPEND, at)
        require(allowed, "not-the-buyer", "The caller is neither the buyer nor its delegate.")
        require(not lease.claim, "claimed", "The lease has a claim.")
        require(lease.ended_after is None, "terminated-before", "It was terminated before.")
        terminated = LeaseTerminated(
            lease=lease_id,
            buyer=terms.buyer,
            provider=terms.provider,
            ended_after=min(max(at - lease.start, 1), terms.duration),
        )
        return self._log(terminated)

    def check_close(self, terms: LeaseTerms, at: int) -> SkipReason:
        """Why anybody may not close the lease yet."""
        lease = self.state.leases.get(self.lease_id(terms))
        if reason := check_settleable(lease):
            return reason
        assert lease is not None
        ripe = at >= lease.closable_at(self.policy.grace)
        return SkipReason.NONE if ripe else SkipReason.NOT_YET

    def close(self, terms: LeaseTerms, at: int) -> list[MarketEvent]:
        """By anybody after end and grace; a no-show burns a part of the provider's lock."""
        reason = self.check_close(terms, at)
        code = reason.name.lower().replace("_", "-")
        require(not reason, code, f"The lease cannot be closed: {reason.name}.")
        lease_id, lease = self.open_lease(terms)
        lock = self.policy.lock_for(lease.escrow)
        burn = self.policy.no_show_of(lock) if self._no_show(lease) else 0
        return self.close_lease(lease_id, ClosedBecause.EXPIRED, burn)

    def _no_show(self, lease: Lease) -> bool:
        """Nothing was ever paid, though the buyer gave it more than one receipt's time."""
        hurried = lease.ended_after is not None and lease.ended_after <= self.policy.receipt_interval
        return lease.paid == 0 and lease.escrow > 0 and not hurried

    def close_many(self, items: Sequence[LeaseTerms], at: int) -> list[MarketEvent]:
        events: list[MarketEvent] = []
        for terms in items:
            reason = self.check_close(terms, at)
            if reason:
                skipped = ReceiptSkipped(lease=self.lease_id(terms), reason=reason)
                events += self._log(skipped)
            else:
                events += self.close(terms, at)
        return events
