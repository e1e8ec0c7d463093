"""The contract's events as this node followed them, for explorers: by number, and as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from ledger.market.wire import Plain
from node.api.services import Number, Services
from node.views import event_view

MOST = 1000
LOOK_SECONDS = 2.0
TOPIC = "events"


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["events"])

    @router.get("/v1/events")
    def events(after: Number = 0, limit: Number = 100) -> Plain:
        """Events numbered above `after`, oldest first; `next` is where to go on."""
        rows = services.books.queries.events(after, max(1, min(limit, MOST)))
        return {"events": [event_view(row) for row in rows], "next": rows[-1].seq if rows else after}

    @router.get("/v1/events/stream")
    def stream(after: Number = 0) -> StreamingResponse:
        """The same as server-sent events, as they are observed."""
        return StreamingResponse(_stream(services, after), media_type="text/event-stream")

    return router


async def _stream(services: Services, after: int) -> AsyncIterator[str]:
    with services.nudges.subscription(TOPIC) as nudges:
        while True:
            rows = await run_in_threadpool(services.books.queries.events, after, MOST)
            for row in rows:
                after = row.seq
                yield f"id: {row.seq}\nevent: {row.name}\ndata: {json.dumps(event_view(row))}\n\n"
            if not rows:
                try:
                    await asyncio.wait_for(nudges.get(), LOOK_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
