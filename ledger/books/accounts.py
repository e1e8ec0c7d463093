"""Double entry: each money event of the chain as moves between accounts, so that no unit appears or vanishes.

Accounts: `wallet:0x…` (outside the market); in it, of an account, `balance:0x…`, `stake:0x…` and
`unstaking:0x…` (asked back); `fees` (charged, and credited to a matcher later in the same call) and
`burned`. What a lease locks stays in its owner's account as a pending transfer, a hold: `escrow:0x…` from
buyer to provider, posted as usage is settled, the rest void at the end; `lock:0x…` from the provider's stake
to `burned`, and `bond:0x…/provider` and `…/buyer` likewise from the balances of a claim's two sides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

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
Held = Callable[[str], int]
"""what is left of a hold, 0 where there is none"""


class Kind(StrEnum):
    """What a transfer does: move at once, hold, move out of a hold, give back of a hold; RESTORE takes one
    of the last two back, in a reorganisation."""

    DIRECT = "direct"
    PENDING = "pending"
    POST = "post"
    VOID = "void"
    RESTORE = "restore"


class Purpose(StrEnum):
    """Why money moves, as a statement says it."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    ESCROW = "escrow"
    USAGE = "usage"
    FEE = "fee"
    MATCHING = "matching"
    STAKE = "stake"
    UNSTAKE = "unstake"
    LOCK = "lock"
    BOND = "bond"
    BURN = "burn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`amount` base units, above zero, from the account `debit` to the account `credit`; `hold` names the
    pending transfer that it makes, posts or voids."""

    kind: Kind
    purpose: Purpose
    debit: str
    credit: str
    amount: int
    hold: str | None = None
    lease: LeaseId | None = None


def wallet(account: Address) -> str:
    """What an account holds outside the market."""
    return f"wallet:{text(account)}"


def balance(account: Address) -> str:
    """What an account has in the market; what it may withdraw, stake or spend is that less its holds."""
    return f"balance:{text(account)}"


def stake(account: Address) -> str:
    """An account's stake; its new leases may lock what is not held."""
    return f"stake:{text(account)}"


def unstaking(account: Address) -> str:
    """What an account asked back of its stake and does not have yet."""
    return f"unstaking:{text(account)}"


def escrow(lease: LeaseId) -> str:
    """The hold of what a lease has locked of its buyer's money and not yet paid."""
    return f"escrow:{text(lease)}"


def lock(lease: LeaseId) -> str:
    """The hold of what a lease has locked of its provider's stake."""
    return f"lock:{text(lease)}"


def bond(lease: LeaseId, side: str) -> str:
    """The hold of what one side of a lease's claim has at stake; `side` is "provider" or "buyer"."""
    return f"bond:{text(lease)}/{side}"


def nothing_held(_hold: str) -> int:
    """For events that are no decision."""
    return 0


def moves_of(event: MarketEvent, policy: Policy | None = None, held: Held = nothing_held) -> tuple[Move, ...]:
    """The money that an event moved, in order; none where it moved none.

    The `policy` says what a lease locks of the provider's stake: nothing, where it is not known. `held` is
    asked for the bonds that a decision spreads.
    """
    match event:
        case LeaseOpened() | UsageSettled() | LeaseClosed():
            moves = _of_lease(event, policy)
        case ClaimOpened() | ClaimContested() | ClaimDecided():
            moves = _of_claim(event, held)
        case _:
            moves = _of_account(event)
    return tuple(move for move in moves if move.amount)


def _direct(purpose: Purpose, debit: str, credit: str, amount: int, lease: LeaseId | None = None) -> Move:
    return Move(kind=Kind.DIRECT, purpose=purpose, debit=debit, credit=credit, amount=amount, lease=lease)


def _of_account(event: MarketEvent) -> tuple[Move, ...]:
    match event:
        case Deposited(account=account, amount=amount):
            return (_direct(Purpose.DEPOSIT, wallet(account), balance(account), amount),)
        case Withdrawn(account=account, to=to, amount=amount):
            return (_direct(Purpose.WITHDRAWAL, balance(account), wallet(to), amount),)
        case Staked(account=account, amount=amount):
            return (_direct(Purpose.STAKE, balance(account), stake(account), amount),)
        case UnstakeQueued(account=account, amount=amount):
            return (_direct(Purpose.UNSTAKE, stake(account), unstaking(account), amount),)
        case Unstaked(account=account, amount=amount):
            return (_direct(Purpose.UNSTAKE, unstaking(account), balance(account), amount),)
        case StakeBurned(provider=provider, lease=lease, amount=amount):
            return (_direct(Purpose.BURN, stake(provider), BURNED, amount, lease),)
        case FeePaid(matcher=matcher, amount=amount):
            return (_direct(Purpose.MATCHING, FEES, balance(matcher), amount),)
        case _:
            return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hold:
    """One hold's two accounts, and what can be done with it."""

    purpose: Purpose
    name: str
    debit: str
    credit: str
    lease: LeaseId

    def move(self, kind: Kind, amount: int, purpose: Purpose | None = None) -> Move:
        return Move(
            kind=kind,
            purpose=purpose or self.purpose,
            debit=self.debit,
            credit=self.credit,
            amount=amount,
            hold=self.name,
            lease=self.lease,
        )


def _escrow(lease: LeaseId, buyer: Address, provider: Address) -> _Hold:
    return _Hold(
        purpose=Purpose.ESCROW,
        name=escrow(lease),
        debit=balance(buyer),
        credit=balance(provider),
        lease=lease,
    )


def _lock(lease: LeaseId, provider: Address) -> _Hold:
    return _Hold(purpose=Purpose.LOCK, name=lock(lease), debit=stake(provider), credit=BURNED, lease=lease)


def _bond(lease: LeaseId, side: str, owner: Address) -> _Hold:
    name = bond(lease, side)
    return _Hold(purpose=Purpose.BOND, name=name, debit=balance(owner), credit=BURNED, lease=lease)


def _of_lease(event: LeaseOpened | UsageSettled | LeaseClosed, policy: Policy | None) -> tuple[Move, ...]:
    match event:
        case LeaseOpened(id=lease, terms=terms, escrow=amount):
            locked = policy.lock_for(amount) if policy else 0
            return (
                _escrow(lease, terms.buyer, terms.provider).move(Kind.PENDING, amount),
                _lock(lease, terms.provider).move(Kind.PENDING, locked),
            )
        case UsageSettled():
            return _payout(event)
        case LeaseClosed(lease=lease, buyer=buyer, provider=provider, paid=paid, refunded=refunded):
            locked = policy.lock_for(paid + refunded) if policy else 0
            return (
                _escrow(lease, buyer, provider).move(Kind.VOID, refunded),
                _lock(lease, provider).move(Kind.VOID, locked),
            )


def _payout(event: UsageSettled | ClaimDecided) -> tuple[Move, ...]:
    """The gross amount to the provider, and out of it the matcher's fee."""
    paid = _escrow(event.lease, event.buyer, event.provider)
    return (
        paid.move(Kind.POST, event.amount, Purpose.USAGE),
        _direct(Purpose.FEE, balance(event.provider), FEES, event.fee, event.lease),
    )


def _of_claim(event: ClaimOpened | ClaimContested | ClaimDecided, held: Held) -> tuple[Move, ...]:
    match event:
        case ClaimOpened(lease=lease, provider=provider, bond=amount):
            return (_bond(lease, "provider", provider).move(Kind.PENDING, amount),)
        case ClaimContested(lease=lease, buyer=buyer, bond=amount):
            return (_bond(lease, "buyer", buyer).move(Kind.PENDING, amount),)
        case ClaimDecided():
            return _payout(event) + _spread_bonds(event, held)


def _spread_bonds(event: ClaimDecided, held: Held) -> tuple[Move, ...]:
    """Each side's bond back to it, what it lost to the other side from there, and the rest burned."""
    lease = event.lease
    ours, theirs = _bond(lease, "provider", event.provider), _bond(lease, "buyer", event.buyer)
    bonds = held(ours.name), held(theirs.name)
    lost = max(0, event.to_buyer - bonds[1]), max(0, event.to_provider - bonds[0])
    back = min(event.to_provider, bonds[0]) + lost[0], min(event.to_buyer, bonds[1]) + lost[1]
    return (
        ours.move(Kind.VOID, back[0]),
        theirs.move(Kind.VOID, back[1]),
        _direct(Purpose.BOND, ours.debit, theirs.debit, lost[0], lease),
        _direct(Purpose.BOND, theirs.debit, ours.debit, lost[1], lease),
        ours.move(Kind.POST, bonds[0] - back[0], Purpose.BURN),
        theirs.move(Kind.POST, bonds[1] - back[1], Purpose.BURN),
    )
