"""The market's state as a fold of its events; an event that contradicts it stops everything."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.delegation import Role
from ledger.market.errors import Broken
from ledger.market.events import (
    BatchMatched,
    ClaimContested,
    ClaimDecided,
    ClaimOpened,
    DelegateSet,
    Deposited,
    EpochBumped,
    FeePaid,
    GuardianRenounced,
    LeaseClosed,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    MarketDeployed,
    MarketEvent,
    NoncesCancelled,
    OfferCancelled,
    OfferRegistered,
    Paused,
    ReplicasDecided,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
    StakeBurned,
    Staked,
    Unpaused,
    Unstaked,
    UnstakeQueued,
    UsageSettled,
    Withdrawn,
)
from ledger.market.identity import NO_DIGEST, NOBODY, LeaseId
from ledger.market.lease import ClaimDecidedBy, ClosedBecause
from ledger.market.money import escrow_for, pay_for
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from ledger.market.state import MarketState
from tests.factories import NOW, a_digest, an_address, an_offer, some_terms

BUYER, PROVIDER, NODE = an_address("buyer"), an_address("provider"), an_address("node")
GUARDIAN = an_address("guardian")
LEASE = LeaseId(a_digest("lease"))
TERMS = some_terms()
ESCROW = escrow_for(TERMS.rate, TERMS.duration)
OPENED = LeaseOpened(id=LEASE, terms=TERMS, start=NOW, escrow=ESCROW, nonce=1, job=a_digest("job document"))


def settled(amount: int, paid: int, fee: int = 0) -> UsageSettled:
    return UsageSettled(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        milliseconds=1,
        amount=amount,
        fee=fee,
        paid=paid,
        evidence=NO_DIGEST,
    )


def closed(paid: int, refunded: int) -> LeaseClosed:
    return LeaseClosed(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        paid=paid,
        refunded=refunded,
        because=ClosedBecause.LAST_RECEIPT,
    )


LOCK = EMBEDDED.lock_for(ESCROW)
CLAIM = (
    ClaimOpened(lease=LEASE, buyer=BUYER, provider=PROVIDER, claimed=6, bond=2, until=NOW + 60),
    ClaimContested(lease=LEASE, buyer=BUYER, provider=PROVIDER, bond=6, until=NOW + 300),
    ClaimDecided(
        lease=LEASE,
        buyer=BUYER,
        provider=PROVIDER,
        amount=3,
        fee=0,
        paid=3,
        to_provider=2,
        to_buyer=0,
        burned=6,
        by=ClaimDecidedBy.ARBITER,
    ),
)


def an_open_market() -> MarketState:
    state = MarketState()
    state.apply(Deposited(account=BUYER, amount=1_000))
    state.apply(OfferRegistered(id=TERMS.offer, offer=an_offer()))
    state.apply(OPENED)
    return state


def test_an_opened_lease_holds_money_capacity_and_nonce() -> None:
    state = an_open_market()
    assert state.balances[BUYER] == 1_000 - ESCROW
    assert state.escrowed() == ESCROW
    assert state.used[TERMS.offer] == TERMS.want
    assert state.nonces[BUYER] == {1}
    assert state.held() == 1_000


def test_a_closed_lease_has_given_everything_back() -> None:
    state = an_open_market()
    state.apply(settled(100, 100))
    state.apply(settled(20, 120))
    state.apply(closed(120, ESCROW - 120))
    assert state.balances == {BUYER: 1_000 - 120, PROVIDER: 120}
    assert state.leases == {}
    assert state.closed[LEASE].paid == 120
    assert state.used[TERMS.offer] == Quantities()
    assert state.held() == 1_000


def test_a_terminated_lease_ends_earlier() -> None:
    state = an_open_market()
    state.apply(LeaseTerminated(lease=LEASE, buyer=BUYER, provider=PROVIDER, ended_after=60))
    assert state.leases[LEASE].seconds() == 60


def test_offers_epochs_and_nonces_are_remembered() -> None:
    state = an_open_market()
    state.apply(OfferCancelled(id=TERMS.offer, provider=PROVIDER))
    state.apply(EpochBumped(account=BUYER, epoch=3))
    state.apply(NoncesCancelled(account=BUYER, word=1, mask=0b101))
    state.apply(BatchMatched(matcher=an_address("node"), root=NO_DIGEST, opened=1, skipped=0))
    assert state.cancelled == {TERMS.offer}
    assert state.epochs == {BUYER: 3}
    assert state.nonces[BUYER] == {1, 256, 258}


def staked() -> MarketState:
    """An open lease with its lock, of a market whose policy is known."""
    state = MarketState()
    state.apply(MarketDeployed(token=NODE, guardian=GUARDIAN, arbiter=NODE, jury=NODE, policy=EMBEDDED))
    for account, amount in ((BUYER, 1_000), (PROVIDER, 500)):
        state.apply(Deposited(account=account, amount=amount))
    state.apply(Staked(account=PROVIDER, amount=400))
    state.apply(OfferRegistered(id=TERMS.offer, offer=an_offer()))
    state.apply(OPENED)
    return state


def test_an_open_lease_locks_its_share_of_the_providers_stake() -> None:
    state = staked()
    assert state.policy == EMBEDDED
    assert state.stakes[PROVIDER] == 400 - LOCK
    assert state.locked(PROVIDER) == LOCK == 18
    assert state.locked(BUYER) == 0
    assert state.held() == 1_500


def test_a_closed_lease_returns_its_lock_and_what_is_burned_is_taken_off_again() -> None:
    state = staked()
    state.apply(closed(0, ESCROW))
    assert state.stakes[PROVIDER] == 400
    state.apply(StakeBurned(provider=PROVIDER, lease=LEASE, amount=LOCK))
    assert (state.stakes[PROVIDER], state.burned) == (400 - LOCK, LOCK)
    assert state.held() == 1_500


def test_a_fee_is_owed_until_the_matcher_has_it() -> None:
    state = staked()
    state.apply(settled(100, 100, fee=1))
    assert state.balances[PROVIDER] == 100 + 99
    assert state.held() == 1_500
    state.apply(FeePaid(matcher=TERMS.matcher, amount=1))
    assert state.balances[TERMS.matcher] == 1
    assert state.held() == 1_500


def test_a_claim_is_opened_contested_and_decided() -> None:
    state = staked()
    for event in CLAIM[:2]:
        state.apply(event)
    claim = state.leases[LEASE].claim
    assert claim is not None
    assert (claim.claimed, claim.provider_bond, claim.buyer_bond, claim.until) == (6, 2, 6, NOW + 300)
    assert state.leases[LEASE].contested
    assert state.bonds() == 8
    state.apply(CLAIM[2])
    assert state.leases[LEASE].paid == 3
    assert (state.balances[PROVIDER], state.burned) == (100 + 3, 6)
    state.apply(closed(3, ESCROW - 3))
    assert state.held() == 1_500


def test_queued_stake_is_held_until_it_comes_back_to_the_balance() -> None:
    state = staked()
    state.apply(UnstakeQueued(account=PROVIDER, amount=100, unlock_at=NOW + 360))
    state.apply(UnstakeQueued(account=PROVIDER, amount=20, unlock_at=NOW + 400))
    assert state.unstaking[PROVIDER] == (120, NOW + 400)
    assert state.held() == 1_500
    state.apply(Unstaked(account=PROVIDER, amount=120))
    assert (state.balances[PROVIDER], state.unstaking) == (220, {})


def test_keys_come_and_go() -> None:
    state = MarketState()
    key = DelegateSet(account=BUYER, key=NODE, roles=3, allowance=5, until=NOW)
    state.apply(key)
    assert state.delegations[BUYER, NODE].may(Role.OPERATE, NOW)
    state.apply(replace(key, roles=0, allowance=0, until=0))
    assert state.delegations == {}


def test_a_pause_and_its_end_and_the_end_of_the_guardian() -> None:
    state = staked()
    assert state.guardian == GUARDIAN
    state.apply(Paused(until=NOW + 9))
    assert state.paused_until == NOW + 9
    state.apply(Unpaused(guardian=GUARDIAN), NOW + 1)
    assert state.paused_until == NOW + 1
    state.apply(GuardianRenounced(guardian=GUARDIAN))
    assert state.guardian == NOBODY


def test_replicas_are_undecided_until_they_are_judged() -> None:
    state = staked()
    state.apply(ReplicasOpened(bid=TERMS.bid, members=1, agree=1, seed=NO_DIGEST))
    assert state.leases[LEASE].undecided
    state.apply(ResultCommitted(lease=LEASE, provider=PROVIDER, commitment=a_digest("commitment")))
    state.apply(ResultRevealed(lease=LEASE, provider=PROVIDER, result=a_digest("result")))
    verdict = ReplicasDecided(bid=TERMS.bid, result=a_digest("result"), agreed=1)
    state.apply(verdict)
    state.apply(LeaseJudged(lease=LEASE, guilty=False, start=NOW, ended_after=900))
    lease = state.leases[LEASE]
    assert (lease.undecided, lease.ended_after) == (False, 900)
    assert lease.closable_at(grace=60) == NOW + 960
    assert (state.commits, state.verdicts) == ({TERMS.bid: 1}, {TERMS.bid: verdict})
    assert (state.commitments[LEASE], state.results[LEASE]) == (a_digest("commitment"), a_digest("result"))


ANOTHER = LeaseId(a_digest("another"))
CONTRADICTIONS: list[tuple[str, MarketEvent]] = [
    ("negative-balance", Withdrawn(account=BUYER, to=BUYER, amount=1_001)),
    ("negative-balance", replace(OPENED, id=ANOTHER, escrow=1_001)),
    ("negative-stake", UnstakeQueued(account=PROVIDER, amount=400, unlock_at=NOW)),
    ("negative-stake", replace(OPENED, id=ANOTHER, terms=some_terms(provider=NODE))),
    ("unstake-mismatch", Unstaked(account=PROVIDER, amount=1)),
    ("lease-opened-twice", OPENED),
    ("unknown-lease", replace(settled(1, 1), lease=ANOTHER)),
    ("unknown-lease", replace(closed(0, ESCROW), lease=ANOTHER)),
    ("unknown-lease", ResultCommitted(lease=ANOTHER, provider=PROVIDER, commitment=NO_DIGEST)),
    ("settlement-mismatch", settled(10, 11)),
    ("settlement-mismatch", settled(ESCROW + 1, ESCROW + 1, fee=1)),
    ("fee-mismatch", settled(100, 100, fee=2)),
    ("fee-mismatch", FeePaid(matcher=NODE, amount=1)),
    ("close-mismatch", closed(1, ESCROW - 1)),
    ("close-mismatch", closed(0, ESCROW - 1)),
    ("burn-mismatch", StakeBurned(provider=PROVIDER, lease=LEASE, amount=1)),
    ("claim-mismatch", CLAIM[1]),
    ("claim-mismatch", CLAIM[2]),
    ("claim-mismatch", replace(CLAIM[0], claimed=ESCROW + 1)),
    ("judged-twice", LeaseJudged(lease=LEASE, guilty=True, start=NOW, ended_after=0)),
    ("replicas-mismatch", ReplicasOpened(bid=TERMS.bid, members=2, agree=2, seed=NO_DIGEST)),
]


@pytest.mark.parametrize(("code", "event"), CONTRADICTIONS, ids=lambda part: str(part)[:30])
def test_an_event_that_contradicts_the_state_is_broken(code: str, event: MarketEvent) -> None:
    state = staked()
    with pytest.raises(Broken) as broken:
        state.apply(event)
    assert broken.value.code == code


@pytest.mark.parametrize(
    "event", [CLAIM[0], settled(1, 1), closed(0, ESCROW)], ids=lambda e: type(e).__name__
)
def test_a_claimed_lease_is_neither_paid_nor_closed_nor_claimed_again(event: MarketEvent) -> None:
    state = staked()
    state.apply(CLAIM[0])
    with pytest.raises(Broken):
        state.apply(event)


@given(spans=st.lists(st.integers(0, 600_000), max_size=6).map(sorted))
def test_no_series_of_receipts_creates_or_loses_money(spans: list[int]) -> None:
    state, paid = an_open_market(), 0
    for milliseconds in spans:
        due = pay_for(TERMS.rate, milliseconds, TERMS.duration)
        state.apply(settled(due - paid, due))
        paid = due
        assert state.held() == 1_000
    state.apply(closed(paid, ESCROW - paid))
    assert state.balances[BUYER] + state.balances.get(PROVIDER, 0) == 1_000
    assert state.escrowed() == 0
