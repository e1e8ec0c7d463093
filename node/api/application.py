"""The HTTP application: the routes of each subject, and problem documents for every failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from node.api import (
    accounts,
    agents,
    blobs,
    documentation,
    documents,
    ending,
    epochs,
    events,
    job_output,
    leases,
    market,
    orders,
    problems,
    relay,
    reputation,
    statements,
    usage,
)
from node.api.services import Services
from node.version import VERSION

TITLE = "Bingwang node"
DESCRIPTION = """Who acts signs: the headers `Bingwang-Address`, `-Nonce`, `-Deadline` and `-Signature`
carry an EIP-712 `Request(method,target,bodyHash,nonce,deadline)` for the market of `/v1/market`. Ids are
`0x…` texts, amounts and words decimal texts; every failure is a problem document (RFC 9457) with `code`,
`cause` and `remedy`."""


def application(services: Services) -> FastAPI:
    """One ASGI application over one node's services; `/docs` shows its OpenAPI."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.nudges.attach(asyncio.get_running_loop())
        yield

    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.openapi_version = documentation.OPENAPI_VERSION
    problems.install(app)
    market_wide = (market, reputation, accounts, statements, events, epochs)
    buying = (documents, blobs, orders, ending, job_output, relay)
    for subject in (*market_wide, *buying, leases, usage, agents):
        app.include_router(subject.routes(services))
    app.include_router(documentation.routes(TITLE))
    app.mount(documentation.STATIC, documentation.files())
    return app
