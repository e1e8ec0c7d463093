"""Whether a bid goes on with a running lease of this node: the same job, at most with other resources, for
another price or time. What the lease itself must allow is asked where its receipt is made."""

import json
from dataclasses import replace

from ledger.books.queries import Queries
from ledger.books.rows import LeaseRow
from ledger.market.errors import LostRace, Rejected
from ledger.market.identity import LeaseId, text
from ledger.market.job import Job, job_from_plain
from node.trading.admission import Way


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
    _check_same_job(_job_of(queries, previous), way.job)
    if previous.yields is not None:
        raise LostRace(
            "lease-yields",
            "The lease was told to yield to a higher bid.",
            "Wait for another place; with retry the job goes back to the book by itself.",
        )
    return previous


def _job_of(queries: Queries, lease: LeaseRow) -> Job:
    assert lease.document is not None
    body = queries.document(lease.document)
    assert body is not None
    return job_from_plain(json.loads(body))


def _check_same_job(before: Job, after: Job) -> None:
    changed = replace(
        after,
        cpu=before.cpu,
        memory=before.memory,
        disk=before.disk,
        max_rate=before.max_rate,
        max_seconds=before.max_seconds,
        retry=before.retry,
        times=before.times,
    )
    if changed != before:
        raise Rejected(
            "another-job",
            "The document is of another job than the one that runs.",
            "Change only cpu, memory, disk, max_price and max_duration, or submit a new job.",
        )
