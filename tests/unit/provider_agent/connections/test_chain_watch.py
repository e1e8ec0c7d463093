from ledger.market import events
from ledger.market.identity import LeaseId, OfferId
from ledger.market.lease import ClosedBecause
from provider_agent.connections.chain_watch import LeaseNews, OfferNews, news_of
from provider_agent.lifecycle.stimuli import LeaseEnded, LeaseSeen, LeaseTerminated, UsageSettled
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
