from typing import Any

import pytest

from ledger.books.rows import LeaseRow
from ledger.chain.keyring import keyring
from ledger.chain.keys import LocalKey
from ledger.chain.outcomes import Outcome
from ledger.chain.signatures import recover
from ledger.chain.typed_data import receipt_digest
from ledger.market.bid import SignedBid
from ledger.market.errors import LostRace, MarketError
from ledger.market.facts import JobPhase
from ledger.market.identity import NO_DIGEST, Digest, LeaseId
from ledger.market.instructions import ContinueLease, Instruction, SettleReceipt
from ledger.market.lease import ClosedBecause
from ledger.market.lifecycle import LeaseState
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.receipt import SignedReceipt, UsageReceipt
from node.trading.continuing import Continuing
from tests.factories import a_digest, a_job, an_address
from tests.fakes.node_twin import BUYER, DOMAIN, NODE, OTHER, RATE, NodeTwin

CONTINUING = Continuing(DOMAIN, keyring(NODE))


@pytest.fixture
def lease(node: NodeTwin) -> LeaseId:
    """A lease of ten minutes whose container has run for eight seconds, as was reported two ago."""
    node.beat(node.lend())
    node.seal()
    lease = node.opened()
    node.say(lease, JobPhase.RUNNING)
    node.now += 10
    node.settlement.report(node.used(lease, 8_000))
    node.now += 2
    return lease


@pytest.fixture
def foreign(node: NodeTwin) -> LeaseId:
    """The same, its buyer signing for itself."""
    node.beat(node.lend())
    node.seal()
    name = node.exchange.submit(node.order(signer=BUYER.address), 0, node.now).job
    node.mine()
    node.seal()
    node.now += 10
    return node.job(name).leases[0]


def a_next(node: NodeTwin, lease: LeaseId, **changes: Any) -> SignedBid:
    """A bid that continues the lease with the same job."""
    return node.signed(a_job(), **{"continues": Digest(lease)} | changes)[1][0]


def plan(
    node: NodeTwin, lease: LeaseId, receipt: SignedReceipt | None = None, **changes: Any
) -> ContinueLease:
    with node.books.transaction() as unit:
        return CONTINUING.plan(unit, node.lease(lease), a_next(node, lease, **changes), node.now, receipt)


def refusal(node: NodeTwin, lease: LeaseId, receipt: SignedReceipt | None = None, **changes: Any) -> str:
    with pytest.raises(MarketError) as caught:
        plan(node, lease, receipt, **changes)
    return caught.value.code


def submitted(node: NodeTwin, lease: LeaseId) -> LeaseRow:
    """The same order sent to the exchange; the lease that it plans."""
    node.exchange.submit(node.order(continues=Digest(lease)), 0, node.now)
    (planned,) = node.books.queries.leases(states=(LeaseState.PLANNED,))
    return planned


def signed(lease: LeaseId, milliseconds: int, *, last: bool = True, key: LocalKey = BUYER) -> SignedReceipt:
    receipt = UsageReceipt(lease=lease, milliseconds=milliseconds, evidence=NO_DIGEST, last=last)
    return SignedReceipt(receipt=receipt, signature=key.sign(receipt_digest(DOMAIN, receipt)))


def covered(node: NodeTwin, lease: LeaseId) -> int:
    """Up to which millisecond a report of eleven seconds is co-signed."""
    receipt = node.settlement.report(node.used(lease, 11_000))
    assert receipt is not None
    assert not receipt.receipt.last
    return receipt.receipt.milliseconds


def wishes(node: NodeTwin) -> list[TxIntent]:
    return node.wishes()


def kinds(node: NodeTwin) -> list[type[Instruction]]:
    return [type(wish.instruction) for wish in wishes(node)]


def reverted(node: NodeTwin) -> None:
    """The continuation was mined, and took no effect."""
    for wish in wishes(node):
        node.settle(wish, Outcome(intent=wish.id, state=IntentState.FAILED, detail="reverted"))
    node.mine()


class TestTheLastReceipt:
    def test_bills_up_to_the_moment(self, node: NodeTwin, lease: LeaseId) -> None:
        wish = plan(node, lease)
        receipt = wish.receipt.receipt
        assert (receipt.lease, receipt.milliseconds, receipt.last) == (lease, 10_000, True)
        assert recover(receipt_digest(DOMAIN, receipt), wish.receipt.signature) == NODE.address
        assert (wish.previous, wish.rate) == (node.lease(lease).terms, RATE)

    def test_never_bills_beyond_what_the_lease_may_run(self, node: NodeTwin, lease: LeaseId) -> None:
        node.now = node.now - 12 + 599
        node.settlement.report(node.used(lease, 598_000))
        assert plan(node, lease).receipt.receipt.milliseconds == 598_000
        node.now += 1
        assert refusal(node, lease) == "lease-ended"

    def test_never_bills_more_than_the_lease_stood_open(self, node: NodeTwin, lease: LeaseId) -> None:
        node.settlement.report(node.used(lease, 20_000))
        node.now += 4
        assert plan(node, lease).receipt.receipt.milliseconds == 20_000
        node.now += 6
        assert plan(node, lease).receipt.receipt.milliseconds == 22_000

    def test_bills_nothing_where_nothing_was_reported(self, node: NodeTwin) -> None:
        node.beat(node.lend())
        node.seal()
        lease = node.opened()
        node.now += 30
        assert plan(node, lease).receipt.receipt.milliseconds == 0

    def test_of_another_signer_comes_with_the_bid(self, node: NodeTwin, foreign: LeaseId) -> None:
        receipt = signed(foreign, 9_000)
        assert plan(node, foreign, receipt).receipt == receipt
        for brought, code in (
            (None, "last-receipt-missing"),
            (signed(foreign, 9_000, last=False), "last-receipt-missing"),
            (signed(LeaseId(a_digest("another")), 9_000), "last-receipt-missing"),
            (signed(foreign, 9_000, key=OTHER), "bad-signature"),
            (signed(foreign, 60_000), "usage-beyond-bound"),
        ):
            assert refusal(node, foreign, brought) == code
        node.settlement.accept(signed(foreign, 9_500, last=False), node.now)
        assert refusal(node, foreign, receipt) == "receipt-too-small"


class TestWhatCannotBeContinued:
    def test_is_another_buyers_or_another_lease(self, node: NodeTwin, lease: LeaseId) -> None:
        assert refusal(node, lease, buyer=OTHER) == "not-its-next"
        assert refusal(node, lease, continues=a_digest("another lease")) == "not-its-next"

    def test_is_dearer_than_the_bid_allows(self, node: NodeTwin, lease: LeaseId) -> None:
        assert refusal(node, lease, limit_rate=RATE - 1) == "above-limit"

    def test_is_larger_than_the_offer(self, node: NodeTwin, lease: LeaseId) -> None:
        _, (larger,) = node.signed(a_job(cpu=4_001, max_rate=10**9), continues=Digest(lease))
        with node.books.transaction() as unit, pytest.raises(LostRace) as caught:
            CONTINUING.plan(unit, node.lease(lease), larger, node.now)
        assert caught.value.code == "capacity-taken"

    def test_has_ended_in_whatever_way(self, node: NodeTwin, lease: LeaseId) -> None:
        node.settlement.report(node.used(lease, 9_000, last=True))
        assert refusal(node, lease) == "lease-ended"
        node.mine()
        node.seal()
        assert refusal(node, lease) == "lease-ended"

    def test_has_lost_its_agent_or_was_terminated(self, node: NodeTwin, foreign: LeaseId) -> None:
        receipt = signed(foreign, 9_000)
        node.pending += node.model.terminate(BUYER.address, node.lease(foreign).terms, node.now)
        node.seal()
        assert refusal(node, foreign, receipt) == "lease-ended"

    def test_is_claimed(self, node: NodeTwin) -> None:
        node.beat(node.lend())
        node.seal()
        lease = node.opened()
        node.now += 590
        terms = node.lease(lease).terms
        node.pending += node.model.claim(terms.provider, terms, 9_999, node.now)
        node.seal()
        assert refusal(node, lease) == "lease-claimed"

    def test_is_on_an_offer_that_is_gone(self, node: NodeTwin, lease: LeaseId) -> None:
        terms = node.lease(lease).terms
        offer = node.books.queries.offer(terms.offer)
        assert offer is not None
        node.pending += node.model.cancel_offer(an_address("provider"), offer.id, offer.offer)
        node.seal()
        assert refusal(node, lease) == "offer-gone"


class TestWhileItIsUnderWay:
    def test_nothing_more_is_cosigned_settled_or_given_up(self, node: NodeTwin, lease: LeaseId) -> None:
        known = node.lease(lease).receipt
        assert known is not None
        submitted(node, lease)
        node.now += 1
        assert node.settlement.report(node.used(lease, 11_000)) == known
        assert node.settlement.report(node.used(lease, 11_500, last=True)) == known
        node.settlement.give_up(lease, node.now)
        node.settlement.sweep(node.now)
        row = node.lease(lease)
        assert (row.receipt, row.agent_lost_at) == (known, None)
        assert kinds(node) == [ContinueLease]

    def test_it_is_not_continued_twice_nor_ended(self, node: NodeTwin, lease: LeaseId) -> None:
        submitted(node, lease)
        assert refusal(node, lease) == "lease-continuing"
        row = node.lease(lease)
        assert row.job is not None
        with pytest.raises(LostRace) as caught:
            node.settlement.end(node.job(row.job), [row], node.now)
        assert caught.value.code == "lease-continuing"

    def test_another_signers_receipt_waits(self, node: NodeTwin, foreign: LeaseId) -> None:
        order = node.order(signer=BUYER.address, continues=Digest(foreign))
        node.exchange.submit(order, 0, node.now, signed(foreign, 9_000))
        with pytest.raises(LostRace) as caught:
            node.settlement.accept(signed(foreign, 10_000, last=False), node.now)
        assert caught.value.code == "lease-continuing"


class TestItsEnd:
    def test_the_next_lease_takes_over_and_the_old_one_is_paid(self, node: NodeTwin, lease: LeaseId) -> None:
        planned = submitted(node, lease)
        node.mine()
        node.seal()
        old, new = node.lease(lease), node.lease(planned.id)
        assert (old.state, old.because) == (LeaseState.CLOSED, ClosedBecause.CONTINUED)
        assert old.paid == RATE * 10_000 // 3_600_000_000
        assert (new.state, new.continues, new.job) == (LeaseState.ACTIVE, lease, old.job)
        with pytest.raises(LostRace) as caught:
            node.settlement.report(node.used(lease, 11_000))
        assert caught.value.code == "lease-ended"
        assert node.settlement.report(node.used(planned.id, 1_000)) is not None

    def test_a_failure_leaves_the_old_lease_as_it_was(self, node: NodeTwin, lease: LeaseId) -> None:
        """The last receipt of the failed wish is delivered by nobody: the lease goes on and is settled."""
        submitted(node, lease)
        node.now += 1
        assert covered(node, lease) == 8_000
        reverted(node)
        node.settlement.sweep(node.now)
        row = node.lease(lease)
        assert row.state is LeaseState.ACTIVE
        assert row.receipt is not None
        assert not row.receipt.receipt.last
        assert wishes(node) == []

        node.now += 5
        receipt = node.settlement.report(node.used(lease, 15_000))
        assert receipt is not None
        last = node.settlement.report(node.used(lease, 16_000, last=True))
        assert last is not None
        assert kinds(node) == [SettleReceipt]
        node.mine()
        node.seal()
        row = node.lease(lease)
        assert (row.because, row.paid) == (ClosedBecause.LAST_RECEIPT, RATE * 16_000 // 3_600_000_000)

    def test_after_a_failure_it_can_be_continued_anew(self, node: NodeTwin, lease: LeaseId) -> None:
        submitted(node, lease)
        reverted(node)
        node.now += 3
        planned = submitted(node, lease)
        node.mine()
        node.seal()
        assert node.lease(planned.id).state is LeaseState.ACTIVE
        assert node.lease(lease).paid == RATE * 13_000 // 3_600_000_000

    def test_a_kill_in_between_changes_nothing(self, node: NodeTwin, lease: LeaseId) -> None:
        planned = submitted(node, lease)
        node.restart()
        assert covered(node, lease) == 8_000
        node.mine()
        node.restart()
        node.seal()
        assert node.lease(planned.id).state is LeaseState.ACTIVE

    def test_a_reorganisation_has_it_done_again(self, node: NodeTwin, lease: LeaseId) -> None:
        planned = submitted(node, lease)
        node.mine()
        node.seal()
        node.rewind(1)
        assert node.lease(lease).state is LeaseState.ACTIVE
        assert covered(node, lease) == 8_000
        node.mine()
        node.seal()
        assert node.lease(planned.id).state is LeaseState.ACTIVE
        assert node.lease(lease).because is ClosedBecause.CONTINUED
