"""Gangs: several leases of one order, opened together or not at all, retried as a whole."""

from collections.abc import Sequence

import pytest

from ledger.chain.outcomes import Outcome
from ledger.market.errors import Rejected
from ledger.market.facts import JobPhase
from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.instructions import OpenGang
from ledger.market.job import Gang, Job
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.outbox import IntentState, TxIntent
from ledger.market.resource import Quantities
from tests.factories import a_job, an_address
from tests.fakes.node_twin import LOST_AFTER, OTHER, STAKE, NodeTwin

PAIR = Quantities(cpu=2_000, memory=2_048, disk=2_048)
"""capacity for two members"""


def a_gang(members: int = 3, *, distinct: bool = False, retry: int = 0) -> Job:
    return a_job(gang=Gang(members=members, distinct=distinct), retry=retry)


def lenders(node: NodeTwin, *names: str, capacity: Quantities = PAIR) -> dict[str, OfferId]:
    """Live providers, the first one the cheapest."""
    offers = {
        name: node.lend(name, capacity=capacity, ask=Quantities(cpu=1_000 + 100 * place))
        for place, name in enumerate(names)
    }
    node.seal()
    beat(node, offers)
    return offers


def beat(node: NodeTwin, offers: dict[str, OfferId]) -> None:
    for name, offer in offers.items():
        node.beat(offer, name=name)


def wishes(node: NodeTwin) -> list[TxIntent]:
    return node.wishes()


def opened(node: NodeTwin, job: Job) -> BidId:
    name = node.submit(job)
    node.mine()
    node.seal()
    return name


def states(node: NodeTwin, leases: Sequence[LeaseId]) -> set[LeaseState]:
    return {node.lease(lease).state for lease in leases}


def free_cores(node: NodeTwin, offer: OfferId) -> int:
    listed = node.exchange.book.offers()
    row = [one.id for one in listed.orders].index(offer)
    return listed.free_of(row).cpu


def test_a_gang_is_one_wish_and_opens_whole(node: NodeTwin) -> None:
    offers = lenders(node, "one", "two")
    job = node.submit(a_gang())

    (wish,) = wishes(node)
    assert isinstance(wish.instruction, OpenGang)
    assert node.job(job).state is JobState.OPENING
    node.mine()
    node.seal()

    row = node.job(job)
    members = [node.lease(lease) for lease in row.members]
    assert [one.terms.member for one in members] == [0, 1, 2]
    assert [one.terms.offer for one in members] == [offers["one"], offers["one"], offers["two"]]
    assert states(node, row.members) == {LeaseState.ACTIVE}
    assert row.state is JobState.STARTING


def test_a_gang_that_does_not_fit_whole_is_refused_whole(node: NodeTwin) -> None:
    lenders(node, "one")
    with pytest.raises(Rejected) as caught:
        node.submit(a_gang())
    assert caught.value.code == "no-match"
    assert "members excludes 1" in caught.value.cause
    assert node.books.queries.leases() == []

    node.submit(a_gang(2))


def test_distinct_members_go_to_distinct_providers(node: NodeTwin) -> None:
    offers = lenders(node, "one", "two")
    with pytest.raises(Rejected):
        node.submit(a_gang(3, distinct=True))
    job = node.submit(a_gang(2, distinct=True))
    assert {node.lease(one).terms.offer for one in node.job(job).leases} == set(offers.values())


def test_all_members_of_a_gang_must_be_paid_for(node: NodeTwin) -> None:
    lenders(node, "one", "two")
    node.deposit(3 * 834 - 1, OTHER.address)
    node.seal()
    with pytest.raises(Rejected) as caught:
        node.submit(a_gang(), buyer=OTHER)
    assert caught.value.facts == {"needed": str(3 * 834), "held": str(3 * 834 - 1)}


def test_a_gang_that_succeeded_whole_has_succeeded(node: NodeTwin) -> None:
    lenders(node, "one", "two")
    job = opened(node, a_gang())
    first, *others = node.job(job).members
    node.say(first, JobPhase.RUNNING)
    assert node.job(job).state is JobState.RUNNING
    node.say(first, JobPhase.SUCCEEDED, 0)
    assert node.job(job).state is JobState.STARTING
    for lease in others:
        node.say(lease, JobPhase.SUCCEEDED, 0)
    assert node.job(job).state is JobState.SUCCEEDED


def test_capacity_of_all_members_is_held_from_plan_to_close(node: NodeTwin) -> None:
    offers = lenders(node, "one")
    job = node.submit(a_gang(2))
    assert free_cores(node, offers["one"]) == 0
    node.mine()
    node.seal()
    for lease in node.job(job).members:
        node.settlement.report(node.used(lease, 1_000, last=True))
    node.mine()
    node.seal()
    assert free_cores(node, offers["one"]) == 2_000


def test_a_skipped_gang_frees_everything_and_is_tried_again_whole(node: NodeTwin) -> None:
    offers = lenders(node, "one")
    job = node.submit(a_gang(2), wait=600)
    (wish,) = wishes(node)
    node.settle(wish, Outcome(intent=wish.id, state=IntentState.FAILED, detail="CAPACITY"))
    node.mine()
    row = node.job(job)
    assert row.state is JobState.RESTING
    assert states(node, row.leases) == {LeaseState.SKIPPED}
    assert free_cores(node, offers["one"]) == 2_000

    node.now += 5
    beat(node, offers)
    node.sweep()
    node.mine()
    node.seal()
    assert states(node, node.job(job).members) == {LeaseState.ACTIVE}
    assert len(node.job(job).leases) == 2


def test_a_retry_replaces_the_whole_gang(node: NodeTwin) -> None:
    offers = lenders(node, "one", "two", "three", capacity=Quantities(cpu=1_000, memory=8_192, disk=8_192))
    job = opened(node, a_gang(2, retry=1))
    first = node.job(job).members
    node.say(first[0], JobPhase.REFUSED)
    terms = node.lease(first[0]).terms
    node.pending += node.model.release(terms.provider, terms)
    node.seal()
    node.say(first[1], JobPhase.RUNNING)
    assert node.job(job).state is JobState.RUNNING

    node.settlement.report(node.used(first[1], 1_000, last=True))
    node.say(first[1], JobPhase.LOST)
    offers["four"] = node.lend("four", capacity=PAIR)
    node.mine()
    node.seal()
    beat(node, offers)

    row = node.job(job)
    assert row.state is JobState.OPENING
    assert {node.lease(lease).attempt for lease in row.members} == {1}
    assert not set(row.members) & set(first)
    assert not {node.lease(lease).terms.provider for lease in row.members} & {
        an_address("one"),
        an_address("two"),
    }


def test_an_opening_that_vanishes_is_wished_again_whole(node: NodeTwin) -> None:
    offers = lenders(node, "one", "two")
    job = opened(node, a_gang())
    members = node.job(job).members
    node.rewind(1)
    assert states(node, members) == {LeaseState.PLANNED}
    (wish,) = wishes(node)
    assert isinstance(wish.instruction, OpenGang)

    node.mine()
    node.seal()
    assert node.job(job).members == members
    assert states(node, members) == {LeaseState.ACTIVE}
    assert free_cores(node, offers["one"]) == 0


def test_a_restart_takes_up_a_gang_that_is_under_way(node: NodeTwin) -> None:
    offers = lenders(node, "one")
    job = node.submit(a_gang(2))
    node.restart()
    beat(node, offers)
    assert free_cores(node, offers["one"]) == 0
    node.mine()
    node.seal()
    assert states(node, node.job(job).members) == {LeaseState.ACTIVE}


def test_a_member_whose_agent_is_lost_is_ended_and_its_peers_decide_with_it(node: NodeTwin) -> None:
    offers = lenders(node, "one", "two")
    job = opened(node, a_gang())
    for _ in range(LOST_AFTER + 1):
        node.now += 1
        node.beat(offers["one"], name="one")
        node.sweep()
    first, second, lost = node.job(job).members
    assert node.lease(lost).agent_lost_at is not None
    for lease in (first, second):
        node.say(lease, JobPhase.SUCCEEDED, 0)
    assert node.job(job).state is JobState.LOST


def test_a_provider_without_stake_gets_nothing_and_planned_leases_hold_it(node: NodeTwin) -> None:
    """A lease of `a_job` locks a tenth of its escrow of 167 at the cheapest ask."""
    offers = lenders(node, "one", capacity=Quantities(cpu=8_000, memory=16_384, disk=16_384))
    node.pending += node.model.request_unstake(an_address("one"), STAKE - 32, node.now)
    node.seal()
    beat(node, offers)
    with pytest.raises(Rejected) as caught:
        node.submit(a_gang())
    assert "members" in caught.value.cause
    node.submit(a_gang(2))
    with pytest.raises(Rejected) as caught:
        node.submit()
    assert "stake" in caught.value.cause


def test_an_estimate_shows_what_each_member_would_get(node: NodeTwin) -> None:
    offers = lenders(node, "one", "two")
    document, attempts = node.signed(a_gang())
    told = node.exchange.estimate(attempts[0].bid, document, node.now)
    members = told["members"]
    assert isinstance(members, list)
    assert [one["domain"] for one in members] == ["lab/berlin"] * 3
    assert [one["offer"] for one in members[:2]] == ["0x" + offers["one"].hex()] * 2
    assert wishes(node) == []
