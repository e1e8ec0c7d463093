"""What a job writes, while it writes it: log bytes in from the agent, server-sent events out to the buyer."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from ledger.books.rows import JobRow
from ledger.market.identity import BidId
from ledger.market.lifecycle import JobState
from ledger.market.wire import Plain
from node.api.services import Number, Services, body_of

KEEP_ALIVE_SECONDS = 15.0
LOOK_SECONDS = 0.5
"""how often a follower looks by itself, should a nudge be lost"""
_WRITES_NO_MORE = (JobState.SETTLING,)


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["logs"])

    @router.put("/v1/leases/{lease}/logs")
    async def append(request: Request, lease: str, offset: Number) -> Plain:
        """Append what the container wrote from `offset`; answers with where to go on."""
        body = await body_of(request, services.settings.chunk_limit)

        def work() -> Plain:
            row = services.lease(lease)
            services.signed_for_provider(request, body, row.terms.provider)
            end = services.logs.append(row.id, offset, body)
            services.nudges.publish(row.job, "log")
            return {"offset": end}

        return await run_in_threadpool(work)

    @router.get("/v1/leases/{lease}/logs/end")
    def end(lease: str) -> Plain:
        """Where the log of a lease ends, for an agent that starts again."""
        return {"offset": services.logs.end(services.lease(lease).id)}

    @router.get("/v1/jobs/{job}/logs")
    async def read(request: Request, job: str, offset: Number = 0, follow: bool = False) -> StreamingResponse:
        """The job's log from a byte offset; with `follow` until the job is over."""
        row = await run_in_threadpool(services.job, job)
        await run_in_threadpool(services.signed_for_buyer, request, b"", row.buyer)
        events = _events(services, row.job, offset, follow=follow)
        return StreamingResponse(events, media_type="text/event-stream")

    return router


async def _events(services: Services, job: BidId, offset: int, *, follow: bool) -> AsyncIterator[str]:
    quiet, lease = 0.0, None
    with services.nudges.subscription(job) as nudges:
        while True:
            row = await run_in_threadpool(services.books.queries.job, job)
            assert row is not None
            if lease is not None and row.lease != lease:
                offset = 0  # another attempt writes a log of its own
            lease = row.lease
            data = (
                b"" if row.lease is None else await run_in_threadpool(services.logs.read, row.lease, offset)
            )
            if data:
                offset, quiet = offset + len(data), 0.0
                chunk = {"offset": offset, "data": base64.b64encode(data).decode()}
                yield f"id: {offset}\ndata: {json.dumps(chunk)}\n\n"
                continue
            if not follow or _over(row):
                over = {"state": row.state.value, "exit_code": row.exit_code}
                yield f"event: end\ndata: {json.dumps(over)}\n\n"
                return
            if quiet >= KEEP_ALIVE_SECONDS:
                quiet = 0.0
                yield ": still here\n\n"
            quiet += await _next(nudges)


def _over(row: JobRow) -> bool:
    """Whether the job writes no more; agents send the whole log before they report the end."""
    return row.state.final or row.state in _WRITES_NO_MORE


async def _next(nudges: asyncio.Queue[str]) -> float:
    try:
        await asyncio.wait_for(nudges.get(), LOOK_SECONDS)
    except TimeoutError:
        return LOOK_SECONDS
    return 0.0
