"""Alternatives: several ways of one job under the same nonces, of which the first that matches is run."""

import pytest

from ledger.chain.outcomes import Outcome
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import BidId
from ledger.market.job import Gang, Job
from ledger.market.lifecycle import JobState
from ledger.market.outbox import IntentState
from ledger.market.resource import Quantities
from node.trading.admission import Order
from node.views import job_view
from tests.factories import a_job
from tests.fakes.node_twin import BUYER, OTHER, NodeTwin

SMALL = Quantities(cpu=1_000, memory=1_024, disk=1_024)
LARGE = Quantities(cpu=4_000, memory=8_192, disk=8_192)


def large(**changes: int) -> Job:
    return a_job(cpu=4_000, name="large", **changes)


def small(**changes: int) -> Job:
    return a_job(name="small", **changes)


def submit(node: NodeTwin, order: Order, wait: int = 0) -> BidId:
    return node.exchange.submit(order, wait, node.now).job


def name_of(node: NodeTwin, job: BidId) -> object:
    return job_view(node.job(job), node.books.queries)["name"]


def test_the_way_that_finds_an_offer_is_taken(node: NodeTwin) -> None:
    node.beat(node.lend(capacity=SMALL))
    node.seal()
    job = submit(node, node.order_of([large(), small()]))
    row = node.job(job)
    assert row.state is JobState.OPENING
    assert node.lease(row.leases[0]).terms.want.cpu == 1_000
    assert name_of(node, job) == "small"
    node.mine()
    node.seal()
    assert node.job(job).state is JobState.STARTING


def test_at_equal_price_the_most_wanted_way_is_taken(node: NodeTwin) -> None:
    node.beat(node.lend(capacity=LARGE, ask=Quantities(memory=100)))
    node.seal()
    for wanted in ([small(), large()], [large(), small()]):
        job = submit(node, node.order_of(wanted))
        assert name_of(node, job) == wanted[0].name
        node.mine()
        node.seal()
        lease = node.job(job).lease
        assert lease is not None
        node.settlement.report(node.used(lease, 1_000, last=True))
        node.mine()
        node.seal()


def test_the_first_way_that_matches_takes_the_others_out_of_the_book(node: NodeTwin) -> None:
    job = submit(node, node.order_of([large(), small()]), wait=600)
    assert len(node.exchange.book.bids()) == 2
    node.lend(capacity=SMALL)
    node.seal()
    node.beat(*(row.id for row in node.books.queries.offers()))
    assert node.exchange.book.bids() == ()
    assert name_of(node, job) == "small"
    assert len(node.wishes()) == 1


def test_a_skipped_way_lets_all_of_them_wait_again(node: NodeTwin) -> None:
    node.beat(node.lend(capacity=SMALL))
    node.seal()
    job = submit(node, node.order_of([large(), small()]), wait=600)
    (wish,) = node.wishes()
    node.settle(wish, Outcome(intent=wish.id, state=IntentState.FAILED, detail="CAPACITY"))
    node.mine()
    assert node.job(job).state is JobState.RESTING
    node.beat(draining=True)
    node.now += 5
    node.lend("big", capacity=LARGE, ask=Quantities(memory=1))
    node.seal()
    node.beat(*(row.id for row in node.books.queries.offers()), name="big")
    node.sweep()
    assert name_of(node, job) == "large"
    node.mine()
    node.seal()
    assert node.job(job).state is JobState.STARTING


def test_a_withdrawal_takes_every_way_out(node: NodeTwin) -> None:
    job = submit(node, node.order_of([large(), small()]), wait=600)
    node.exchange.withdraw(job, node.now)
    assert node.exchange.book.bids() == ()


def test_a_restart_takes_up_every_way(node: NodeTwin) -> None:
    submit(node, node.order_of([large(), small()]), wait=600)
    node.restart()
    assert len(node.exchange.book.bids()) == 2


def test_where_nothing_matches_each_way_says_why(node: NodeTwin) -> None:
    node.beat(node.lend(capacity=Quantities(cpu=1, memory=16, disk=16)))
    node.seal()
    with pytest.raises(Rejected) as caught:
        submit(node, node.order_of([large(), small()]))
    assert "Alternative 1" in caught.value.cause
    assert "Alternative 2" in caught.value.cause


def test_the_dearest_way_must_be_paid_for(node: NodeTwin) -> None:
    node.deposit(2 * 834 - 1, OTHER.address)
    node.seal()
    pair = a_job(gang=Gang(members=2))
    with pytest.raises(Rejected) as caught:
        submit(node, node.order_of([small(), pair], OTHER), wait=600)
    assert caught.value.facts["needed"] == str(2 * 834)
    submit(node, node.order_of([small(), small(cpu=2_000)], OTHER), wait=600)
    assert node.books.queries.reserved(OTHER.address) == 834


def test_any_bid_of_an_order_names_its_replay(node: NodeTwin) -> None:
    order = node.order_of([large(), small()])
    submit(node, order, wait=600)
    second = Order(ways=order.ways[1:])
    with pytest.raises(LostRace) as caught:
        submit(node, second, wait=600)
    assert caught.value.code == "replayed-bid"
    assert caught.value.facts["job"] == "0x" + order.id.hex()


def test_every_document_of_an_order_is_kept_and_shown_to_its_parties(node: NodeTwin) -> None:
    order = node.order_of([large(), small()])
    submit(node, order, wait=600)
    for way in order.ways:
        assert node.books.queries.document(way.document) == way.canonical
        assert node.books.queries.parties(way.document) == {BUYER.address}
