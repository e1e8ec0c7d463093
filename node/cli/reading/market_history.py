"""A node's recorded history as a scenario: the bids that it accepted, at the times at which it did, on the
offers that its books know, each from the beginning of the time looked at until it ends.

When an agent answered is in no book, so every offer counts as live; leases run as long as they really did.
"""

from collections.abc import Iterator
from pathlib import Path

from ledger.books.books import Books, open_books
from ledger.books.queries import Queries
from ledger.books.rows import JobRow
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, text
from matcher.simulation.scenario import Arrival, Listing
from node.cli.reading.market_orders import Files
from node.trading.admission import MOST_ALTERNATIVES, admitted_job
from node.trading.bid_orders import Queued, bid_order, offer_order
from node.trading.standing_book import known_document

_BOOKS = "books.sqlite3"


def read_history(url: str, since: int, until: int) -> Files:
    """What the books at `url` (a database's address, its file, or the node's folder) recorded of bids that
    came from `since` to before `until`, in seconds since 1970."""
    with _opened(url) as books:
        queries = books.queries
        models: dict[int, str] = {0: "cpu"}
        listings = tuple(_listings(queries, since, models))
        arrivals = tuple(_arrivals(queries, since, until))
        stakes = {provider: stake.free + stake.locked for provider, stake in queries.stakes().items()}
    return Files(listings=listings, arrivals=arrivals, models=models, stakes=stakes)


def _opened(url: str) -> Books:
    """Books that are there already: to look at some is no reason to make any."""
    path = Path(url)
    path = path / _BOOKS if path.is_dir() else path
    if "://" not in url and not path.is_file():
        raise Rejected("books-not-found", f"There is no database {path}.", "Give the node's database.")
    return open_books(url if "://" in url else str(path))


def _listings(queries: Queries, since: int, models: dict[int, str]) -> Iterator[Listing]:
    for row in queries.offers():
        document = known_document(queries, row)
        if document is not None and row.offer.valid_until > since:
            if document.accelerators is not None:
                models.setdefault(row.offer.traits.model, document.accelerators.model)
            order = offer_order(row.id, row.offer, document, 0)
            yield Listing(order=order, since=since, until=row.offer.valid_until)


def _arrivals(queries: Queries, since: int, until: int) -> Iterator[Arrival]:
    for row in queries.jobs():
        if since <= row.accepted_at < until and row.bid.continues == NO_DIGEST:
            yield _arrival(queries, row)


def _arrival(queries: Queries, row: JobRow) -> Arrival:
    ways = []
    for place, way in enumerate(row.ways):
        job = admitted_job(queries, way.document)
        queued = Queued(
            job=row.job,
            sequence=row.sequence * MOST_ALTERNATIVES + place,
            arrived_at=row.accepted_at,
            seed=row.draw.seed if row.draw else row.job,
        )
        ways.append(bid_order(way.attempt_ids[0], way.attempts[0].bid, job, queued))
    return Arrival(
        name=text(row.job)[:12],
        ways=tuple(ways),
        rests_until=max(row.wait_until, row.accepted_at),
        runs=_seconds_run(queries, row),
    )


def _seconds_run(queries: Queries, row: JobRow) -> int:
    """How long the job's last lease stood open, its whole duration where that is not known."""
    lease = queries.lease(row.lease) if row.lease else None
    if lease is None or lease.ended_after is None:
        return row.bid.duration
    return min(max(1, lease.ended_after), row.bid.duration)
