from dataclasses import replace

from ledger.market import events
from ledger.market.identity import LeaseId, OfferId
from ledger.market.lease import ClosedBecause
from provider_agent.connections.chain_watch import LeaseNews, OfferNews, news_of
from provider_agent.lifecycle.lease_state import Replica
from provider_agent.lifecycle.stimuli import (
    ClaimStands,
    HandedOver,
    LeaseEnded,
    LeaseJudged,
    LeaseSeen,
    LeaseTerminated,
    ResultTaken,
    UsageSettled,
)
from tests.factories import a_digest, an_address, an_offer, some_terms

ME, BUYER = an_address("provider"), an_address("buyer")
LEASE, OFFER = LeaseId(a_digest("lease")), OfferId(a_digest("offer"))
OPENED = events.LeaseOpened(
    id=LEASE, terms=some_terms(), start=5, escrow=6, nonce=1, job=a_digest("job document")
)
SETTLED = events.UsageSettled(
    lease=LEASE,
    buyer=BUYER,
    provider=ME,
    milliseconds=7,
    amount=2,
    fee=0,
    paid=3,
    evidence=a_digest("e"),
)
CLOSED = events.LeaseClosed(
    lease=LEASE, buyer=BUYER, provider=ME, paid=3, refunded=3, because=ClosedBecause.RELEASED
)
TERMINATED = events.LeaseTerminated(lease=LEASE, buyer=BUYER, provider=ME, ended_after=4)
REGISTERED = events.OfferRegistered(id=OFFER, offer=an_offer())
CANCELLED = events.OfferCancelled(id=OFFER, provider=ME)
ALL = (REGISTERED, OPENED, SETTLED, TERMINATED, CLOSED, CANCELLED)


def test_each_fact_of_this_provider_is_told_in_order() -> None:
    assert news_of(ALL, ME, 9) == [
        OfferNews(id=OFFER, offer=an_offer()),
        LeaseNews(
            lease=LEASE,
            stimulus=LeaseSeen(at=9, id=LEASE, terms=some_terms(), start=5, escrow=6),
            opens=True,
        ),
        LeaseNews(lease=LEASE, stimulus=UsageSettled(at=9, milliseconds=7), paid=3),
        LeaseNews(lease=LEASE, stimulus=LeaseTerminated(at=9, ended_after=4)),
        LeaseNews(lease=LEASE, stimulus=LeaseEnded(at=9), paid=3),
        OfferNews(id=OFFER, offer=None),
    ]


def test_the_facts_of_others_are_no_news() -> None:
    assert news_of(ALL, an_address("other"), 9) == []
    assert news_of([events.Deposited(account=ME, amount=1)], ME, 9) == []


NEXT = LeaseId(a_digest("next lease"))
CONTINUED = (
    SETTLED,
    replace(CLOSED, because=ClosedBecause.CONTINUED),
    replace(OPENED, id=NEXT),
    events.LeaseContinued(lease=NEXT, previous=LEASE),
)


def test_a_continued_lease_does_not_end_its_job_and_the_next_one_knows_it() -> None:
    seen = LeaseSeen(at=9, id=NEXT, terms=some_terms(), start=5, escrow=6, continues=LEASE)
    assert news_of(CONTINUED, ME, 9)[1:] == [
        LeaseNews(lease=LEASE, stimulus=None, paid=3),
        LeaseNews(lease=NEXT, stimulus=seen, opens=True),
        LeaseNews(lease=LEASE, stimulus=HandedOver(at=9)),
    ]
    assert news_of(CONTINUED, an_address("other"), 9) == []


def test_a_lease_that_its_signer_closed_says_so() -> None:
    closed = replace(CLOSED, because=ClosedBecause.LAST_RECEIPT)
    (news,) = news_of([closed], ME, 9)
    assert news == LeaseNews(lease=LEASE, stimulus=LeaseEnded(at=9, agreed=True), paid=3)


def test_a_replica_is_seen_with_all_members_in_their_order() -> None:
    mine = replace(some_terms(), member=1)
    other = replace(some_terms(), member=0, provider=an_address("other"))
    opened: list[events.MarketEvent] = [
        replace(OPENED, terms=mine),
        replace(OPENED, id=NEXT, terms=other),
        events.ReplicasOpened(bid=mine.bid, members=2, agree=2, seed=a_digest("seed")),
    ]
    (news,) = news_of(opened, ME, 9)
    assert isinstance(news, LeaseNews)
    assert isinstance(news.stimulus, LeaseSeen)
    assert news.stimulus.replica == Replica(agree=2, members=(other, mine))


def test_the_members_of_a_gang_that_is_no_replicas_are_seen_without_a_jury() -> None:
    other = events.ReplicasOpened(
        bid=replace(some_terms(), bid=a_digest("other bid")).bid,  # type: ignore[arg-type]  # any digest
        members=2,
        agree=2,
        seed=a_digest("seed"),
    )
    (news,) = news_of([OPENED, other], ME, 9)
    assert isinstance(news, LeaseNews)
    assert isinstance(news.stimulus, LeaseSeen)
    assert news.stimulus.replica is None


def test_claims_and_verdicts_are_told() -> None:
    opened = events.ClaimOpened(lease=LEASE, buyer=BUYER, provider=ME, claimed=5, bond=0, until=70)
    contested = events.ClaimContested(lease=LEASE, buyer=BUYER, provider=ME, bond=2, until=400)
    committed = events.ResultCommitted(lease=LEASE, provider=ME, commitment=a_digest("commitment"))
    revealed = events.ResultRevealed(lease=LEASE, provider=ME, result=a_digest("result"))
    judged = events.LeaseJudged(lease=LEASE, guilty=False, start=2, ended_after=7)
    assert [
        news.stimulus
        for news in news_of([opened, contested, committed, revealed, judged], ME, 9)
        if isinstance(news, LeaseNews)
    ] == [
        ClaimStands(at=9, until=70, contested=False),
        ClaimStands(at=9, until=400, contested=True),
        ResultTaken(at=9, revealed=False),
        ResultTaken(at=9, revealed=True),
        LeaseJudged(at=9, guilty=False, ended_after=7),
    ]
    assert news_of([opened, contested, committed, revealed], an_address("other"), 9) == []
