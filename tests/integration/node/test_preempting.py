"""Interruptible leases yield to a higher bid, over restarts, repetitions and reorganisations."""

import json
from typing import Any

import pytest

from ledger.market.errors import LostRace, Rejected
from ledger.market.facts import JobPhase, JobReported, LeaseYields
from ledger.market.identity import BidId, Digest, LeaseId, OfferId, text
from ledger.market.job import Job
from ledger.market.lifecycle import PREEMPTED, JobState
from ledger.market.resource import Quantities
from node.trading.admission import Order
from node.trading.preempting import PATIENCE_SECONDS
from tests.factories import a_job, an_address
from tests.fakes.node_twin import BUYER, OTHER, RATE, NodeTwin

WHOLE = Quantities(cpu=1_000, memory=1_024, disk=1_024)
"""capacity for one job of the factories"""
NOTICE = 60


def lent(node: NodeTwin, capacity: Quantities = WHOLE, **changes: Any) -> OfferId:
    """A live offer with room for one job, and two buyers with money."""
    for buyer in (BUYER, OTHER):
        node.deposit(10**9, buyer.address)
    offer = node.lend(capacity=capacity, **changes)
    node.seal()
    node.beat(offer)
    return offer


def a_low_job(**changes: Any) -> Job:
    return a_job(**({"max_rate": RATE + 1, "max_seconds": 3_000, "notice": NOTICE} | changes))


def a_high_job(**changes: Any) -> Job:
    return a_job(**({"max_rate": 3 * RATE, "name": "high"} | changes))


def waits(node: NodeTwin, job: Job | None = None, wait: int = 1_000) -> BidId:
    """An order of the other buyer that finds no room."""
    name = node.submit(job or a_high_job(), wait=wait, buyer=OTHER)
    assert node.job(name).state is JobState.RESTING
    return name


def yields(node: NodeTwin) -> list[LeaseYields]:
    return [fact for _, fact in node.books.queries.facts() if isinstance(fact, LeaseYields)]


def lets_go(node: NodeTwin, lease: LeaseId, code: str = PREEMPTED) -> None:
    """The agent reports the end, and the last receipt closes the lease."""
    node.now += 4
    node.settlement.report(node.used(lease, 4_000, last=True))
    node.exchange.report(
        JobReported(
            lease=lease,
            phase=JobPhase.FAILED,
            exit_code=143,
            code=code,
            cause="A higher bid took the job's place.",
            outputs=(),
            at=node.now,
        )
    )
    node.mine()
    node.seal()


def test_a_higher_bid_gets_the_place_once_the_lower_one_let_go(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    high = waits(node)

    (fact,) = yields(node)
    assert (fact.lease, fact.by, fact.until - fact.at) == (lease, high, NOTICE)
    message = {"kind": "yield", "lease": text(lease), "notice": NOTICE}
    assert node.told[0] == (an_address("provider"), json.dumps(message))
    assert node.job(high).state is JobState.RESTING

    lets_go(node, lease)
    assert node.job(high).state is JobState.OPENING


def test_its_buyer_is_told_when_and_with_how_much_notice(node: NodeTwin) -> None:
    lent(node)
    low = node.job(node.submit(a_low_job())).job
    node.mine()
    node.seal()
    waits(node)
    row = node.job(low)
    assert (row.state, row.code) == (JobState.STARTING, "yielding")
    assert "2027-01-15 08:00:00 UTC, with 60 s of notice" in row.cause

    assert row.lease is not None
    lets_go(node, row.lease)
    row = node.job(low)
    assert (row.state, row.code) == (JobState.PREEMPTED, PREEMPTED)
    assert "2027-01-15 08:00:00 UTC, with 60 s of notice" in row.cause
    lease = node.lease(row.leases[0])
    assert 0 < lease.paid < lease.escrow
    assert lease.refunded == lease.escrow - lease.paid


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ({"notice": 0}, {}),
        ({"max_rate": 3 * RATE}, {}),
        ({"max_rate": 3 * RATE}, {"max_rate": 2 * RATE}),
        ({}, {"max_rate": RATE + 1}),
    ],
    ids=["not sold as interruptible", "an equal limit", "a lower bid", "nothing to win"],
)
def test_others_are_never_touched(node: NodeTwin, low: dict[str, Any], high: dict[str, Any]) -> None:
    lent(node)
    node.opened(a_low_job(**low))
    waits(node, a_high_job(**high))
    node.sweep()
    assert yields(node) == []
    assert node.told == []


def test_a_lease_that_yields_is_not_continued(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    node.say(lease, JobPhase.RUNNING)
    node.now += 10
    node.settlement.report(node.used(lease, 10_000))
    waits(node)
    (fact,) = yields(node)
    assert fact.lease == lease
    with pytest.raises(LostRace) as caught:
        node.exchange.submit(goes_on(node, lease), 0, node.now)
    assert caught.value.code == "lease-yields"


def test_an_interruptible_lease_that_nobody_outbids_is_continued(node: NodeTwin) -> None:
    lent(node, Quantities(cpu=2_000, memory=2_048, disk=2_048))
    lease = node.opened(a_low_job())
    node.say(lease, JobPhase.RUNNING)
    node.now += 10
    node.settlement.report(node.used(lease, 10_000))
    assert yields(node) == []
    row = node.exchange.submit(goes_on(node, lease), 0, node.now)
    assert row.job == node.lease(lease).job


def goes_on(node: NodeTwin, lease: LeaseId) -> Order:
    """The low job's bid for some time more."""
    return node.order(a_low_job(max_seconds=3_300), continues=Digest(lease))


def test_a_buyer_does_not_preempt_itself(node: NodeTwin) -> None:
    lent(node)
    node.opened(a_low_job())
    node.submit(a_high_job(), wait=1_000)
    assert yields(node) == []


def test_an_order_that_would_not_wait_so_long_preempts_nobody(node: NodeTwin) -> None:
    lent(node)
    node.opened(a_low_job())
    waits(node, wait=NOTICE - 1)
    assert yields(node) == []
    with pytest.raises(Rejected):
        node.submit(a_high_job(), buyer=OTHER)
    assert yields(node) == []


def test_an_agents_word_alone_does_not_make_a_job_preempted(node: NodeTwin) -> None:
    lent(node)
    low = node.submit(a_low_job(retry=1))
    node.mine()
    node.seal()
    lease = node.job(low).lease
    assert lease is not None
    lets_go(node, lease)
    assert node.job(low).state is JobState.FAILED


def test_a_job_with_retry_goes_back_to_the_book_and_does_not_drive_its_preemptor_out(node: NodeTwin) -> None:
    lent(node)
    low = node.submit(a_low_job(retry=1))
    node.mine()
    node.seal()
    lease = node.job(low).lease
    assert lease is not None
    high = waits(node, a_high_job(notice=NOTICE))
    lets_go(node, lease)
    assert node.job(low).state is JobState.RESTING
    assert an_address("provider") not in node.job(low).excluded
    node.mine()
    node.seal()
    node.sweep()
    assert node.job(high).state is JobState.STARTING
    assert len(yields(node)) == 1


def test_the_room_is_kept_from_an_order_that_waited_longer(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    earlier = waits(node, a_job(max_rate=RATE, name="earlier"))
    high = waits(node)
    lets_go(node, lease)
    assert node.job(high).state is JobState.OPENING
    assert node.job(earlier).state is JobState.RESTING


def test_several_yield_together_and_the_first_to_go_keeps_its_room_free(node: NodeTwin) -> None:
    lent(node, Quantities(cpu=2_000, memory=2_048, disk=2_048))
    leases = [node.opened(a_low_job()) for _ in range(2)]
    high = waits(node, a_high_job(cpu=2_000, memory=2_048, disk=2_048, max_rate=10 * RATE))
    assert {one.lease for one in yields(node)} == set(leases)
    earlier = node.submit(a_job(max_rate=RATE), wait=1_000)
    lets_go(node, leases[0])
    assert node.job(earlier).state is JobState.RESTING
    assert node.job(high).state is JobState.RESTING
    lets_go(node, leases[1])
    assert node.job(high).state is JobState.OPENING


def test_a_node_that_is_killed_in_between_goes_on_where_it_was(node: NodeTwin) -> None:
    offer = lent(node)
    lease = node.opened(a_low_job())
    high = waits(node)
    node.restart()
    node.beat(offer)
    node.sweep()
    assert len(yields(node)) == 1
    assert len(node.told) > 1
    earlier = node.submit(a_job(max_rate=RATE), wait=1_000)
    lets_go(node, lease)
    assert node.job(high).state is JobState.OPENING
    assert node.job(earlier).state is JobState.RESTING


def test_a_node_that_is_killed_once_the_room_is_free_still_gives_it_to_the_preemptor(node: NodeTwin) -> None:
    offer = lent(node)
    lease = node.opened(a_low_job())
    earlier = waits(node, a_job(max_rate=RATE, name="earlier"))
    high = waits(node)
    node.beat(offer, draining=True)
    lets_go(node, lease)
    assert node.job(high).state is JobState.RESTING
    node.restart()
    node.beat(offer)
    assert node.job(high).state is JobState.OPENING
    assert node.job(earlier).state is JobState.RESTING


def test_a_block_that_comes_twice_changes_nothing(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    node.tell(node.blocks[-1])
    high = waits(node)
    lets_go(node, lease)
    node.tell(node.blocks[-1])
    assert len(yields(node)) == 1
    assert node.job(high).state is JobState.OPENING


def test_a_lease_that_a_reorganisation_undid_and_opened_again_yields_still(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    high = waits(node)
    node.rewind(1)
    node.mine()
    node.seal()
    node.told.clear()
    node.sweep()
    assert [one for _, one in node.told if text(lease) in one]
    lets_go(node, lease)
    assert node.job(high).state is JobState.OPENING


def test_the_room_is_everybodys_once_the_preemptor_is_gone(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    earlier = waits(node, a_job(max_rate=RATE, name="earlier"))
    high = waits(node)
    node.exchange.withdraw(high, node.now)
    lets_go(node, lease)
    assert node.job(earlier).state is JobState.OPENING


def test_an_agent_that_does_not_let_go_in_time_holds_nobody_for_ever(node: NodeTwin) -> None:
    offer = lent(node)
    node.opened(a_low_job())
    high = waits(node)
    node.now += NOTICE + PATIENCE_SECONDS + 1
    node.beat(offer)
    node.sweep()
    assert node.job(high).state is JobState.RESTING
    other = node.lend("other", capacity=WHOLE)
    node.seal()
    node.beat(other, name="other")
    assert node.job(high).state is JobState.OPENING


def test_agents_are_reminded_until_the_lease_is_closed(node: NodeTwin) -> None:
    lent(node)
    lease = node.opened(a_low_job())
    waits(node)
    before = len(node.told)
    node.sweep()
    assert len(node.told) == before + 1
    lets_go(node, lease)
    before = len(node.told)
    node.sweep()
    assert len(node.told) == before
