"""A lease's money beside its escrow: what it locks of the provider's stake, its fees, its claim, and what
of the lock was burned. Kept apart from its course, which jobs follow."""

from sqlmodel import Session

from ledger.books.projections.market import known_policy
from ledger.books.tables import LeaseRecord
from ledger.market.events import (
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    LeaseOpened,
    StakeBurned,
    UsageSettled,
)
from ledger.market.lease import UsageClaim

ClaimEvent = ClaimOpened | ClaimContested | ClaimDecided
MoneyEvent = ClaimEvent | StakeBurned


def reset(record: LeaseRecord) -> None:
    """As it is before the lease opens."""
    record.lock = record.fee = record.burned = record.settled_milliseconds = 0
    _forget_claim(record)


def fold(session: Session, record: LeaseRecord, event: object) -> None:
    """Take an event of the lease into account, if it is one that moves this money."""
    match event:
        case LeaseOpened(escrow=escrow):
            policy = known_policy(session)
            record.lock = policy.lock_for(escrow) if policy else 0
        case UsageSettled(fee=fee, milliseconds=milliseconds):
            record.fee, record.settled_milliseconds = record.fee + fee, milliseconds
        case ClaimOpened(claimed=claimed, bond=bond, until=until):
            record.claimed, record.provider_bond, record.claim_until = claimed, bond, until
        case ClaimContested(bond=bond, until=until):
            record.buyer_bond, record.claim_until = bond, until
        case ClaimDecided(paid=paid, fee=fee):
            record.paid, record.fee = paid, record.fee + fee
            _forget_claim(record)
        case StakeBurned(amount=amount):
            record.burned = amount
        case _:
            return


def claim_of(record: LeaseRecord) -> UsageClaim | None:
    """The claim that is not decided yet."""
    if record.claimed is None or record.claim_until is None:
        return None
    return UsageClaim(
        claimed=record.claimed,
        provider_bond=record.provider_bond,
        until=record.claim_until,
        buyer_bond=record.buyer_bond,
    )


def _forget_claim(record: LeaseRecord) -> None:
    record.claimed = record.claim_until = None
    record.provider_bond = record.buyer_bond = 0
