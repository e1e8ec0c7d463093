"""Gangs do not starve, and a reserved start begins at its moment: room is kept, and lent meanwhile."""

from typing import Any

import pytest

from ledger.market.identity import BidId, OfferId
from ledger.market.job import Gang, Job
from ledger.market.job_terms import Times
from ledger.market.lifecycle import JobState
from ledger.market.resource import Quantities
from node.trading.reserving import CLOSING_SECONDS, PATIENCE_SECONDS
from node.trading.resting import INCLUSION_SECONDS
from tests.factories import a_job
from tests.fakes.node_twin import BUYER, OTHER, NodeTwin

TWO = Quantities(cpu=2_000, memory=2_048, disk=2_048)
"""capacity for two jobs of the factories"""
LONG = 3_000


def lent(node: NodeTwin, capacity: Quantities = TWO) -> OfferId:
    for buyer in (BUYER, OTHER):
        node.deposit(10**9, buyer.address)
    offer = node.lend(capacity=capacity)
    node.seal()
    node.beat(offer)
    return offer


def runs(node: NodeTwin, **changes: Any) -> BidId:
    """A job that is matched, mined and observed."""
    name = node.submit(a_job(**changes))
    node.mine()
    node.seal()
    assert node.job(name).state is JobState.STARTING
    return name


def rests(node: NodeTwin, job: Job, wait: int = LONG) -> BidId:
    name = node.submit(job, wait=wait, buyer=OTHER)
    assert node.job(name).state is JobState.RESTING
    return name


def time_passes(node: NodeTwin, offer: OfferId, seconds: int) -> None:
    node.now += seconds
    node.beat(offer)
    node.sweep()


def ends(node: NodeTwin, offer: OfferId, job: BidId) -> None:
    """The job's lease closes with a last receipt."""
    lease = node.job(job).lease
    assert lease is not None
    node.settlement.report(node.used(lease, 1_000, last=True))
    node.mine()
    node.seal()
    node.beat(offer)


def a_pair() -> Job:
    return a_job(name="pair", gang=Gang(members=2))


def test_a_gang_that_waited_long_enough_is_not_passed_by_small_jobs(node: NodeTwin) -> None:
    offer = lent(node)
    first, second = (runs(node, max_seconds=600) for _ in range(2))
    pair = rests(node, a_pair())
    time_passes(node, offer, PATIENCE_SECONDS)
    small = rests(node, a_job(max_seconds=LONG))
    ends(node, offer, first)
    assert node.job(small).state is JobState.RESTING
    ends(node, offer, second)
    assert node.job(pair).state is JobState.OPENING
    assert node.job(small).state is JobState.RESTING


def test_a_gang_that_has_not_waited_long_keeps_nothing_from_others(node: NodeTwin) -> None:
    offer = lent(node)
    first = runs(node, max_seconds=600)
    runs(node, max_seconds=600)
    pair = rests(node, a_pair())
    time_passes(node, offer, PATIENCE_SECONDS - 1)
    small = rests(node, a_job(max_seconds=LONG))
    ends(node, offer, first)
    assert node.job(small).state is JobState.OPENING
    assert node.job(pair).state is JobState.RESTING


@pytest.mark.parametrize(
    ("spare", "state"), [(0, JobState.OPENING), (-1, JobState.RESTING)], ids=["just in time", "too long"]
)
def test_what_ends_before_the_gang_begins_may_have_its_room(
    node: NodeTwin, spare: int, state: JobState
) -> None:
    offer = lent(node)
    first = runs(node, max_seconds=600)
    runs(node, max_seconds=600)
    pair = rests(node, a_pair())
    time_passes(node, offer, PATIENCE_SECONDS)
    left = 600 - PATIENCE_SECONDS - INCLUSION_SECONDS - CLOSING_SECONDS
    small = rests(node, a_job(max_seconds=left - spare))
    ends(node, offer, first)
    assert node.job(small).state is state
    assert node.job(pair).state is JobState.RESTING


def test_room_beside_the_gang_is_everybodys(node: NodeTwin) -> None:
    offer = lent(node, Quantities(cpu=3_000, memory=3_072, disk=3_072))
    jobs = [runs(node, max_seconds=600) for _ in range(3)]
    rests(node, a_pair())
    time_passes(node, offer, PATIENCE_SECONDS)
    small = rests(node, a_job(max_seconds=LONG))
    ends(node, offer, jobs[0])
    assert node.job(small).state is JobState.OPENING


def test_a_node_that_was_killed_keeps_the_gangs_room_all_the_same(node: NodeTwin) -> None:
    offer = lent(node)
    first, second = (runs(node, max_seconds=600) for _ in range(2))
    pair = rests(node, a_pair())
    time_passes(node, offer, PATIENCE_SECONDS)
    small = rests(node, a_job(max_seconds=LONG))
    node.restart()
    node.beat(offer)
    node.sweep()
    ends(node, offer, first)
    assert node.job(small).state is JobState.RESTING
    ends(node, offer, second)
    assert node.job(pair).state is JobState.OPENING


def test_a_gang_that_is_withdrawn_gives_its_room_back(node: NodeTwin) -> None:
    offer = lent(node)
    first = runs(node, max_seconds=600)
    runs(node, max_seconds=600)
    pair = rests(node, a_pair())
    time_passes(node, offer, PATIENCE_SECONDS)
    small = rests(node, a_job(max_seconds=LONG))
    ends(node, offer, first)
    node.exchange.withdraw(pair, node.now)
    time_passes(node, offer, 1)
    assert node.job(small).state is JobState.OPENING


def test_a_reserved_start_begins_at_its_moment_and_others_end_before(node: NodeTwin) -> None:
    offer = lent(node, Quantities(cpu=1_000, memory=1_024, disk=1_024))
    start = node.now + 600
    reserved = rests(node, a_job(name="reserved", times=Times(start_at=start)))
    node.sweep()
    long = rests(node, a_job(max_seconds=600))
    short = node.submit(a_job(max_seconds=400), wait=LONG)
    assert node.job(short).state is JobState.OPENING
    node.mine()
    node.seal()
    ends(node, offer, short)
    assert node.job(long).state is JobState.RESTING
    time_passes(node, offer, 599)
    assert node.job(reserved).state is JobState.RESTING
    time_passes(node, offer, 1)
    assert node.job(reserved).state is JobState.OPENING
    assert node.job(long).state is JobState.RESTING
