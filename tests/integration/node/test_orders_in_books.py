"""Gangs, replicas, alternatives and continued leases in the books: replayed, they are what was recorded,
and every figure is the chain's."""

from collections.abc import Callable

import pytest

from ledger.books.compare import compare
from ledger.books.rows import JobRow, LeaseRow
from ledger.chain.keyring import keyring
from ledger.market.facts import JobPhase
from ledger.market.identity import Digest
from ledger.market.job import Gang
from node.exchange import Exchange
from node.trading.continuing import Continuing
from tests.factories import a_digest, a_job, an_address
from tests.fakes.node_twin import DOMAIN, NODE, NodeTwin


def lend(node: NodeTwin) -> None:
    for name in ("ada", "bob", "cai"):
        node.beat(node.lend(name, domain=f"{name}/home"), name=name)
    node.seal()


def gang(node: NodeTwin) -> None:
    node.opened(a_job(gang=Gang(members=3, distinct=True)))


def alternatives(node: NodeTwin) -> None:
    node.exchange.submit(node.order_of([a_job(cpu=64_000), a_job()]), 0, node.now)
    node.mine()
    node.seal()


def replicas(node: NodeTwin) -> None:
    lease = node.opened(a_job(gang=Gang(members=3, agree=2), outputs=("out",)))
    job = node.lease(lease).job
    assert job is not None
    rows = [node.lease(member) for member in node.job(job).members]
    salt = a_digest("salt")
    results = [a_digest(one) for one in ("same", "same", "other")]
    for row, result in zip(rows, results, strict=True):
        node.pending += node.commit(row.terms, result, salt)
    for row, result in zip(rows, results, strict=True):
        assert row.signed is not None
        node.pending += node.reveal(row.signed, row.terms, result, salt)
    node.seal()
    node.sweep()
    node.mine()
    node.seal()


def continuation(node: NodeTwin) -> None:
    lease = node.opened()
    node.say(lease, JobPhase.RUNNING)
    node.now += 10
    node.settlement.report(node.used(lease, 10_000))
    node.exchange.submit(node.order(a_job(max_seconds=900), continues=Digest(lease)), 0, node.now)
    node.mine()
    node.seal()


@pytest.mark.parametrize("story", [gang, alternatives, replicas, continuation])
def test_a_replay_of_the_journal_makes_the_same_rows(
    node: NodeTwin, story: Callable[[NodeTwin], None]
) -> None:
    lend(node)
    story(node)
    before = rows_of(node)
    node.books.rebuild()
    assert rows_of(node) == before
    assert compare(node.books, node.model.state) == []


@pytest.mark.parametrize("story", [gang, alternatives, replicas, continuation])
def test_a_block_that_vanishes_and_comes_back_changes_nothing(
    node: NodeTwin, story: Callable[[NodeTwin], None]
) -> None:
    lend(node)
    story(node)
    before = rows_of(node)
    again = node.blocks[-1]
    node.rewind(1)
    for logged in again.events:
        node.model.state.apply(logged.event)
    node.blocks.append(again)
    node.tell(again)
    assert [(row.state, row.lease, row.members) for row in rows_of(node)[0]] == [
        (row.state, row.lease, row.members) for row in before[0]
    ]
    assert compare(node.books, node.model.state) == []


def rows_of(node: NodeTwin) -> tuple[list[JobRow], list[LeaseRow]]:
    return node.books.queries.jobs(), node.books.queries.leases()


def test_a_provider_below_the_jobs_reputation_gets_nothing(node: NodeTwin) -> None:
    known = {an_address("ada"): 700, an_address("bob"): 701}
    node.exchange = Exchange(
        node.books,
        node,
        node.exchange.venue,
        node.presence,
        Continuing(DOMAIN, keyring(NODE)),
        lambda provider, _at: known.get(provider, 0),
    )
    lend(node)
    job = node.submit(a_job(min_reputation=701))
    assert node.lease(node.job(job).leases[0]).terms.provider == an_address("bob")
    known[an_address("ada")] = 900
    node.exchange.clear_round(node.now)
    wanted = a_job(min_reputation=800)
    assert node.lease(node.job(node.submit(wanted)).leases[0]).terms.provider == an_address("ada")
