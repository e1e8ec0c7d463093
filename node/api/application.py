"""The HTTP application: the routes of each subject, and problem documents for every failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from node.api import agents, blobs, documents, events, job_output, leases, market, orders, problems
from node.api.services import Services
from node.version import VERSION


def application(services: Services) -> FastAPI:
    """One ASGI application over one node's services; `/docs` shows its OpenAPI."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.nudges.attach(asyncio.get_running_loop())
        yield

    app = FastAPI(title="Bingwang node", version=VERSION, lifespan=lifespan)
    problems.install(app)
    for subject in (market, documents, blobs, orders, job_output, leases, events, agents):
        app.include_router(subject.routes(services))
    return app
