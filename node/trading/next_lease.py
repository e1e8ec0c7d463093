"""Whether a bid goes on with a running lease of this node: the same job, at most with other resources, for
another price or time. What the lease itself must allow is asked where its receipt is made."""

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import LeaseId, text
from ledger.market.job import Job, same_but_resized
from node.trading.admission import Way, admitted_job


def check_goes_on(queries: Queries, way: Way) -> LeaseRow:
    """The lease that the bid continues; `Rejected` where this node cannot continue it with this job, and
    `LostRace` where the lease was told to yield."""
    name = LeaseId(way.bid.continues)
    previous = queries.lease(name)
    if previous is None or previous.job is None or previous.signed is None:
        raise Rejected(
            "unknown-lease",
            f"The bid continues the lease {text(name)}, which is of no job of this node.",
            "Send the bid to the node that opened the lease.",
        )
    if previous.signed.bid.members > 1 or way.bid.members > 1:
        raise Rejected(
            "gang-goes-on", "A member of a gang cannot be continued.", "Submit the gang again instead."
        )
    assert previous.document is not None
    _check_same_job(admitted_job(queries, previous.document), way.job)
    if previous.yields is not None:
        raise LostRace(
            "lease-yields",
            "The lease was told to yield to a higher bid.",
            "Wait for another place; with retry the job goes back to the book by itself.",
        )
    return previous


def _check_same_job(before: Job, after: Job) -> None:
    if not same_but_resized(before, after):
        raise Rejected(
            "another-job",
            "The document is of another job than the one that runs.",
            "Change only cpu, memory, disk, max_price and max_duration, or submit a new job.",
        )
