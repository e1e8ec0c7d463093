import pytest

from ledger.market.errors import LostRace
from ledger.market.identity import LeaseId
from ledger.market.instructions import FinalizeClaim
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import LeaseState
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from node.trading.wishing import MARGIN_SECONDS
from tests.factories import HOUR, a_job
from tests.fakes.node_twin import BUYER, NODE, NodeTwin

CLAIMED_MS = 8_000
"""within one receipt interval, so that it needs no bond"""
CAPACITY = Quantities(cpu=1_000_000, memory=8_192, disk=20_480)
"""of an offer large enough for a job so dear that a claim of seconds is worth base units"""


@pytest.fixture
def lease(node: NodeTwin) -> LeaseId:
    """A dear lease of an hour, ten minutes old."""
    node.deposit(10**9)
    node.beat(node.lend(capacity=CAPACITY))
    node.seal()
    lease = node.opened(a_job(cpu=900_000, max_rate=10**12, max_seconds=HOUR))
    node.now += 600
    return lease


def claim(node: NodeTwin, lease: LeaseId) -> int:
    """The provider claims some seconds; when that is final."""
    terms = node.lease(lease).terms
    node.pending += node.model.claim(terms.provider, terms, CLAIMED_MS, node.now)
    node.seal()
    found = node.lease(lease).claim
    assert found is not None
    return found.until


def contest(node: NodeTwin, lease: LeaseId) -> int:
    node.pending += node.model.contest(BUYER.address, node.lease(lease).terms, node.now)
    node.seal()
    found = node.lease(lease).claim
    assert found is not None
    return found.until


def wishes(node: NodeTwin) -> list[TxIntent]:
    return node.wishes()


def swept(node: NodeTwin) -> list[TxIntent]:
    node.chores.sweep(node.books.queries.leases(states=(LeaseState.ACTIVE,)), node.now)
    node.settlement.sweep(node.now)
    return wishes(node)


def test_a_claim_that_nobody_contests_is_finalised_when_its_window_is_over(
    node: NodeTwin, lease: LeaseId
) -> None:
    node.now = claim(node, lease) + MARGIN_SECONDS - 1
    assert swept(node) == []
    node.now += 1
    assert [type(wish.instruction) for wish in swept(node)] == [FinalizeClaim]
    assert len(swept(node)) == 1
    node.mine()
    node.seal()
    row = node.lease(lease)
    assert (row.state, row.because) == (LeaseState.CLOSED, ClosedBecause.CLAIMED)
    assert row.paid == row.terms.rate * CLAIMED_MS // 3_600_000_000


def test_a_contested_claim_is_finalised_after_the_arbiters_silence_alone(
    node: NodeTwin, lease: LeaseId
) -> None:
    first = claim(node, lease)
    until = contest(node, lease)
    assert until > first
    node.now = first + MARGIN_SECONDS
    assert swept(node) == []
    node.now = until + MARGIN_SECONDS
    assert len(swept(node)) == 1
    node.mine()
    node.seal()
    assert node.lease(lease).because is ClosedBecause.CLAIMED


def test_a_claim_that_the_arbiter_decided_is_left_alone(node: NodeTwin, lease: LeaseId) -> None:
    claim(node, lease)
    until = contest(node, lease)
    node.pending += node.model.decide(NODE.address, node.lease(lease).terms, 0, 0, node.now)
    node.seal()
    node.now = until + MARGIN_SECONDS
    assert swept(node) == []


def test_a_claimed_lease_is_neither_cosigned_nor_settled_nor_closed(node: NodeTwin, lease: LeaseId) -> None:
    receipt = node.settlement.report(node.used(lease, 1_000))
    claim(node, lease)
    assert node.settlement.report(node.used(lease, 2_000)) is None
    assert node.settlement.report(node.used(lease, 3_000, last=True)) is None
    row = node.lease(lease)
    assert row.receipt == receipt
    assert row.usage is not None
    assert row.usage.milliseconds == 3_000
    node.now += 30
    assert swept(node) == []
    node.settlement.give_up(lease, node.now)
    assert node.lease(lease).receipt == receipt
    node.settlement.sweep(node.now + HOUR + EMBEDDED.grace + MARGIN_SECONDS)
    assert wishes(node) == []


def test_a_claimed_lease_is_not_ended_for_its_buyer(node: NodeTwin, lease: LeaseId) -> None:
    claim(node, lease)
    row = node.lease(lease)
    assert row.job is not None
    with pytest.raises(LostRace) as caught:
        node.settlement.end(node.job(row.job), [row], node.now)
    assert caught.value.code == "lease-claimed"
    assert node.lease(lease).receipt is None


def test_a_finalisation_that_a_reorganisation_took_back_is_wished_again(
    node: NodeTwin, lease: LeaseId
) -> None:
    node.now = claim(node, lease) + MARGIN_SECONDS
    swept(node)
    node.mine()
    node.seal()
    node.rewind(1)
    assert node.lease(lease).claim is not None
    node.now += 60
    swept(node)
    node.mine()
    node.seal()
    assert node.lease(lease).because is ClosedBecause.CLAIMED


def test_a_finalisation_survives_a_restart(node: NodeTwin, lease: LeaseId) -> None:
    node.now = claim(node, lease) + MARGIN_SECONDS
    swept(node)
    node.restart()
    assert [wish.state for wish in swept(node)] == [IntentState.PENDING]
