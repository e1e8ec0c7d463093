"""Replicas: commit, reveal, and a quorum of equal results that costs the others their lock."""

from collections.abc import Callable

import pytest

from ledger.market.bid import Bid
from ledger.market.calls.jury import Revelation
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.events import LeaseJudged, LeaseOpened, ReplicasDecided, StakeBurned
from ledger.market.identity import NO_DIGEST, Digest
from ledger.market.model import MarketModel
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from tests.factories import NOW, a_digest, a_gang
from tests.fakes.model_market import (
    BUYER,
    KEY,
    NODE,
    PROVIDERS,
    STAKE,
    TOTAL,
    a_market,
    bid_id,
    gang_of,
    kinds,
    offer_of,
    opened_of,
    receipt_of,
)

BID = a_gang(3, agree=2)
END = NOW + 600
PATIENCE = 2 * EMBEDDED.receipt_interval
RIGHT, WRONG = a_digest("right"), a_digest("wrong")


class Replicas:
    """Three replicas of one bid, one at each provider."""

    def __init__(self, bid: Bid = BID) -> None:
        self.market, self.bid = a_market(), bid
        gang = gang_of(bid, [offer_of(i) for i in range(3)])
        self.leases: list[LeaseOpened] = opened_of(self.market.match_gang(NODE, gang, NOW))
        self.terms = [lease.terms for lease in self.leases]

    def commit(self, number: int, at: int = END, commitment: Digest = RIGHT) -> None:
        self.market.commit_result(PROVIDERS[number], self.terms[number], commitment, at)

    def reveal(self, number: int, result: Digest = RIGHT, at: int = END, *, opens: bool = True) -> None:
        shown = Revelation(bid_id=bid_id(self.bid), bid=self.bid, result=result, opens=opens)
        self.market.reveal_result(PROVIDERS[number], self.terms[number], shown, at)

    def decide(self, at: int = END) -> list[object]:
        return [*self.market.decide_replicas(bid_id(self.bid), self.bid, self.terms, at)]


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()


def test_the_one_whose_result_differs_loses_its_lock_and_the_others_go_on(replicas: Replicas) -> None:
    results = (RIGHT, WRONG, RIGHT)
    for number in range(3):
        replicas.commit(number)
    for number, result in enumerate(results):
        replicas.reveal(number, result)
    told, *judged = replicas.decide()
    assert told == ReplicasDecided(bid=bid_id(BID), result=RIGHT, agreed=2)
    state, lock = replicas.market.state, EMBEDDED.lock_for(replicas.leases[1].escrow)
    guilty = [event.lease for event in judged if isinstance(event, LeaseJudged) and event.guilty]
    assert guilty == [replicas.leases[1].id]
    assert StakeBurned(provider=PROVIDERS[1], lease=guilty[0], amount=lock) in judged
    assert state.stakes[PROVIDERS[1]] == STAKE - lock
    assert not any(lease.undecided for lease in state.leases.values())
    assert len(state.leases) == 2
    item = receipt_of(replicas.terms[0], 600_000, last=True)
    assert replicas.market.check_settlement(item, END) is SkipReason.NONE
    assert state.held() == TOTAL


def test_without_a_quorum_nobody_is_guilty(replicas: Replicas) -> None:
    for number in range(3):
        replicas.commit(number)
    for number in range(3):
        replicas.reveal(number, a_digest(f"result {number}"))
    told, *judged = replicas.decide()
    assert told == ReplicasDecided(bid=bid_id(BID), result=NO_DIGEST, agreed=0)
    assert not any(event.guilty for event in judged if isinstance(event, LeaseJudged))
    assert len(replicas.market.state.leases) == 3


def test_who_stays_silent_is_not_guilty_and_expires_as_a_no_show(replicas: Replicas) -> None:
    for number in (0, 1):
        replicas.commit(number)
    at = END + PATIENCE + 1
    for number in (0, 1):
        replicas.reveal(number, at=at)
    with pytest.raises(Rejected):
        replicas.decide(END + 2 * PATIENCE)
    at = END + 2 * PATIENCE + 1
    replicas.decide(at)
    with pytest.raises(Rejected):
        replicas.market.close(replicas.terms[2], at + EMBEDDED.grace - 1)
    events = replicas.market.close(replicas.terms[2], at + EMBEDDED.grace)
    assert kinds(events) == ["LeaseClosed", "StakeBurned"]


def test_where_nobody_commits_it_ends_sooner(replicas: Replicas) -> None:
    with pytest.raises(Rejected):
        replicas.decide(END + PATIENCE)
    replicas.decide(END + PATIENCE + 1)
    with pytest.raises(Rejected):
        replicas.decide(END + PATIENCE + 1)


def test_the_time_to_commit_counts_from_the_end_that_the_buyer_set(replicas: Replicas) -> None:
    replicas.market.terminate(BUYER, replicas.terms[0], NOW + 60)
    replicas.commit(0, NOW + 60 + PATIENCE)
    with pytest.raises(Rejected):
        Replicas.commit(replicas, 0, NOW + 61 + PATIENCE)
    replicas.commit(1, END + PATIENCE)
    with pytest.raises(Rejected):
        replicas.commit(2, END + PATIENCE + 1)


def test_nobody_commits_for_another_or_twice_or_nothing(replicas: Replicas) -> None:
    market, terms = replicas.market, replicas.terms[0]
    with pytest.raises(Rejected):
        market.commit_result(BUYER, terms, RIGHT, NOW)
    with pytest.raises(Rejected):
        market.commit_result(PROVIDERS[0], terms, NO_DIGEST, NOW)
    market.set_delegate(PROVIDERS[0], KEY, Role.OPERATE, 0, NOW)
    market.commit_result(KEY, terms, RIGHT, NOW)
    with pytest.raises(Rejected):
        replicas.commit(0, NOW)


def test_nothing_is_revealed_while_others_may_still_commit(replicas: Replicas) -> None:
    replicas.commit(0)
    with pytest.raises(Rejected) as refused:
        replicas.reveal(0)
    assert refused.value.code == "too-early"
    replicas.commit(1)
    replicas.commit(2)
    replicas.reveal(0)
    calls: list[Callable[[], None]] = [
        lambda: replicas.reveal(0),
        lambda: replicas.reveal(1, NO_DIGEST),
        lambda: replicas.reveal(1, opens=False),
        lambda: replicas.reveal(1, at=END + 2 * PATIENCE + 1),
    ]
    for spoiled in calls:
        with pytest.raises(Rejected):
            spoiled()
    with pytest.raises(Rejected):
        replicas.decide()


def test_the_members_of_the_bid_come_whole_and_in_order(replicas: Replicas) -> None:
    at = END + PATIENCE + 1
    identity = bid_id(BID)
    terms = replicas.terms
    for members in (terms[:2], terms[::-1], [terms[0], terms[0], terms[2]]):
        with pytest.raises(Rejected):
            replicas.market.decide_replicas(identity, BID, members, at)
    other = a_gang(3, agree=3)
    with pytest.raises(Rejected):
        replicas.market.decide_replicas(bid_id(other), other, terms, at)


def test_a_lease_that_is_no_replica_is_not_judged() -> None:
    market: MarketModel = a_market()
    (lease, *_) = opened_of(market.match_gang(NODE, gang_of(a_gang(2), [offer_of()] * 2), NOW))
    with pytest.raises(Rejected):
        market.commit_result(PROVIDERS[0], lease.terms, RIGHT, NOW)
