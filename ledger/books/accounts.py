"""Double entry: each money move of the chain as legs that sum to zero, so that no unit appears or vanishes.

Accounts: `wallet:0x…` (outside the market), `balance:0x…` (free in it), `escrow:0x…` (locked by a lease).
"""

from dataclasses import dataclass

from ledger.market.events import Deposited, LeaseClosed, LeaseOpened, MarketEvent, UsageSettled, Withdrawn
from ledger.market.identity import Address, LeaseId, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """`amount` base units into `account`, out of it where negative."""

    account: str
    amount: int


def wallet(account: Address) -> str:
    """What an account holds outside the market."""
    return f"wallet:{text(account)}"


def balance(account: Address) -> str:
    """What an account may withdraw or spend on leases."""
    return f"balance:{text(account)}"


def escrow(lease: LeaseId) -> str:
    """What a lease has locked and not yet paid."""
    return f"escrow:{text(lease)}"


def legs_of(event: MarketEvent) -> tuple[Leg, ...]:
    """The money that an event moved; none where it moved none."""
    match event:
        case Deposited(account=account, amount=amount):
            return _move(wallet(account), balance(account), amount)
        case Withdrawn(account=account, amount=amount):
            return _move(balance(account), wallet(account), amount)
        case LeaseOpened(id=lease, terms=terms, escrow=amount):
            return _move(balance(terms.buyer), escrow(lease), amount)
        case UsageSettled(lease=lease, provider=provider, amount=amount):
            return _move(escrow(lease), balance(provider), amount)
        case LeaseClosed(lease=lease, buyer=buyer, refunded=amount):
            return _move(escrow(lease), balance(buyer), amount)
        case _:
            return ()


def _move(source: str, target: str, amount: int) -> tuple[Leg, ...]:
    if amount == 0:
        return ()
    return Leg(account=source, amount=-amount), Leg(account=target, amount=amount)
