import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome
from ledger.chain.signatures import recover
from ledger.chain.typed_data import receipt_digest
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import LeaseId
from ledger.market.instructions import CloseLease, SettleReceipt
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import LeaseState
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import SignedReceipt, UsageReceipt
from node.trading.settlement import INTERIM_SECONDS
from node.trading.wishing import MARGIN_SECONDS, REPEAT_SECONDS
from tests.factories import a_digest, a_job, an_address
from tests.fakes.node_twin import BUYER, DOMAIN, LOST_AFTER, NODE, OTHER, NodeTwin

GRACE_OVER = 600 + EMBEDDED.grace + MARGIN_SECONDS


@pytest.fixture
def lease(node: NodeTwin) -> LeaseId:
    """A lease of ten minutes that has just opened, the node its signer."""
    node.beat(node.lend())
    node.seal()
    return node.opened()


@pytest.fixture
def foreign(node: NodeTwin) -> LeaseId:
    """A lease whose buyer signs for itself."""
    node.beat(node.lend())
    node.seal()
    order = node.order(signer=BUYER.address)
    job = node.exchange.submit(order, 0, node.now).job
    node.mine()
    node.seal()
    return node.job(job).leases[0]


def wishes(node: NodeTwin) -> list[TxIntent]:
    return node.books.outbox(DOMAIN.market).pending(100)


def signed(lease: LeaseId, milliseconds: int, *, last: bool = False, key: LocalKey = BUYER) -> SignedReceipt:
    receipt = UsageReceipt(lease=lease, milliseconds=milliseconds, evidence=a_digest("evidence"), last=last)
    return SignedReceipt(receipt=receipt, signature=key.sign(receipt_digest(DOMAIN, receipt)))


def test_a_report_within_its_bound_is_cosigned_and_not_yet_settled(node: NodeTwin, lease: LeaseId) -> None:
    node.now += 10
    receipt = node.settlement.report(node.used(lease, 10_000))
    assert receipt is not None
    assert recover(receipt_digest(DOMAIN, receipt.receipt), receipt.signature) == NODE.address
    assert node.lease(lease).receipt == receipt
    node.sweep()
    assert wishes(node) == []


def test_a_report_beyond_its_bound_is_refused_and_not_kept(node: NodeTwin, lease: LeaseId) -> None:
    with pytest.raises(Rejected) as caught:
        node.settlement.report(node.used(lease, 15_001))
    assert caught.value.code == "usage-beyond-bound"
    assert caught.value.facts["allowed"] == 15_000
    assert node.lease(lease).usage is None


def test_a_report_out_of_order_is_answered_with_the_better_receipt(node: NodeTwin, lease: LeaseId) -> None:
    better = node.settlement.report(node.used(lease, 10_000))
    assert node.settlement.report(node.used(lease, 9_000)) == better
    assert node.settlement.report(node.used(lease, 10_000)) == better
    assert node.lease(lease).receipt == better


def test_a_last_report_never_takes_back_what_was_agreed(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 10_000))
    last = node.settlement.report(node.used(lease, 9_000, last=True))
    assert last is not None
    assert (last.receipt.milliseconds, last.receipt.last) == (10_000, True)


def test_nothing_is_signed_after_a_last_receipt(node: NodeTwin, lease: LeaseId) -> None:
    last = node.settlement.report(node.used(lease, 5_000, last=True))
    node.now += 10
    assert node.settlement.report(node.used(lease, 9_000, last=True)) == last
    assert node.settlement.report(node.used(lease, 9_000)) == last
    assert len(wishes(node)) == 1


def test_a_last_receipt_settles_closes_and_refunds(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 10_000, last=True))
    node.mine()
    node.seal()
    row = node.lease(lease)
    assert (row.state, row.because) == (LeaseState.CLOSED, ClosedBecause.LAST_RECEIPT)
    assert row.paid == 1_102_400 * 10_000 // 3_600_000_000
    assert row.refunded == row.escrow - row.paid


def test_a_report_after_the_close_is_answered_or_told_that_it_ended(node: NodeTwin, lease: LeaseId) -> None:
    last = node.settlement.report(node.used(lease, 10_000, last=True))
    node.mine()
    node.seal()
    assert node.settlement.report(node.used(lease, 10_000, last=True)) == last


def test_a_report_on_a_lease_closed_without_receipt_is_told_so(node: NodeTwin, lease: LeaseId) -> None:
    node.pending += node.model.release(an_address("provider"), node.lease(lease).terms)
    node.seal()
    with pytest.raises(LostRace) as caught:
        node.settlement.report(node.used(lease, 1_000))
    assert caught.value.code == "lease-ended"


def test_a_lease_that_the_node_has_not_seen_open_is_told_to_wait(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    planned = node.job(node.submit()).leases[0]
    with pytest.raises(LostRace) as caught:
        node.settlement.report(node.used(planned, 1_000))
    assert caught.value.code == "lease-not-active"
    with pytest.raises(Rejected):
        node.settlement.report(node.used(LeaseId(a_digest("unknown")), 1_000))


def test_another_signer_is_waited_for_and_its_receipt_taken(node: NodeTwin, foreign: LeaseId) -> None:
    assert node.settlement.report(node.used(foreign, 5_000, last=True)) is None
    assert wishes(node) == []

    receipt = signed(foreign, 5_000, last=True)
    node.settlement.accept(receipt, node.now)
    node.settlement.accept(receipt, node.now)

    assert len(wishes(node)) == 1
    assert node.settlement.report(node.used(foreign, 5_000, last=True)) == receipt


def test_a_receipt_of_a_stranger_or_beyond_the_bound_is_refused(node: NodeTwin, foreign: LeaseId) -> None:
    with pytest.raises(Rejected) as caught:
        node.settlement.accept(signed(foreign, 5_000, key=OTHER), node.now)
    assert caught.value.code == "bad-signature"
    with pytest.raises(Rejected) as caught:
        node.settlement.accept(signed(foreign, 15_001), node.now)
    assert caught.value.code == "usage-beyond-bound"
    assert node.lease(foreign).receipt is None


def test_a_silent_agents_lease_ends_at_what_was_reported(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 8_000))
    for _ in range(LOST_AFTER + 1):
        node.now += 1
        node.sweep()
    assert node.lease(lease).agent_lost_at == node.now
    node.mine()
    node.seal()
    row = node.lease(lease)
    assert (row.state, row.paid) == (LeaseState.CLOSED, 1_102_400 * 8_000 // 3_600_000_000)
    assert node.settlement.report(node.used(lease, 9_000)) == row.receipt


def test_an_agent_that_never_reported_is_paid_nothing(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.give_up(lease, node.now)
    node.settlement.give_up(lease, node.now + 1)
    node.mine()
    node.seal()
    row = node.lease(lease)
    assert (row.state, row.paid, row.refunded) == (LeaseState.CLOSED, 0, row.escrow)


def test_an_agent_that_beats_is_not_lost(node: NodeTwin, lease: LeaseId) -> None:
    offers = [row.id for row in node.books.queries.offers()]
    for _ in range(LOST_AFTER * 2):
        node.now += 1
        node.beat(*offers)
        node.sweep()
    assert node.lease(lease).agent_lost_at is None


def test_a_clock_that_jumps_loses_nobody(node: NodeTwin, lease: LeaseId) -> None:
    for jump in (3_600, -7_200):
        node.now += jump
        node.sweep()
        assert node.lease(lease).agent_lost_at is None


def test_a_lease_closed_meanwhile_is_not_given_up(node: NodeTwin, lease: LeaseId) -> None:
    node.pending += node.model.release(an_address("provider"), node.lease(lease).terms)
    node.seal()
    node.settlement.give_up(lease, node.now)
    assert node.lease(lease).agent_lost_at is None


def test_the_agent_of_a_foreign_signer_is_lost_without_a_receipt(node: NodeTwin, foreign: LeaseId) -> None:
    node.settlement.give_up(foreign, node.now)
    assert node.lease(foreign).agent_lost_at == node.now
    assert wishes(node) == []
    with pytest.raises(LostRace) as caught:
        node.settlement.report(node.used(foreign, 1_000))
    assert caught.value.code == "lease-ended"


def test_the_sweeper_settles_the_best_receipt_then_closes(node: NodeTwin, foreign: LeaseId) -> None:
    node.settlement.accept(signed(foreign, 5_000), node.now)
    node.now += GRACE_OVER
    node.settlement.sweep(node.now)
    assert [type(wish.instruction) for wish in wishes(node)] == [SettleReceipt]
    node.mine()
    node.seal()
    node.settlement.sweep(node.now)
    assert [type(wish.instruction) for wish in wishes(node)] == [CloseLease]
    node.mine()
    node.seal()
    assert node.lease(foreign).because is ClosedBecause.EXPIRED


def test_nothing_is_closed_before_the_grace_is_over(node: NodeTwin, foreign: LeaseId) -> None:
    node.now += GRACE_OVER - 1
    node.settlement.sweep(node.now)
    assert wishes(node) == []


def test_a_long_lease_is_settled_in_between(node: NodeTwin) -> None:
    node.beat(node.lend())
    node.seal()
    lease = node.opened(a_job(max_seconds=7_200))
    node.now += INTERIM_SECONDS
    node.settlement.report(node.used(lease, (INTERIM_SECONDS - 1) * 1_000))
    node.settlement.sweep(node.now)
    assert wishes(node) == []
    node.settlement.report(node.used(lease, INTERIM_SECONDS * 1_000))
    node.settlement.sweep(node.now)
    node.settlement.sweep(node.now)
    assert len(wishes(node)) == 1
    node.mine()
    node.seal()
    node.settlement.sweep(node.now + REPEAT_SECONDS)
    assert wishes(node) == []


def test_a_wish_that_waits_is_not_wished_again(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 1_000, last=True))
    for _ in range(5):
        node.now += REPEAT_SECONDS
        node.settlement.sweep(node.now)
    assert len(wishes(node)) == 1


def test_a_wish_without_effect_is_wished_again_later_each_time(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 1_000, last=True))
    tries = 0
    for _ in range(REPEAT_SECONDS * 5):
        for wish in wishes(node):
            tries += 1
            node.settle(wish, Outcome(intent=wish.id, state=IntentState.FAILED, detail="BEYOND_ELAPSED"))
        node.now += 1
        node.settlement.sweep(node.now)
    assert tries == 3


def test_a_receipt_beyond_a_termination_is_signed_anew_at_the_end(node: NodeTwin, lease: LeaseId) -> None:
    node.now += 20
    node.settlement.report(node.used(lease, 20_000))
    node.pending += node.model.terminate(BUYER.address, node.lease(lease).terms, node.now - 5)
    node.seal()
    node.settlement.sweep(node.now)
    node.mine()
    node.seal()
    row = node.lease(lease)
    assert (row.state, row.ended_after) == (LeaseState.CLOSED, 15)
    assert row.paid == 1_102_400 * 15_000 // 3_600_000_000


def test_a_foreign_receipt_beyond_a_termination_does_not_keep_the_lease_open(
    node: NodeTwin, foreign: LeaseId
) -> None:
    node.now += 20
    node.settlement.accept(signed(foreign, 20_000), node.now)
    node.pending += node.model.terminate(BUYER.address, node.lease(foreign).terms, node.now - 5)
    node.seal()
    node.now += GRACE_OVER
    node.settlement.sweep(node.now)
    node.mine()
    node.seal()
    assert node.lease(foreign).state is LeaseState.CLOSED


def test_a_terminated_silent_lease_is_given_up_within_its_end(node: NodeTwin, lease: LeaseId) -> None:
    node.now += 20
    node.settlement.report(node.used(lease, 20_000))
    node.pending += node.model.terminate(BUYER.address, node.lease(lease).terms, node.now - 5)
    node.seal()
    node.settlement.give_up(lease, node.now)
    node.settlement.sweep(node.now)
    node.mine()
    node.seal()
    assert node.lease(lease).state is LeaseState.CLOSED


def test_a_settlement_that_a_reorganisation_took_back_is_wished_again(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 1_000, last=True))
    node.mine()
    node.seal()
    node.rewind(1)
    assert node.lease(lease).state is LeaseState.ACTIVE
    node.now += REPEAT_SECONDS
    node.settlement.sweep(node.now)
    node.mine()
    node.seal()
    assert node.lease(lease).state is LeaseState.CLOSED
