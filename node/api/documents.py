"""Documents by hash: who fetches one can verify what was signed over it.

An offer's document is public. A job's holds its command and environment, and its hash is on the chain
for all to see: it is shown to the parties of the job alone.
"""

import json

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from ledger.chain.documents import canonical, document_hash
from ledger.market.delegation import Role
from ledger.market.identity import Address, Digest, from_text, text
from ledger.market.job import KIND
from node.api.authentication import Forbidden
from node.api.services import Services, Unknown, body_of, json_of
from node.trading.admission import DOCUMENT_LIMIT


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["documents"])

    @router.post("/v1/documents", status_code=201)
    async def keep(request: Request) -> dict[str, str]:
        """Keep a JSON document of at most 64 KiB; answers with the hash of its canonical form."""
        body = await body_of(request, DOCUMENT_LIMIT)
        return await run_in_threadpool(_keep, services, request, body)

    @router.get("/v1/documents/{name}")
    def document(request: Request, name: str) -> Response:
        """The canonical bytes (RFC 8785) behind a hash; a job's for its parties and who acts for them."""
        digest = Digest(from_text(name, 32))
        body = services.books.queries.document(digest)
        if body is None:
            raise Unknown("document", name)
        if _is_job(body):
            caller = services.signed_by(request, b"", None, "anybody")
            if not _is_party(services, digest, caller):
                raise Forbidden(caller, "a party of the job")
        return Response(body, media_type="application/json")

    return router


def _is_party(services: Services, digest: Digest, caller: Address) -> bool:
    """Whether the caller is one, or acts for one."""
    parties, now = services.books.queries.parties(digest), services.now()
    if caller in parties:
        return True
    return any(services.delegates.may(role, party, caller, now) for party in parties for role in Role)


def _is_job(body: bytes) -> bool:
    plain = json.loads(body)
    return isinstance(plain, dict) and plain.get("kind") == KIND


def _keep(services: Services, request: Request, body: bytes) -> dict[str, str]:
    services.signed_by(request, body, None, "anybody")
    plain = json_of(body)
    name = document_hash(plain)
    with services.books.transaction() as unit:
        unit.keep_document(name, canonical(plain))
    return {"hash": text(name)}
