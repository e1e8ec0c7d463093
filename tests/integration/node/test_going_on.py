"""Bids that continue a running lease: the same job goes on, longer or with other resources."""

from typing import Any

import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import receipt_digest
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import JobPhase
from ledger.market.identity import NO_DIGEST, Digest, LeaseId
from ledger.market.instructions import ContinueLease
from ledger.market.job import Gang, Job
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.resource import Quantities
from node.trading.admission import Order
from tests.factories import a_digest, a_job
from tests.fakes.node_twin import BUYER, DOMAIN, OTHER, NodeTwin


@pytest.fixture
def running(node: NodeTwin) -> LeaseId:
    """A lease whose job runs since its opening, 60 s ago."""
    offer = node.lend()
    node.seal()
    node.beat(offer)
    lease = node.opened()
    node.say(lease, JobPhase.RUNNING)
    node.now += 60
    node.settlement.report(node.used(lease, 60_000))
    return lease


def longer(node: NodeTwin, lease: LeaseId, job: Job | None = None, **changes: Any) -> Order:
    """The bid for ten minutes more."""
    return node.order(job or a_job(max_seconds=1_140), continues=Digest(lease), **changes)


def test_the_next_lease_is_opened_in_the_same_job(node: NodeTwin, running: LeaseId) -> None:
    job = node.lease(running).job
    row = node.exchange.submit(longer(node, running), 0, node.now)
    assert row.job == job
    assert row.state is JobState.RUNNING
    (wish,) = node.wishes()
    assert isinstance(wish.instruction, ContinueLease)

    node.mine()
    node.seal()

    assert job is not None
    row = node.job(job)
    assert row.state is JobState.RUNNING
    assert row.leases[0] == running
    assert row.members == (row.lease,) == (row.leases[1],)
    assert node.lease(running).because is ClosedBecause.CONTINUED
    assert node.lease(row.leases[1]).continues == running
    assert len(row.attempts) == 1

    node.say(row.leases[1], JobPhase.SUCCEEDED, 0)
    assert node.job(job).state is JobState.SUCCEEDED


def test_other_resources_and_prices_may_change_but_not_what_runs(node: NodeTwin, running: LeaseId) -> None:
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(longer(node, running, a_job(command=("sleep", "1"))), 0, node.now)
    assert caught.value.code == "another-job"
    larger = a_job(cpu=2_000, memory=2_048, max_rate=9_000_000)
    node.exchange.submit(longer(node, running, larger), 0, node.now)
    node.mine()
    node.seal()
    job = node.lease(running).job
    assert job is not None
    lease = node.job(job).lease
    assert lease is not None
    assert node.lease(lease).terms.want.cpu == 2_000
    offer = node.lease(lease).terms.offer
    assert node.exchange.book.used(offer) == Quantities(cpu=2_000, memory=2_048, disk=1_024)


def test_a_continuation_that_fails_leaves_the_lease_running(node: NodeTwin, running: LeaseId) -> None:
    node.exchange.submit(longer(node, running), 0, node.now)
    node.pending += node.model.cancel_offer(
        node.lease(running).terms.provider,
        node.lease(running).terms.offer,
        node.books.queries.offers()[0].offer,
    )
    node.mine()
    node.seal()
    job = node.lease(running).job
    assert job is not None
    row = node.job(job)
    assert (row.state, row.lease) == (JobState.RUNNING, running)
    assert node.lease(row.leases[1]).state is LeaseState.SKIPPED
    assert node.exchange.book.used(node.lease(running).terms.offer).cpu == 1_000


def test_a_lease_that_is_over_unknown_or_another_buyers_is_not_continued(
    node: NodeTwin, running: LeaseId
) -> None:
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(longer(node, LeaseId(a_digest("nowhere"))), 0, node.now)
    assert caught.value.code == "unknown-lease"
    node.deposit(10_000, OTHER.address)
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(longer(node, running, buyer=OTHER), 0, node.now)
    assert caught.value.code == "not-its-next"
    node.settlement.report(node.used(running, 60_000, last=True))
    node.mine()
    node.seal()
    with pytest.raises(LostRace):
        node.exchange.submit(longer(node, running), 0, node.now)


def test_a_member_of_a_gang_is_not_continued(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    lease = node.opened(a_job(gang=Gang(members=2)))
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(longer(node, lease), 0, node.now)
    assert caught.value.code == "gang-goes-on"


def test_the_refund_of_the_lease_pays_for_its_next(node: NodeTwin) -> None:
    """The buyer holds 184 base units: the escrow of one lease of ten minutes at the ask."""
    node.deposit(834, OTHER.address)
    node.beat(node.lend())
    node.seal()
    job = node.submit(buyer=OTHER)
    node.mine()
    node.seal()
    lease = node.job(job).lease
    assert lease is not None
    node.say(lease, JobPhase.RUNNING)
    node.pending += node.model.withdraw(OTHER.address, 834 - 184)
    node.seal()
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(longer(node, lease, buyer=OTHER), 0, node.now)
    assert caught.value.code == "insufficient-balance"
    node.exchange.submit(longer(node, lease, a_job(), buyer=OTHER), 0, node.now)
    node.mine()
    node.seal()
    assert node.lease(lease).because is ClosedBecause.CONTINUED


def test_where_the_node_is_not_the_signer_the_last_receipt_comes_with_the_bid(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    row = node.exchange.submit(node.order(signer=BUYER.address), 0, node.now)
    node.mine()
    node.seal()
    lease = row.leases[0]
    node.say(lease, JobPhase.RUNNING)
    node.now += 10
    order = longer(node, lease, signer=BUYER.address)
    with pytest.raises(Rejected) as caught:
        node.exchange.submit(order, 0, node.now)
    assert caught.value.code == "last-receipt-missing"

    node.exchange.submit(order, 0, node.now, last_receipt(lease, 10_000, BUYER))
    node.mine()
    node.seal()
    assert node.lease(lease).because is ClosedBecause.CONTINUED


def last_receipt(lease: LeaseId, milliseconds: int, signer: LocalKey) -> SignedReceipt:
    receipt = UsageReceipt(lease=lease, milliseconds=milliseconds, evidence=NO_DIGEST, last=True)
    return SignedReceipt(receipt=receipt, signature=signer.sign(receipt_digest(DOMAIN, receipt)))


def test_a_continuation_that_vanishes_is_wished_again(node: NodeTwin, running: LeaseId) -> None:
    node.exchange.submit(longer(node, running), 0, node.now)
    node.mine()
    node.seal()
    node.rewind(1)
    job = node.lease(running).job
    assert job is not None
    assert (node.job(job).state, node.job(job).lease) == (JobState.RUNNING, running)
    node.mine()
    node.seal()
    assert node.job(job).lease == node.job(job).leases[1]
