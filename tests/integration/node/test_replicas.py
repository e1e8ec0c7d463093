from typing import Any

import pytest

from ledger.books.rows import LeaseRow
from ledger.chain.typed_data import receipt_digest
from ledger.market.errors import LostRace
from ledger.market.facts import JobPhase
from ledger.market.identity import NO_DIGEST, Digest, LeaseId
from ledger.market.instructions import DecideReplicas
from ledger.market.job import Gang
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import LeaseState, Verdict
from ledger.market.outbox import TxIntent
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import SignedReceipt, UsageReceipt
from node.trading.wishing import MARGIN_SECONDS
from tests.factories import a_digest, a_job
from tests.fakes.node_twin import BUYER, DOMAIN, NodeTwin

NAMES = ("first", "second", "third")
RESULT, OTHER_RESULT = Digest(a_digest("result")), Digest(a_digest("other result"))
SALT = Digest(a_digest("salt"))
PATIENCE = EMBEDDED.jury_patience


@pytest.fixture
def leases(node: NodeTwin) -> list[LeaseId]:
    """Three replicas of a job, of which two must agree; the node is their signer."""
    return opened(node)


def opened(node: NodeTwin, **changes: Any) -> list[LeaseId]:
    """Three replicas on offers in three domains; `changes` are the bid's."""
    offers = {name: node.lend(name, domain=f"{name}/rack") for name in NAMES}
    node.seal()
    for name, offer in offers.items():
        node.beat(offer, name=name)
    replicated = a_job(gang=Gang(members=3, agree=2), outputs=("result.json",))
    job = node.exchange.submit(node.order(replicated, **changes), 0, node.now).job
    node.mine()
    node.seal()
    return [row.id for row in node.books.queries.leases(job=job)]


def wishes(node: NodeTwin) -> list[TxIntent]:
    return node.wishes()


def used(node: NodeTwin, leases: list[LeaseId], milliseconds: int = 10_000) -> None:
    """Every agent reports that its container has ended; nobody is answered with a receipt."""
    for lease in leases:
        assert node.settlement.report(node.used(lease, milliseconds, last=True)) is None


def commit(node: NodeTwin, lease: LeaseId, result: Digest = RESULT) -> None:
    node.pending += node.commit(node.lease(lease).terms, result, SALT)


def reveal(node: NodeTwin, lease: LeaseId, result: Digest = RESULT) -> None:
    row = node.lease(lease)
    assert row.signed is not None
    node.pending += node.reveal(row.signed, row.terms, result, SALT)


def judged(node: NodeTwin) -> None:
    """The sweeper has the jury decide, and acts on it."""
    node.sweep()
    node.mine()
    node.seal()
    node.sweep()
    node.mine()
    node.seal()


def rows(node: NodeTwin, leases: list[LeaseId]) -> list[LeaseRow]:
    return [node.lease(lease) for lease in leases]


def test_replicas_are_not_cosigned_before_the_verdict(node: NodeTwin, leases: list[LeaseId]) -> None:
    assert all(row.undecided for row in rows(node, leases))
    node.now += 10
    used(node, leases)
    assert all(row.usage is not None and row.receipt is None for row in rows(node, leases))
    node.sweep()
    assert wishes(node) == []


def test_agreeing_replicas_are_judged_and_paid_at_once(node: NodeTwin, leases: list[LeaseId]) -> None:
    node.now += 10
    used(node, leases)
    for lease in leases:
        commit(node, lease)
    node.seal()
    for lease in leases:
        reveal(node, lease)
    node.seal()
    judged(node)
    for row in rows(node, leases):
        assert (row.verdict, row.because) == (Verdict.AGREED, ClosedBecause.LAST_RECEIPT)
        assert row.paid == 1_102_400 * 10_000 // 3_600_000_000


def test_the_minority_is_burned_and_never_cosigned(node: NodeTwin, leases: list[LeaseId]) -> None:
    node.now += 10
    used(node, leases)
    results = (RESULT, OTHER_RESULT, RESULT)
    for lease, result in zip(leases, results, strict=True):
        commit(node, lease, result)
    for lease, result in zip(leases, results, strict=True):
        reveal(node, lease, result)
    node.seal()
    judged(node)
    liar = node.lease(leases[1])
    assert (liar.verdict, liar.because, liar.paid) == (Verdict.GUILTY, ClosedBecause.JUDGED, 0)
    assert liar.receipt is None
    assert liar.burned == liar.lock > 0
    assert [node.lease(lease).paid > 0 for lease in leases] == [True, False, True]
    with pytest.raises(LostRace) as caught:
        node.settlement.report(node.used(leases[1], 11_000, last=True))
    assert caught.value.code == "lease-ended"


def test_without_a_quorum_all_who_showed_a_result_are_paid(node: NodeTwin, leases: list[LeaseId]) -> None:
    node.now += 10
    used(node, leases)
    results = [Digest(a_digest(f"result {lease.hex()}")) for lease in leases]
    for lease, result in zip(leases, results, strict=True):
        commit(node, lease, result)
    for lease, result in zip(leases, results, strict=True):
        reveal(node, lease, result)
    node.seal()
    judged(node)
    for row in rows(node, leases):
        assert (row.verdict, row.because) == (Verdict.UNDETERMINED, ClosedBecause.LAST_RECEIPT)
        assert row.paid > 0
        assert row.burned == 0


def test_a_silent_replica_is_waited_for_and_never_paid(node: NodeTwin, leases: list[LeaseId]) -> None:
    node.now += 10
    used(node, leases)
    for lease in leases[:2]:
        commit(node, lease)
    node.seal()
    over = node.now - 10 + 600 + PATIENCE
    node.now = over + 1
    for lease in leases[:2]:
        reveal(node, lease)
    node.seal()
    node.sweep()
    assert wishes(node) == []
    node.now = over + PATIENCE + MARGIN_SECONDS + 1
    judged(node)
    silent = node.lease(leases[2])
    assert (silent.verdict, silent.state, silent.undecided) == (Verdict.SILENT, LeaseState.ACTIVE, False)
    assert node.settlement.report(node.used(leases[2], 10_000, last=True)) is None
    assert [node.lease(lease).paid > 0 for lease in leases] == [True, True, False]

    node.now += EMBEDDED.grace + MARGIN_SECONDS
    node.sweep()
    node.mine()
    node.seal()
    silent = node.lease(leases[2])
    assert (silent.because, silent.paid, silent.receipt) == (ClosedBecause.EXPIRED, 0, None)


def test_replicas_that_nobody_committed_are_judged_one_window_earlier(
    node: NodeTwin, leases: list[LeaseId]
) -> None:
    node.now += 600 + PATIENCE + MARGIN_SECONDS
    node.sweep()
    assert not any(isinstance(wish.instruction, DecideReplicas) for wish in wishes(node))
    node.now += 1
    node.sweep()
    assert sum(isinstance(wish.instruction, DecideReplicas) for wish in wishes(node)) == 1
    node.sweep()
    assert sum(isinstance(wish.instruction, DecideReplicas) for wish in wishes(node)) == 1


def test_undecided_replicas_are_not_closed_however_old(node: NodeTwin, leases: list[LeaseId]) -> None:
    node.now += 600 + EMBEDDED.grace + 3_600
    node.settlement.sweep(node.now)
    assert wishes(node) == []


def test_a_replica_whose_agent_was_away_may_still_show_its_result(
    node: NodeTwin, leases: list[LeaseId]
) -> None:
    node.settlement.report(node.used(leases[0], 5_000))
    node.settlement.give_up(leases[0], node.now)
    row = node.lease(leases[0])
    assert (row.agent_lost_at, row.receipt) == (None, None)
    node.now += 40
    used(node, leases, 30_000)
    for lease in leases:
        commit(node, lease)
    for lease in leases:
        reveal(node, lease)
    node.seal()
    judged(node)
    assert all(row.paid > 0 for row in rows(node, leases))


def test_a_buyer_that_signs_for_itself_is_not_heard_before_the_verdict(node: NodeTwin) -> None:
    lease = opened(node, signer=BUYER.address)[0]
    receipt = UsageReceipt(lease=lease, milliseconds=1_000, evidence=NO_DIGEST, last=True)
    signed = SignedReceipt(receipt=receipt, signature=BUYER.sign(receipt_digest(DOMAIN, receipt)))
    with pytest.raises(LostRace) as caught:
        node.settlement.accept(signed, node.now)
    assert caught.value.code == "lease-undecided"
    assert node.lease(lease).receipt is None


def test_a_verdict_that_a_reorganisation_took_back_is_asked_for_again(
    node: NodeTwin, leases: list[LeaseId]
) -> None:
    used(node, leases)
    for lease in leases:
        commit(node, lease)
    for lease in leases:
        reveal(node, lease)
    node.seal()
    node.sweep()
    node.mine()
    node.seal()
    assert not node.lease(leases[0]).undecided
    node.rewind(1)
    assert node.lease(leases[0]).undecided
    node.now += 60
    judged(node)
    assert all(row.because is ClosedBecause.LAST_RECEIPT for row in rows(node, leases))


def test_a_restarted_node_pays_what_the_jury_decided(node: NodeTwin, leases: list[LeaseId]) -> None:
    node.now += 10
    used(node, leases)
    for lease in leases:
        commit(node, lease)
    for lease in leases:
        reveal(node, lease)
    node.seal()
    node.sweep()
    node.mine()
    node.seal()
    node.restart()
    node.sweep()
    node.sweep()
    assert len(wishes(node)) == len(leases)
    node.mine()
    node.seal()
    assert all(row.paid > 0 for row in rows(node, leases))


def test_reports_of_the_phase_do_not_move_money(node: NodeTwin, leases: list[LeaseId]) -> None:
    for lease in leases:
        node.say(lease, JobPhase.RUNNING)
        node.say(lease, JobPhase.SUCCEEDED, 0)
    node.sweep()
    assert wishes(node) == []
