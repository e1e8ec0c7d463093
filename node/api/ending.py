"""Ending a job without a transaction, for buyers that have no coin: the node, as the signer, ends it."""

import json

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from ledger.books.rows import JobRow, LeaseRow
from ledger.market.errors import LostRace
from ledger.market.identity import text
from ledger.market.lifecycle import JobState, LeaseState
from ledger.market.wire import Plain
from node.api.services import Services, body_of
from node.trading.admission import DOCUMENT_LIMIT
from node.views import job_view


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["orders"])

    @router.post("/v1/jobs/{job}/end")
    async def end(request: Request, job: str) -> Plain:
        """End the job's open leases at what was reported, where the node is their signer; a resting order
        leaves the book. The unused rest of the escrow comes back."""
        body = await body_of(request, DOCUMENT_LIMIT)

        def work() -> Plain:
            row = services.job(job)
            services.signed_for_buyer(request, body, row.buyer)
            return job_view(_end(services, row), services.books.queries)

        return await run_in_threadpool(work)

    return router


def _end(services: Services, row: JobRow) -> JobRow:
    if row.state is JobState.RESTING:
        return services.exchange.withdraw(row.job, services.now())
    open_leases = services.books.queries.leases(job=row.job, states=(LeaseState.ACTIVE,))
    if not open_leases:
        raise LostRace(
            "nothing-to-end",
            f"The job is {row.state.value} and has no open lease.",
            "Look at the job again in a moment.",
        )
    services.settlement.end(row, open_leases, services.now())
    for lease in open_leases:
        _nudge(services, lease)
    return services.job(text(row.job))


def _nudge(services: Services, lease: LeaseRow) -> None:
    """Have the lease's agent look at the chain at once."""
    message = json.dumps({"kind": "lease", "lease": text(lease.id)})
    services.nudges.publish(lease.terms.provider, message)
