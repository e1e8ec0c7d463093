"""The market as its events tell it: a fold that an auditor, the books and the agent all share.

`MarketState.apply` accepts the facts of one chain in order; it never asks the contract. An event that
contradicts the state is `Broken`: either a log was lost, or the contract is not the one we know.
"""

from dataclasses import dataclass, field, replace

from ledger.market.errors import Broken
from ledger.market.events import (
    Deposited,
    EpochBumped,
    LeaseClosed,
    LeaseOpened,
    LeaseTerminated,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import Address, LeaseId, OfferId, text
from ledger.market.lease import Lease
from ledger.market.offer import Offer
from ledger.market.resource import Quantities


@dataclass(slots=True)
class MarketState:
    """Balances in base units, offers with their used capacity, open leases, and closed ones' totals."""

    balances: dict[Address, int] = field(default_factory=dict)
    epochs: dict[Address, int] = field(default_factory=dict)
    nonces: dict[Address, set[int]] = field(default_factory=dict)
    offers: dict[OfferId, Offer] = field(default_factory=dict)
    cancelled: set[OfferId] = field(default_factory=set)
    used: dict[OfferId, Quantities] = field(default_factory=dict)
    leases: dict[LeaseId, Lease] = field(default_factory=dict)
    closed: dict[LeaseId, LeaseClosed] = field(default_factory=dict)

    def escrowed(self) -> int:
        """Σ (escrow − paid) over the open leases."""
        return sum(lease.escrow - lease.paid for lease in self.leases.values())

    def held(self) -> int:
        """What the contract must hold of the token: Σ balances + open escrow."""
        return sum(self.balances.values()) + self.escrowed()

    def apply(self, event: MarketEvent) -> None:
        """Take one fact into account, in the chain's order and once."""
        match event:
            case Deposited(account=account, amount=amount):
                self._credit(account, amount)
            case Withdrawn(account=account, amount=amount):
                self._credit(account, -amount)
            case OfferRegistered(id=offer_id, offer=offer):
                self.offers[offer_id] = offer
                self.used.setdefault(offer_id, Quantities())
            case OfferCancelled(id=offer_id):
                self.cancelled.add(offer_id)
            case EpochBumped(account=account, epoch=epoch):
                self.epochs[account] = epoch
            case NoncesCancelled(account=account, word=word, mask=mask):
                spent = {word * 256 + i for i in range(256) if mask >> i & 1}
                self.nonces.setdefault(account, set()).update(spent)
            case LeaseOpened():
                self._open(event)
            case UsageSettled():
                self._settle(event)
            case LeaseTerminated(lease=lease_id, ended_after=seconds):
                lease = self._lease(lease_id)
                self.leases[lease_id] = replace(lease, ended_after=seconds)
            case LeaseClosed():
                self._close(event)
            case _:
                return

    def _credit(self, account: Address, amount: int) -> None:
        balance = self.balances.get(account, 0) + amount
        if balance < 0:
            raise Broken(
                "negative-balance",
                f"The events leave {text(account)} with {balance} base units.",
                "Read the events again from the market's first block.",
            )
        self.balances[account] = balance

    def _lease(self, lease_id: LeaseId) -> Lease:
        lease = self.leases.get(lease_id)
        if lease is None:
            raise Broken(
                "unknown-lease",
                f"An event names lease {text(lease_id)}, which is not open.",
                "Read the events again from the market's first block.",
            )
        return lease

    def _open(self, event: LeaseOpened) -> None:
        terms = event.terms
        self._credit(terms.buyer, -event.escrow)
        self.nonces.setdefault(terms.buyer, set()).add(event.nonce)
        used = self.used.get(terms.offer, Quantities())
        self.used[terms.offer] = used.plus(terms.want)
        self.leases[event.id] = Lease(terms=terms, start=event.start, escrow=event.escrow)

    def _settle(self, event: UsageSettled) -> None:
        lease = self._lease(event.lease)
        if lease.paid + event.amount != event.paid or event.paid > lease.escrow:
            raise Broken(
                "settlement-mismatch",
                f"Lease {text(event.lease)}: {lease.paid} + {event.amount} is not {event.paid}, "
                f"or exceeds its escrow {lease.escrow}.",
                "Read the events again from the market's first block.",
            )
        self._credit(event.provider, event.amount)
        self.leases[event.lease] = replace(lease, paid=event.paid)

    def _close(self, event: LeaseClosed) -> None:
        lease = self._lease(event.lease)
        if event.paid != lease.paid or event.paid + event.refunded != lease.escrow:
            raise Broken(
                "close-mismatch",
                f"Lease {text(event.lease)}: paid {event.paid} and refunded {event.refunded} do "
                f"not make its escrow {lease.escrow} with {lease.paid} settled.",
                "Read the events again from the market's first block.",
            )
        self._credit(event.buyer, event.refunded)
        terms = lease.terms
        self.used[terms.offer] = self.used[terms.offer].less(terms.want)
        del self.leases[event.lease]
        self.closed[event.lease] = event
