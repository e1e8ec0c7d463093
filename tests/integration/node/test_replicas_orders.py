"""Replicas: providers are drawn by a published seed, and equal results decide what came of the job."""

from collections.abc import Mapping
from hashlib import sha256

import pytest

from ledger.market.draw import ranked
from ledger.market.errors import Rejected
from ledger.market.facts import JobPhase
from ledger.market.identity import BidId, Digest, LeaseId, OfferId
from ledger.market.instructions import OpenGang
from ledger.market.job import Gang, Job
from ledger.market.lifecycle import NO_QUORUM, JobState, LeaseState, Verdict
from ledger.market.resource import Quantities
from node.views import job_view
from tests.factories import a_digest, a_job, an_address
from tests.fakes.node_twin import NodeTwin

NAMES = ("ada", "bob", "cai", "dee", "eve")
SALT = a_digest("salt")
SAME, OTHER_RESULT, THIRD = a_digest("result"), a_digest("another"), a_digest("third")


def replicated(members: int = 3, agree: int = 2, retry: int = 0) -> Job:
    return a_job(gang=Gang(members=members, agree=agree), outputs=("out.txt",), retry=retry)


def lenders(node: NodeTwin, *names: str) -> dict[OfferId, str]:
    """Live providers, each in a domain of its own."""
    offers = {node.lend(name, domain=f"{name}/home"): name for name in names}
    node.seal()
    beat(node, offers)
    return offers


def beat(node: NodeTwin, offers: dict[OfferId, str]) -> None:
    for offer, name in offers.items():
        node.beat(offer, name=name)


def opened(node: NodeTwin, job: Job) -> BidId:
    name = node.submit(job)
    node.mine()
    node.seal()
    return name


def show(node: NodeTwin, results: dict[LeaseId, Digest]) -> None:
    """The providers say that they succeeded, commit, and reveal."""
    rows = {lease: node.lease(lease) for lease in results}
    for lease, result in results.items():
        node.say(lease, JobPhase.SUCCEEDED, 0)
        node.pending += node.commit(rows[lease].terms, result, SALT)
    node.seal()
    if len(results) < node_members(node, rows):
        node.now += 600 + 25
    for lease, result in results.items():
        signed = rows[lease].signed
        assert signed is not None
        node.pending += node.reveal(signed, rows[lease].terms, result, SALT)
    node.seal()


def node_members(node: NodeTwin, rows: Mapping[LeaseId, object]) -> int:
    some = node.lease(next(iter(rows))).signed
    assert some is not None
    return some.bid.members


def decide(node: NodeTwin) -> None:
    node.sweep()
    node.mine()
    node.seal()


def test_anybody_can_draw_the_same_providers_again(node: NodeTwin) -> None:
    offers = lenders(node, *NAMES)
    block = node.blocks[-1].block
    job = node.submit(replicated())

    row = node.job(job)
    draw = row.draw
    assert draw is not None
    assert (draw.block_number, draw.block_hash) == (block.number, block.hash)
    assert draw.seed == sha256(job + block.hash).digest()
    assert set(draw.eligible) == set(offers)
    chosen = [node.lease(lease).terms.offer for lease in row.members]
    assert chosen == ranked(draw.seed, draw.eligible)[:3]


def test_the_seed_goes_on_chain_and_into_the_job_view(node: NodeTwin) -> None:
    lenders(node, *NAMES)
    job = node.submit(replicated())
    (wish,) = node.wishes()
    assert isinstance(wish.instruction, OpenGang)
    draw = node.job(job).draw
    assert draw is not None
    assert wish.instruction.seed == draw.seed

    shown = job_view(node.job(job), node.books.queries)["replicas"]
    assert isinstance(shown, dict)
    assert shown["seed"] == "0x" + draw.seed.hex()
    assert shown["block"]["hash"] == "0x" + draw.block_hash.hex()
    assert len(shown["eligible"]) == 5
    assert (shown["members"], shown["agree"], shown["agreed"]) == (3, 2, 0)
    assert [one["verdict"] for one in shown["results"]] == [None] * 3


def test_a_resting_order_is_drawn_by_the_block_at_which_it_is_matched(node: NodeTwin) -> None:
    job = node.submit(replicated(), wait=600)
    for _ in range(3):
        node.seal()
    lenders(node, *NAMES)
    draw = node.job(job).draw
    assert draw is not None
    assert draw.block_hash == node.blocks[-1].block.hash


def test_replicas_need_distinct_domains(node: NodeTwin) -> None:
    for name in NAMES:
        node.beat(node.lend(name, domain="same/home"), name=name)
    node.seal()
    with pytest.raises(Rejected) as caught:
        node.submit(replicated())
    assert "distinct" in caught.value.cause


def test_equal_results_make_the_job_succeed_and_the_other_one_guilty(node: NodeTwin) -> None:
    lenders(node, *NAMES)
    job = opened(node, replicated())
    members = node.job(job).members
    show(node, dict(zip(members, (SAME, OTHER_RESULT, SAME), strict=True)))
    assert node.job(job).state is JobState.SETTLING
    assert node.job(job).code == "comparing-results"

    decide(node)

    row = node.job(job)
    assert row.state is JobState.SUCCEEDED
    assert row.lease == members[0]
    assert [node.lease(one).verdict for one in members] == [Verdict.AGREED, Verdict.GUILTY, Verdict.AGREED]
    assert node.lease(members[1]).state is LeaseState.CLOSED
    shown = job_view(row, node.books.queries)["replicas"]
    assert isinstance(shown, dict)
    assert (shown["agreed"], shown["agreed_result"]) == (2, "0x" + SAME.hex())
    assert [one["verdict"] for one in shown["results"]] == ["agreed", "guilty", "agreed"]
    assert "2 of 3 replicas revealed the same result" in shown["cause"]


def test_different_results_tell_the_buyer_that_the_job_is_not_deterministic(node: NodeTwin) -> None:
    lenders(node, *NAMES)
    job = opened(node, replicated())
    show(node, dict(zip(node.job(job).members, (SAME, OTHER_RESULT, THIRD), strict=True)))
    decide(node)
    row = node.job(job)
    assert (row.state, row.code) == (JobState.FAILED, NO_QUORUM)
    assert "not deterministic" in row.cause
    assert "Nobody was slashed" in row.cause
    shown = job_view(row, node.books.queries)["replicas"]
    assert isinstance(shown, dict)
    assert (shown["agreed"], shown["agreed_result"], shown["cause"]) == (0, None, row.cause)


def test_too_few_results_send_the_job_to_others_where_it_may_be_retried(node: NodeTwin) -> None:
    offers = lenders(node, *NAMES, "fay", "gus")
    job = opened(node, replicated(retry=1))
    first = node.job(job).members
    show(node, {first[0]: SAME})
    node.now += 30
    decide(node)
    assert node.job(job).code == NO_QUORUM
    assert node.job(job).state is JobState.SETTLING
    silent = {node.lease(lease).terms.provider for lease in first[1:]}
    assert node.job(job).excluded == silent

    for _ in range(3):
        node.now += 60
        beat(node, offers)
        decide(node)
    row = node.job(job)
    assert {node.lease(lease).attempt for lease in row.members} == {1}
    assert not silent & {node.lease(lease).terms.provider for lease in row.members}
    assert row.draw is not None
    assert row.draw.seed == sha256(row.attempt_ids[1] + row.draw.block_hash).digest()


def test_a_judgement_that_vanishes_is_forgotten(node: NodeTwin) -> None:
    lenders(node, *NAMES)
    job = opened(node, replicated())
    members = node.job(job).members
    show(node, dict.fromkeys(members, SAME))
    decide(node)
    assert node.job(job).state is JobState.SUCCEEDED
    node.rewind(1)
    assert node.job(job).state is JobState.SETTLING
    assert [node.lease(one).undecided for one in members] == [True] * 3
    assert [node.lease(one).result for one in members] == [SAME] * 3


def test_other_gangs_are_not_replicas(node: NodeTwin) -> None:
    lenders(node, "ada", "bob")
    job = opened(node, a_job(gang=Gang(members=2, distinct=True)))
    assert node.job(job).draw is None
    view = job_view(node.job(job), node.books.queries)
    assert view["replicas"] is None
    assert [one["member"] for one in view["members"]] == [0, 1]  # type: ignore[attr-defined]


def test_a_cheap_provider_is_not_drawn_more_often(node: NodeTwin) -> None:
    """The draw knows no prices: over many bids every provider has its turn."""
    for name in NAMES:
        ask = Quantities(cpu=1_000 if name == "ada" else 4_000)
        capacity = Quantities(cpu=64_000, memory=65_536, disk=65_536)
        offer = node.lend(name, domain=f"{name}/home", ask=ask, capacity=capacity)
        node.beat(offer, name=name)
    node.seal()
    drawn = dict.fromkeys(NAMES, 0)
    for _ in range(12):
        for lease in node.job(node.submit(replicated())).members:
            provider = node.lease(lease).terms.provider
            drawn[next(name for name in NAMES if an_address(name) == provider)] += 1
    assert min(drawn.values()) > 0
    assert max(drawn.values()) < 12
