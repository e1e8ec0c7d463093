"""Many orders written at once leave what the same facts leave one by one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text as sql
from sqlmodel import SQLModel

from ledger.books.books import Books, open_books
from ledger.books.opening import Opening
from ledger.market.errors import Broken
from ledger.market.facts import BidAccepted, LeasePlanned
from ledger.market.job import Job
from node.trading.admission import Order
from node.trading.planning import Attempt, Place, Planner, Prepared
from tests.books_url import fresh_books
from tests.factories import a_job
from tests.fakes.node_twin import BUYER, OTHER, RATE, NodeTwin


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeTwin]:
    twin = NodeTwin(tmp_path, str(tmp_path / "twin.sqlite3"))
    twin.deposit(10_000_000)
    twin.deposit(10_000_000, OTHER.address)
    yield twin
    twin.close()


def openings(node: NodeTwin) -> list[Opening]:
    """Orders of every kind, two in three with a plan."""
    offer = node.lend()
    node.seal()
    row = node.books.queries.offer(offer)
    assert row is not None
    place = Place(offer_id=offer, offer=row.offer, rate=RATE)
    planner = Planner(node.exchange.venue)
    kinds: Sequence[Sequence[Job]] = ([a_job()], [a_job(retry=2)], [a_job(), a_job(cpu=2_000)])
    made = []
    for number in range(9):
        order = node.order_of(kinds[number % 3], (BUYER, OTHER)[number % 2])
        prepared = None
        if number // 3 < 2:
            attempt = Attempt(job=order.id, number=0, signed=order.ways[0].attempts[0])
            prepared = planner.prepare(order.id, attempt, place, node.now)
        made.append(opening(order, prepared, node.now))
    return made


def opening(order: Order, prepared: Prepared | None, at: int) -> Opening:
    first, *others = (way.as_alternative() for way in order.ways)
    accepted = BidAccepted(
        job=order.id,
        document=first.document,
        attempts=first.attempts,
        attempt_ids=first.attempt_ids,
        accepted_at=at,
        wait_until=at + 60,
        alternatives=tuple(others),
        delegate=order.delegate,
    )
    documents = tuple((way.document, way.canonical) for way in order.ways)
    if prepared is None:
        return Opening(accepted=accepted, documents=documents)
    return Opening(accepted=accepted, documents=documents, planned=prepared.fact, key=prepared.key)


def fact_by_fact(books: Books, made: Sequence[Opening]) -> None:
    with books.transaction() as unit:
        for one in made:
            for name, body in one.documents:
                unit.keep_document(name, body)
            unit.record(one.accepted)
            if one.planned is not None:
                unit.record(one.planned)
                unit.wish(one.key, one.planned.wish, one.planned.at)


def everything(books: Books) -> dict[str, list[tuple[object, ...]]]:
    with books.reading() as session:
        return {
            name: sorted((tuple(row) for row in session.execute(sql(f'SELECT * FROM "{name}"'))), key=repr)
            for name in SQLModel.metadata.tables
        }


def test_at_once_is_as_one_by_one_in_every_table(node: NodeTwin, tmp_path: Path, books_kind: str) -> None:
    made = openings(node)
    one, two = tmp_path / "one", tmp_path / "two"
    with (
        fresh_books(books_kind, one) as first_url,
        fresh_books(books_kind, two) as second_url,
        open_books(first_url) as first,
        open_books(second_url) as second,
    ):
        with first.transaction() as unit:
            rows = unit.open_all(made)
        fact_by_fact(second, made)
        assert everything(first) == everything(second)
        assert rows == [first.queries.job(opened.accepted.job) for opened in made]
        before = everything(first)
        first.rebuild()
        assert everything(first) == before


def test_a_bid_that_is_known_undoes_them_all(node: NodeTwin) -> None:
    made = openings(node)
    with node.books.transaction() as unit:
        unit.open_all(made[:1])
    before = node.books.queries.newest_entry()
    with pytest.raises(Broken), node.books.transaction() as unit:
        unit.open_all([made[1], made[0]])
    assert node.books.queries.newest_entry() == before
    assert node.books.queries.job(made[1].accepted.job) is None


def test_a_lease_that_is_known_is_told(node: NodeTwin) -> None:
    made = openings(node)
    with node.books.transaction() as unit:
        unit.open_all(made[:1])
    plans = [one.planned for one in made if one.planned is not None]
    leases = [plan.wish.lease for plan in plans if isinstance(plan, LeasePlanned)]
    with node.books.transaction() as unit:
        assert unit.known_leases(leases) == {leases[0]}
