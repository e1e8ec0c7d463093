"""Double entry: no event makes or destroys a base unit."""

from collections import defaultdict
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ledger.books.accounts import (
    BURNED,
    FEES,
    balance,
    bond,
    escrow,
    legs_of,
    lock,
    stake,
    unstaking,
    wallet,
)
from ledger.market.events import (
    BidSkipped,
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
from ledger.market.identity import BidId, LeaseId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.factories import NOW, a_digest, an_address, some_terms
from tests.strategies import words

LEASE = LeaseId(a_digest("lease"))
BUYER, PROVIDER, MATCHER, OTHER = (an_address(name) for name in ("buyer", "provider", "node", "other"))


def opened(amount: int) -> LeaseOpened:
    return LeaseOpened(id=LEASE, terms=some_terms(), start=NOW, escrow=amount, nonce=1, job=a_digest("job"))


def settled(amount: int, fee: int = 0) -> UsageSettled:
    return UsageSettled(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        milliseconds=1,
        amount=amount,
        fee=fee,
        paid=amount,
        evidence=a_digest("evidence"),
    )


def closed(refunded: int, paid: int = 0) -> LeaseClosed:
    return LeaseClosed(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        paid=paid,
        refunded=refunded,
        because=ClosedBecause.RELEASED,
    )


def decided(amount: int, fee: int, to_provider: int, to_buyer: int, burned: int) -> ClaimDecided:
    return ClaimDecided(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        amount=amount,
        fee=fee,
        paid=amount,
        to_provider=to_provider,
        to_buyer=to_buyer,
        burned=burned,
        by=ClaimDecidedBy.ARBITER,
    )


def money_events(amount: int) -> list[MarketEvent]:
    return [
        Deposited(account=BUYER, amount=amount),
        opened(amount),
        settled(amount),
        closed(amount),
        Withdrawn(account=BUYER, to=OTHER, amount=amount),
        Staked(account=PROVIDER, amount=amount),
        UnstakeQueued(account=PROVIDER, amount=amount, unlock_at=NOW),
        Unstaked(account=PROVIDER, amount=amount),
        StakeBurned(provider=PROVIDER, lease=LEASE, amount=amount),
        FeePaid(matcher=MATCHER, amount=amount),
        ClaimOpened(lease=LEASE, buyer=BUYER, provider=PROVIDER, claimed=amount, bond=amount, until=NOW),
        ClaimContested(lease=LEASE, buyer=BUYER, provider=PROVIDER, bond=amount, until=NOW),
    ]


def moved(events: Sequence[MarketEvent]) -> dict[str, int]:
    """What each account gained, those that gained or lost anything."""
    sums: dict[str, int] = defaultdict(int)
    for event in events:
        for leg in legs_of(event, EMBEDDED):
            sums[leg.account] += leg.amount
    return {account: amount for account, amount in sums.items() if amount}


amounts = st.integers(1, 1 << 80)


@given(words(88))
def test_the_legs_of_every_event_sum_to_zero(amount: int) -> None:
    for event in money_events(amount):
        assert sum(leg.amount for leg in legs_of(event, EMBEDDED)) == 0


@given(words(80), words(70), words(80), words(80), words(80))
def test_the_legs_of_a_decision_sum_to_zero(
    amount: int, fee: int, provider: int, buyer: int, burned: int
) -> None:
    event = decided(amount + fee, fee, provider, buyer, burned)
    assert sum(leg.amount for leg in legs_of(event, EMBEDDED)) == 0


@given(amounts)
def test_each_event_moves_its_money_from_one_account_to_another(amount: int) -> None:
    """Without the market's rules, which say what a lease locks."""
    paths = [tuple(leg.account for leg in legs_of(event)) for event in money_events(amount)]
    assert paths == [
        (wallet(BUYER), balance(BUYER)),
        (balance(BUYER), escrow(LEASE)),
        (escrow(LEASE), balance(PROVIDER)),
        (escrow(LEASE), balance(BUYER)),
        (balance(BUYER), wallet(OTHER)),
        (balance(PROVIDER), stake(PROVIDER)),
        (stake(PROVIDER), unstaking(PROVIDER)),
        (unstaking(PROVIDER), balance(PROVIDER)),
        (stake(PROVIDER), BURNED),
        (FEES, balance(MATCHER)),
        (balance(PROVIDER), bond(LEASE)),
        (balance(BUYER), bond(LEASE)),
    ]


@given(st.integers(10_000, 1 << 80))
def test_an_open_lease_locks_its_share_of_the_providers_stake(escrowed: int) -> None:
    locked = EMBEDDED.lock_for(escrowed)
    assert moved([opened(escrowed)]) == {
        balance(BUYER): -escrowed,
        escrow(LEASE): escrowed,
        stake(PROVIDER): -locked,
        lock(LEASE): locked,
    }


@given(amounts, words(70))
def test_a_lease_that_is_over_leaves_no_lock_whatever_was_paid_of_it(paid: int, refunded: int) -> None:
    gained = moved([opened(paid + refunded), settled(paid), closed(refunded, paid)])
    assert gained == {balance(BUYER): -paid, balance(PROVIDER): paid}


@given(amounts, amounts)
def test_a_payouts_fee_reaches_the_matcher(net: int, fee: int) -> None:
    gained = moved([settled(net + fee, fee), FeePaid(matcher=MATCHER, amount=fee)])
    assert gained == {escrow(LEASE): -net - fee, balance(PROVIDER): net, balance(MATCHER): fee}


def test_a_decision_spreads_escrow_and_bonds() -> None:
    gained = moved([decided(100, 1, to_provider=20, to_buyer=3, burned=4)])
    assert gained == {
        escrow(LEASE): -100,
        balance(PROVIDER): 99 + 20,
        FEES: 1,
        bond(LEASE): -27,
        balance(BUYER): 3,
        BURNED: 4,
    }


def test_an_event_without_money_has_no_legs() -> None:
    assert legs_of(BidSkipped(bid=BidId(a_digest("bid")), reason=SkipReason.FUNDS)) == ()
    assert legs_of(Deposited(account=BUYER, amount=0)) == ()
