"""Documents by hash: whoever holds a hash can fetch and verify what was signed over it."""

import json

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from ledger.chain.documents import canonical, document_hash
from ledger.market.errors import Rejected
from ledger.market.identity import Digest, from_text, text
from node.api.services import Services, Unknown, body_of

DOCUMENT_LIMIT = 64 << 10


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["documents"])

    @router.post("/v1/documents", status_code=201)
    async def keep(request: Request) -> dict[str, str]:
        """Keep a JSON document of at most 64 KiB; answers with the hash of its canonical form."""
        body = await body_of(request, DOCUMENT_LIMIT)
        return await run_in_threadpool(_keep, services, request, body)

    @router.get("/v1/documents/{name}")
    def document(name: str) -> Response:
        """The canonical bytes (RFC 8785) behind a hash."""
        body = services.books.queries.document(Digest(from_text(name, 32)))
        if body is None:
            raise Unknown("document", name)
        return Response(body, media_type="application/json")

    return router


def _keep(services: Services, request: Request, body: bytes) -> dict[str, str]:
    services.signed_by(request, body, None, "anybody")
    try:
        plain = json.loads(body)
    except ValueError as exc:
        raise Rejected("malformed-json", "The document is not JSON.", "Send one JSON object.") from exc
    name = document_hash(plain)
    with services.books.transaction() as unit:
        unit.keep_document(name, canonical(plain))
    return {"hash": text(name)}
