"""Double entry: each money move of the chain as legs that sum to zero, so that no unit appears or vanishes.

Accounts: `wallet:0x…` (outside the market); in it, of an account, `balance:0x…` (free), `stake:0x…` (free
stake) and `unstaking:0x…` (asked back); of a lease, `escrow:0x…`, `lock:0x…` (the provider's stake) and
`bond:0x…` (of its claim); `fees` (charged, and credited to a matcher later in the same call) and `burned`.
"""

from dataclasses import dataclass

from ledger.market.events import (
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    Deposited,
    FeePaid,
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    StakeBurned,
    Staked,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import Address, LeaseId, text
from ledger.market.policy import Policy

FEES = "fees"
BURNED = "burned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """`amount` base units into `account`, out of it where negative."""

    account: str
    amount: int


def wallet(account: Address) -> str:
    """What an account holds outside the market."""
    return f"wallet:{text(account)}"


def balance(account: Address) -> str:
    """What an account may withdraw, stake or spend on leases."""
    return f"balance:{text(account)}"


def stake(account: Address) -> str:
    """What an account's new leases may lock."""
    return f"stake:{text(account)}"


def unstaking(account: Address) -> str:
    """What an account asked back of its stake and does not have yet."""
    return f"unstaking:{text(account)}"


def escrow(lease: LeaseId) -> str:
    """What a lease has locked of its buyer's money and not yet paid."""
    return f"escrow:{text(lease)}"


def lock(lease: LeaseId) -> str:
    """What a lease has locked of its provider's stake."""
    return f"lock:{text(lease)}"


def bond(lease: LeaseId) -> str:
    """What both sides of a lease's claim have at stake."""
    return f"bond:{text(lease)}"


def legs_of(event: MarketEvent, policy: Policy | None = None) -> tuple[Leg, ...]:
    """The money that an event moved; none where it moved none.

    The `policy` says what a lease locks of the provider's stake: nothing, where it is not known.
    """
    match event:
        case Deposited(account=account, amount=amount):
            return _move(wallet(account), balance(account), amount)
        case Withdrawn(account=account, to=to, amount=amount):
            return _move(balance(account), wallet(to), amount)
        case LeaseOpened() | UsageSettled() | LeaseClosed():
            return _legs_of_lease(event, policy)
        case ClaimOpened() | ClaimContested() | ClaimDecided():
            return _legs_of_claim(event)
        case Staked() | UnstakeQueued() | Unstaked() | StakeBurned():
            return _legs_of_stake(event)
        case FeePaid(matcher=matcher, amount=amount):
            return _move(FEES, balance(matcher), amount)
        case _:
            return ()


def _legs_of_lease(event: LeaseOpened | UsageSettled | LeaseClosed, policy: Policy | None) -> tuple[Leg, ...]:
    match event:
        case LeaseOpened(id=lease, terms=terms, escrow=amount):
            locked = policy.lock_for(amount) if policy else 0
            opened = _move(balance(terms.buyer), escrow(lease), amount)
            return opened + _move(stake(terms.provider), lock(lease), locked)
        case UsageSettled(lease=lease, provider=provider, amount=amount, fee=fee):
            return _payout(lease, provider, amount, fee)
        case LeaseClosed(lease=lease, buyer=buyer, provider=provider, paid=paid, refunded=refunded):
            locked = policy.lock_for(paid + refunded) if policy else 0
            closed = _move(escrow(lease), balance(buyer), refunded)
            return closed + _move(lock(lease), stake(provider), locked)


def _legs_of_claim(event: ClaimOpened | ClaimContested | ClaimDecided) -> tuple[Leg, ...]:
    lease = event.lease
    match event:
        case ClaimOpened(provider=provider, bond=amount):
            return _move(balance(provider), bond(lease), amount)
        case ClaimContested(buyer=buyer, bond=amount):
            return _move(balance(buyer), bond(lease), amount)
        case ClaimDecided():
            return (
                *_payout(lease, event.provider, event.amount, event.fee),
                *_move(bond(lease), balance(event.provider), event.to_provider),
                *_move(bond(lease), balance(event.buyer), event.to_buyer),
                *_move(bond(lease), BURNED, event.burned),
            )


def _legs_of_stake(event: Staked | UnstakeQueued | Unstaked | StakeBurned) -> tuple[Leg, ...]:
    match event:
        case Staked(account=account, amount=amount):
            return _move(balance(account), stake(account), amount)
        case UnstakeQueued(account=account, amount=amount):
            return _move(stake(account), unstaking(account), amount)
        case Unstaked(account=account, amount=amount):
            return _move(unstaking(account), balance(account), amount)
        case StakeBurned(provider=provider, amount=amount):
            return _move(stake(provider), BURNED, amount)


def _payout(lease: LeaseId, provider: Address, amount: int, fee: int) -> tuple[Leg, ...]:
    paid = _move(escrow(lease), balance(provider), amount - fee)
    return paid + _move(escrow(lease), FEES, fee)


def _move(source: str, target: str, amount: int) -> tuple[Leg, ...]:
    if amount == 0:
        return ()
    return Leg(account=source, amount=-amount), Leg(account=target, amount=amount)
