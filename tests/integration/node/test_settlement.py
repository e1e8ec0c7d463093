from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome
from ledger.chain.signatures import recover
from ledger.chain.typed_data import keccak, receipt_digest
from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import UsageReported
from ledger.market.identity import NO_DIGEST, Digest, LeaseId
from ledger.market.instructions import CloseLease, SettleReceipt
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import LeaseState
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import SignedReceipt, UsageReceipt
from ledger.market.usage_tree import prove
from node.trading.settlement import INTERIM_SECONDS
from node.trading.usage_lines import UsageLines, line_of
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
    return node.wishes()


def signed(
    lease: LeaseId,
    milliseconds: int,
    *,
    last: bool = False,
    key: LocalKey = BUYER,
    evidence: Digest = NO_DIGEST,
) -> SignedReceipt:
    receipt = UsageReceipt(lease=lease, milliseconds=milliseconds, evidence=evidence, last=last)
    return SignedReceipt(receipt=receipt, signature=key.sign(receipt_digest(DOMAIN, receipt)))


def root_of(lines: Sequence[UsageReported]) -> Digest:
    return prove([line_of(line) for line in lines], 0, keccak).root(keccak)


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


def test_a_line_that_comes_again_is_answered_with_the_better_receipt(node: NodeTwin, lease: LeaseId) -> None:
    first = node.used(lease, 9_000)
    node.settlement.report(first)
    newest = node.used(lease, 10_000)
    better = node.settlement.report(newest)
    assert node.settlement.report(first) == better
    assert node.settlement.report(newest) == better
    assert node.lease(lease).receipt == better
    assert node.books.queries.usage_lines(lease) == [first, newest]


def test_a_receipt_is_for_all_lines_up_to_its_own(node: NodeTwin, lease: LeaseId) -> None:
    for seconds in (2, 4, 9):
        receipt = node.settlement.report(node.used(lease, seconds * 1_000))
        assert receipt is not None
        assert receipt.receipt.evidence == root_of(node.books.queries.usage_lines(lease))


@pytest.mark.parametrize(
    "change",
    [{"sequence": 0}, {"sequence": 2}, {"evidence": a_digest("other")}, {"cpu_ns": 1}],
    ids=["another in the place of one that is held", "one left out", "another root", "another content"],
)
def test_a_line_that_does_not_follow_those_that_are_held_is_refused(
    node: NodeTwin, lease: LeaseId, change: dict[str, Any]
) -> None:
    node.settlement.report(node.used(lease, 5_000))
    with pytest.raises(LostRace) as caught:
        node.settlement.report(replace(node.used(lease, 6_000), **change))
    assert (caught.value.code, caught.value.facts["held"]) == ("usage-lines-differ", 1)
    assert len(node.books.queries.usage_lines(lease)) == 1


def test_a_line_that_takes_time_back_is_refused(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 5_000))
    with pytest.raises(Rejected) as caught:
        node.settlement.report(node.used(lease, 4_000))
    assert caught.value.code == "usage-falls"


def test_an_agent_that_names_no_line_is_refused(node: NodeTwin, lease: LeaseId) -> None:
    with pytest.raises(Rejected) as caught:
        node.settlement.report(replace(node.used(lease, 5_000), sequence=None))
    assert caught.value.code == "missing-key"


def test_lines_go_on_after_a_restart_of_the_node(node: NodeTwin, lease: LeaseId) -> None:
    for seconds in (1, 2, 3):
        node.settlement.report(node.used(lease, seconds * 1_000))
    node.restart()
    receipt = node.settlement.report(node.used(lease, 4_000))
    assert receipt is not None
    assert receipt.receipt.evidence == root_of(node.books.queries.usage_lines(lease))


def test_a_line_that_was_checked_and_not_kept_leaves_its_place(node: NodeTwin, lease: LeaseId) -> None:
    lines, row = UsageLines(), node.lease(lease)
    for seconds in (5, 6):
        with node.books.transaction() as unit:
            lines.check_next(unit.queries, row, node.used(lease, seconds * 1_000))
    with pytest.raises(LostRace):
        lines.check_next(node.books.queries, row, replace(node.used(lease, 7_000), sequence=1))


def test_what_the_node_ends_by_itself_keeps_the_lines_of_the_agent(node: NodeTwin, lease: LeaseId) -> None:
    node.settlement.report(node.used(lease, 5_000))
    node.settlement.give_up(lease, node.now)
    row = node.lease(lease)
    assert row.receipt is not None
    assert row.receipt.receipt.last
    assert row.receipt.receipt.evidence == root_of(node.books.queries.usage_lines(lease))


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

    shown = node.lease(foreign).usage
    assert shown is not None
    receipt = signed(foreign, 5_000, last=True, evidence=shown.evidence)
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


def test_a_receipt_over_lines_that_nobody_reported_is_refused(node: NodeTwin, foreign: LeaseId) -> None:
    node.settlement.report(node.used(foreign, 5_000))
    with pytest.raises(Rejected) as caught:
        node.settlement.accept(signed(foreign, 5_000, evidence=a_digest("other")), node.now)
    assert caught.value.code == "unknown-evidence"


def test_a_last_line_beyond_a_termination_is_signed_up_to_the_end(node: NodeTwin, lease: LeaseId) -> None:
    node.now += 20
    line = node.used(lease, 20_000, last=True)
    with node.books.transaction() as unit:
        unit.record(line)
    node.pending += node.model.terminate(BUYER.address, node.lease(lease).terms, node.now - 5)
    node.seal()
    receipt = node.settlement.report(line)
    assert receipt is not None
    assert (receipt.receipt.milliseconds, receipt.receipt.evidence) == (15_000, line.evidence)


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


def test_the_receipt_that_is_shown_after_a_termination_is_the_one_that_settles(
    node: NodeTwin, lease: LeaseId
) -> None:
    node.now += 20
    node.settlement.report(node.used(lease, 20_000))
    node.pending += node.model.terminate(BUYER.address, node.lease(lease).terms, node.now - 5)
    node.seal()
    node.settlement.sweep(node.now)
    shown = node.lease(lease).receipt
    assert shown is not None
    assert (shown.receipt.milliseconds, shown.receipt.last) == (15_000, True)
    node.settlement.sweep(node.now)
    assert node.lease(lease).receipt == shown
    assert [wish.instruction for wish in wishes(node)] == [
        SettleReceipt(terms=node.lease(lease).terms, signed=shown)
    ]


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
