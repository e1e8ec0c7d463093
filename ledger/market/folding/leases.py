"""What the events say of leases: their escrow, their lock of stake, their claim, until they close.

A lock is no field of the chain but a share of the escrow, so it is computed here as it is there.
"""

from dataclasses import dataclass, field, replace

from ledger.market.events import (
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    LeaseClosed,
    LeaseJudged,
    LeaseOpened,
    ReplicasOpened,
    StakeBurned,
    UsageSettled,
)
from ledger.market.folding.accounts import AccountsFold
from ledger.market.folding.contradiction import contradiction
from ledger.market.identity import Address, LeaseId, OfferId, text
from ledger.market.lease import Lease, UsageClaim
from ledger.market.policy import Policy
from ledger.market.resource import Quantities


@dataclass(slots=True, kw_only=True)
class LeasesFold(AccountsFold):
    """Open leases, closed ones' totals, and each offer's used capacity. Without a `policy` (given, or
    told by `MarketDeployed`) nothing is known of locks and fees: locks count as 0."""

    policy: Policy | None = None
    used: dict[OfferId, Quantities] = field(default_factory=dict)
    leases: dict[LeaseId, Lease] = field(default_factory=dict)
    closed: dict[LeaseId, LeaseClosed] = field(default_factory=dict)
    burned: int = 0

    def lock_for(self, escrow: int) -> int:
        """Base units of its provider's stake that a lease of this escrow locks."""
        return self.policy.lock_for(escrow) if self.policy else 0

    def locked(self, provider: Address) -> int:
        """Σ locks of the provider's open leases; they come back to the free stake as these close."""
        mine = (lease for lease in self.leases.values() if lease.terms.provider == provider)
        return sum(self.lock_for(lease.escrow) for lease in mine)

    def escrowed(self) -> int:
        """Σ (escrow − paid) over the open leases."""
        return sum(lease.escrow - lease.paid for lease in self.leases.values())

    def bonds(self) -> int:
        """What lies as bonds of claims that are not decided."""
        claims = (lease.claim for lease in self.leases.values() if lease.claim)
        return sum(claim.provider_bond + claim.buyer_bond for claim in claims)

    def held(self) -> int:
        """What the contract must hold of the token: Σ balances + open escrow + stakes, free, locked and
        queued + bonds + burned. What is burned stays in the contract and is nobody's."""
        own = sum(self.balances.values()) + sum(self.stakes.values()) + sum(self.unpaid_fees.values())
        queued = sum(amount for amount, _ in self.unstaking.values())
        locks = sum(self.lock_for(lease.escrow) for lease in self.leases.values())
        return own + queued + locks + self.escrowed() + self.bonds() + self.burned

    def _lease(self, lease_id: LeaseId) -> Lease:
        lease = self.leases.get(lease_id)
        if lease is None:
            contradiction("unknown-lease", f"An event names lease {text(lease_id)}, which is not open.")
        return lease

    def _open(self, event: LeaseOpened) -> None:
        if event.id in self.leases or event.id in self.closed:
            contradiction("lease-opened-twice", f"Lease {text(event.id)} opens a second time.")
        terms = event.terms
        self._credit(terms.buyer, -event.escrow)
        self._add_stake(terms.provider, -self.lock_for(event.escrow))
        self.nonces.setdefault(terms.buyer, set()).add(event.nonce)
        used = self.used.get(terms.offer, Quantities())
        self.used[terms.offer] = used.plus(terms.want)
        self.leases[event.id] = Lease(terms=terms, start=event.start, escrow=event.escrow)

    def _open_replicas(self, event: ReplicasOpened) -> None:
        opened = [lease_id for lease_id, lease in self.leases.items() if lease.terms.bid == event.bid]
        if len(opened) != event.members:
            contradiction(
                "replicas-mismatch", f"{len(opened)} leases of bid {text(event.bid)} are {event.members}."
            )
        for lease_id in opened:
            self.leases[lease_id] = replace(self.leases[lease_id], undecided=True)

    def _pay(self, lease_id: LeaseId, amount: int, fee: int, paid: int) -> Lease:
        """Move a payout out of the escrow; the lease after it."""
        lease = self._lease(lease_id)
        if lease.paid + amount != paid or paid > lease.escrow:
            contradiction(
                "settlement-mismatch",
                f"Lease {text(lease_id)}: {lease.paid} + {amount} is not {paid}, "
                f"or exceeds its escrow {lease.escrow}.",
            )
        if self.policy and fee != self.policy.fee_on(paid) - self.policy.fee_on(lease.paid):
            contradiction("fee-mismatch", f"Lease {text(lease_id)}: {fee} is not the fee on {amount}.")
        self._credit(lease.terms.provider, amount - fee)
        self._owe_fee(lease.terms.matcher, fee)
        self.leases[lease_id] = replace(lease, paid=paid)
        return self.leases[lease_id]

    def _settle(self, event: UsageSettled) -> None:
        if self._lease(event.lease).claim or self._lease(event.lease).undecided:
            contradiction("settled-too-early", f"Lease {text(event.lease)} waits for a decision.")
        self._pay(event.lease, event.amount, event.fee, event.paid)

    def _terminate(self, lease_id: LeaseId, seconds: int) -> None:
        self.leases[lease_id] = replace(self._lease(lease_id), ended_after=seconds)

    def _judge(self, event: LeaseJudged) -> None:
        lease = self._lease(event.lease)
        if not lease.undecided:
            contradiction("judged-twice", f"Lease {text(event.lease)} was no replica to be judged.")
        if not event.guilty:
            self.leases[event.lease] = replace(
                lease, undecided=False, start=event.start, ended_after=event.ended_after
            )

    def _claim(self, event: ClaimOpened) -> None:
        lease = self._lease(event.lease)
        if lease.claim or lease.undecided or not lease.paid < event.claimed <= lease.escrow:
            contradiction("claim-mismatch", f"Lease {text(event.lease)} allows no claim to {event.claimed}.")
        self._credit(event.provider, -event.bond)
        claim = UsageClaim(claimed=event.claimed, provider_bond=event.bond, until=event.until)
        self.leases[event.lease] = replace(lease, claim=claim)

    def _contest(self, event: ClaimContested) -> None:
        lease = self._lease(event.lease)
        if lease.claim is None or lease.claim.buyer_bond or event.bond != lease.claim.claimed - lease.paid:
            contradiction("claim-mismatch", f"Lease {text(event.lease)} has no claim of {event.bond} to it.")
        self._credit(event.buyer, -event.bond)
        claim = replace(lease.claim, buyer_bond=event.bond, until=event.until)
        self.leases[event.lease] = replace(lease, claim=claim)

    def _decide(self, event: ClaimDecided) -> None:
        claim = self._lease(event.lease).claim
        bonds = claim.provider_bond + claim.buyer_bond if claim else 0
        spread = event.to_provider + event.to_buyer + event.burned
        if claim is None or event.paid > claim.claimed or spread != bonds:
            contradiction("claim-mismatch", f"Lease {text(event.lease)}: {spread} of {bonds} in bonds.")
        lease = self._pay(event.lease, event.amount, event.fee, event.paid)
        self._credit(event.provider, event.to_provider)
        self._credit(event.buyer, event.to_buyer)
        self.burned += event.burned
        self.leases[event.lease] = replace(lease, claim=None)

    def _close(self, event: LeaseClosed) -> None:
        lease = self._lease(event.lease)
        if event.paid != lease.paid or event.paid + event.refunded != lease.escrow:
            contradiction(
                "close-mismatch",
                f"Lease {text(event.lease)}: paid {event.paid} and refunded {event.refunded} do "
                f"not make its escrow {lease.escrow} with {lease.paid} settled.",
            )
        if lease.claim:
            contradiction("close-mismatch", f"Lease {text(event.lease)} closes with a claim undecided.")
        terms = lease.terms
        self._credit(terms.buyer, event.refunded)
        self._add_stake(terms.provider, self.lock_for(lease.escrow))
        self.used[terms.offer] = self.used[terms.offer].less(terms.want)
        del self.leases[event.lease]
        self.closed[event.lease] = event

    def _burn(self, event: StakeBurned) -> None:
        closed = self.closed.get(event.lease)
        lock = self.lock_for(closed.paid + closed.refunded) if closed else 0
        if closed is None or closed.provider != event.provider or event.amount > lock:
            contradiction("burn-mismatch", f"{event.amount} burned for lease {text(event.lease)} of {lock}.")
        self._add_stake(event.provider, -event.amount)
        self.burned += event.amount
