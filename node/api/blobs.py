"""Blobs over HTTP: begin, append at an offset, ask how far it is, read with a range."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from ledger.market.errors import Rejected
from node.api.services import Number, Services, Unknown, body_of
from node.relay.blobs import Progress

_MOST_DIGITS = 16


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["blobs"])

    @router.head("/v1/blobs/{name}")
    def stand(name: str) -> Response:
        """How many bytes are here (`Upload-Offset`) of how many (`Upload-Length`)."""
        try:
            progress = services.blobs.progress(name)
        except Rejected as exc:
            raise Unknown("blob", name) from exc
        return Response(headers=_headers(progress))

    @router.post("/v1/blobs/{name}")
    def begin(request: Request, name: str, size: Number) -> dict[str, int]:
        """Begin an upload, or learn where an earlier one stopped."""
        services.signed_by(request, b"", None, "anybody")
        return {"offset": services.blobs.begin(name, size).offset}

    @router.patch("/v1/blobs/{name}")
    async def append(request: Request, name: str) -> dict[str, int]:
        """Append the body at the header `Upload-Offset`."""
        body = await body_of(request, services.settings.chunk_limit)

        def work() -> dict[str, int]:
            services.signed_by(request, body, None, "anybody")
            given = request.headers.get("upload-offset", "")
            if not (given.isascii() and given.isdecimal() and len(given) <= _MOST_DIGITS):
                raise Rejected(
                    "missing-offset", "Upload-Offset is not a number.", "Send where the chunk starts."
                )
            return {"offset": services.blobs.append(name, int(given), body).offset}

        return await run_in_threadpool(work)

    @router.get("/v1/blobs/{name}")
    def read(request: Request, name: str) -> StreamingResponse:
        """The blob's bytes, from the start of a `Range: bytes=N-` where one is given."""
        services.signed_by(request, b"", None, "anybody")
        path = services.blobs.path(name)
        if path is None:
            raise Unknown("blob", name)
        size = path.stat().st_size
        start = min(_start_of(request.headers.get("range", "")), size)
        chunks: Iterator[bytes] = services.blobs.read(name, start)
        headers = {"Content-Length": str(size - start), "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{max(start, size - 1)}/{size}"
        return StreamingResponse(
            chunks, 206 if start else 200, headers, media_type="application/octet-stream"
        )

    return router


def _headers(progress: Progress) -> dict[str, str]:
    return {"Upload-Offset": str(progress.offset), "Upload-Length": str(progress.size)}


def _start_of(header: str) -> int:
    unit, _, span = header.partition("=")
    first, dash, last = span.partition("-")
    if not header:
        return 0
    well_formed = first.isascii() and first.isdecimal() and len(first) <= _MOST_DIGITS
    if unit != "bytes" or not dash or last or not well_formed:
        raise Rejected("unsupported-range", f"The range {header[:40]!r} is not served.", "Ask for bytes=N-.")
    return int(first)
