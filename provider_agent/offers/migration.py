"""Moving from a market that retires to its successor, one safe step at a time.

Nothing here sends anything: from what the two markets show it says what comes next. Whoever is cut off
asks again and gets the step after the last that took effect; money is never in two places, and what must
wait (open leases, the market's unstake delay) is a step of its own.
"""

from dataclasses import dataclass

from ledger.market.identity import OfferId
from ledger.market.offer import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a provider has at one market: `stake` is free, `unstaking` leaves from `unlock_at` on; base
    units, seconds since 1970."""

    stake: int
    unstaking: int
    unlock_at: int
    balance: int
    open_offers: tuple[tuple[OfferId, Offer], ...] = ()
    open_leases: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOffers:
    """No new lease is opened at the old market from here on."""

    offers: tuple[tuple[OfferId, Offer], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitLeases:
    """Leases are still open there; their stake is locked until they close."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStake:
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitUnlock:
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeStakeBack:
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBalanceOut:
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BringIn:
    """From the wallet into the new market's balance."""

    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeAgain:
    amount: int


Step = (
    CancelOffers
    | AwaitLeases
    | QueueStake
    | AwaitUnlock
    | TakeStakeBack
    | TakeBalanceOut
    | BringIn
    | StakeAgain
)


def next_step(old: Holdings, new: Holdings, wallet: int, target: int, at: int) -> Step | None:
    """What comes next, None when all is moved. `wallet` is the tokens in the provider's own account,
    `target` the stake that it shall have at the new market, as far as the tokens go."""
    if old.open_offers:
        return CancelOffers(offers=old.open_offers)
    if old.stake:
        return QueueStake(amount=old.stake)
    if old.unstaking and at >= old.unlock_at and not old.open_leases:
        return TakeStakeBack(amount=old.unstaking)
    if old.balance:
        return TakeBalanceOut(amount=old.balance)
    lacking = max(0, target - new.stake)
    if lacking and new.balance:
        return StakeAgain(amount=min(lacking, new.balance))
    if lacking and wallet:
        return BringIn(amount=min(lacking, wallet))
    if old.open_leases:
        return AwaitLeases(count=old.open_leases)
    return AwaitUnlock(until=old.unlock_at) if old.unstaking else None


def waits(step: Step | None) -> bool:
    """Whether nothing can be done now."""
    return step is None or isinstance(step, AwaitLeases | AwaitUnlock)
