"""A move between two markets ends with everything at the new one, wherever it is taken up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.identity import OfferId
from provider_agent.offers.migration import (
    AwaitLeases,
    AwaitUnlock,
    BringIn,
    CancelOffers,
    Holdings,
    QueueStake,
    StakeAgain,
    Step,
    TakeBalanceOut,
    TakeStakeBack,
    next_step,
    waits,
)
from tests.factories import an_offer

NOTHING = Holdings(stake=0, unstaking=0, unlock_at=0, balance=0)
OFFERS = ((OfferId(b"\1" * 32), an_offer()),)
DELAY = 100


class Markets:
    """Two markets and a wallet that do as they are told."""

    def __init__(self, old: Holdings, wallet: int) -> None:
        self.old, self.new, self.wallet, self.at = old, NOTHING, wallet, 0

    def carry_out(self, step: Step) -> None:
        match step:
            case CancelOffers():
                self.old = replace(self.old, open_offers=())
            case QueueStake(amount=amount):
                queued = self.old.unstaking + amount
                self.old = replace(
                    self.old, stake=self.old.stake - amount, unstaking=queued, unlock_at=self.at + DELAY
                )
            case TakeStakeBack(amount=amount):
                assert self.at >= self.old.unlock_at
                self.old = replace(self.old, unstaking=0, balance=self.old.balance + amount)
            case TakeBalanceOut(amount=amount):
                self.old = replace(self.old, balance=self.old.balance - amount)
                self.wallet += amount
            case BringIn(amount=amount):
                assert amount <= self.wallet
                self.wallet -= amount
                self.new = replace(self.new, balance=self.new.balance + amount)
            case StakeAgain(amount=amount):
                assert amount <= self.new.balance
                self.new = replace(self.new, balance=self.new.balance - amount, stake=self.new.stake + amount)
            case AwaitLeases():
                self.old = replace(self.old, open_leases=0, stake=self.old.stake + 7)
            case AwaitUnlock(until=until):
                self.at = until


@given(
    stake=st.integers(0, 1000),
    unstaking=st.integers(0, 1000),
    balance=st.integers(0, 1000),
    leases=st.integers(0, 3),
    wallet=st.integers(0, 50),
)
def test_every_unit_of_stake_arrives(
    stake: int, unstaking: int, balance: int, leases: int, wallet: int
) -> None:
    old = Holdings(
        stake=stake,
        unstaking=unstaking,
        unlock_at=DELAY if unstaking else 0,
        balance=balance,
        open_offers=OFFERS,
        open_leases=leases,
    )
    locked = 7 if leases else 0
    target, total = stake + unstaking + locked, stake + unstaking + locked + balance + wallet
    markets = Markets(old, wallet)
    step = next_step(markets.old, markets.new, markets.wallet, target, markets.at)
    for _ in range(40):
        if step is not None:
            markets.carry_out(step)
            step = next_step(markets.old, markets.new, markets.wallet, target, markets.at)
    assert step is None
    assert markets.old == replace(NOTHING, unlock_at=markets.old.unlock_at)
    assert markets.new.stake == target
    assert markets.new.stake + markets.new.balance + markets.wallet == total


def test_no_lease_is_opened_at_the_old_market_once_the_move_began() -> None:
    first = next_step(replace(NOTHING, stake=5, open_offers=OFFERS), NOTHING, 0, 5, 0)
    assert first == CancelOffers(offers=OFFERS)


def test_what_is_held_is_waited_for_and_not_taken() -> None:
    held = replace(NOTHING, unstaking=5, unlock_at=DELAY)
    assert waits(next_step(held, NOTHING, 0, 5, DELAY - 1))
    assert next_step(held, NOTHING, 0, 5, DELAY) == TakeStakeBack(amount=5)


def test_stake_of_open_leases_is_waited_for() -> None:
    assert next_step(replace(NOTHING, open_leases=2), NOTHING, 0, 0, 0) == AwaitLeases(count=2)
