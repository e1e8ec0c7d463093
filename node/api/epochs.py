"""What the matcher published of its epochs, for anybody who wants to clear them again (`bingwang replay`)."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from ledger.books.bundles import BundleRow
from ledger.market.errors import Rejected
from ledger.market.identity import Digest, from_text, text
from ledger.market.wire import Plain
from matcher.bundle.bencode import encode
from matcher.bundle.epoch import Header, header_of
from matcher.bundle.hash_tree import children
from node.api.services import Number, Services, Unknown

MOST_EPOCHS = 1_000
_AT_ONCE = 256
Page = Annotated[int, Query(ge=1, le=MOST_EPOCHS)]


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["epochs"])
    bundles = services.books.bundles

    @router.get("/v1/epochs")
    def epochs(limit: Page = 100, before: Number | None = None) -> Plain:
        """The newest epochs that matched something, those before number `before` where it is given."""
        return {"epochs": [_view(row) for row in bundles.bundles(limit, before)]}

    @router.get("/v1/epochs/pages/{name}")
    def page(name: str) -> Response:
        """A page of an epoch by its SHA-256, in bencode."""
        body = bundles.page(Digest(from_text(name, 32)))
        if body is None:
            raise Unknown("page", name)
        return Response(body, media_type="application/octet-stream")

    @router.get("/v1/epochs/{root}")
    def epoch(root: str) -> Plain:
        """An epoch by its root: what its header says."""
        row = _row(services, root)
        return _view(row) | {"header": text(row.header)} | _named(header_of(row.root, row.header))

    @router.get("/v1/epochs/{root}/bundle")
    def bundle(root: str) -> Response:
        """The whole epoch as one bencoded list: its header and every page."""
        row = _row(services, root)
        if not row.kept:
            raise Gone(row)
        return StreamingResponse(_pages(services, row), media_type="application/octet-stream")

    return router


class Gone(Rejected):
    """An epoch was published, and its pages are kept no more."""

    http_status = 410

    def __init__(self, row: BundleRow) -> None:
        super().__init__(
            "epoch-gone",
            f"The pages of epoch number {row.seq} are kept no more.",
            "Ask somebody who saved them (replay --save); the header is still here.",
        )


def _row(services: Services, root: str) -> BundleRow:
    row = services.books.bundles.bundle(Digest(from_text(root, 32)))
    if row is None:
        raise Unknown("epoch", root)
    return row


def _view(row: BundleRow) -> Plain:
    return {
        "number": row.seq,
        "root": text(row.root),
        "at": row.at,
        "matches": row.matches,
        "kept": row.kept,
    }


def _named(header: Header) -> Plain:
    return {
        "previous": text(header.previous),
        "block": header.ground.block_number,
        "rules": header.rules,
        "sources": text(header.sources),
        "pages": {
            name: text(getattr(header, name))
            for name in ("offers", "uses", "stakes", "bids", "demand", "matches")
        },
        "result": text(header.result),
    }


def _pages(services: Services, row: BundleRow) -> Iterator[bytes]:
    """The list, page by page: an epoch of a large market has tens of megabytes."""
    header = header_of(row.root, row.header)
    yield b"l" + encode(row.header)
    waiting = [header.matches, header.demand, header.offers, header.uses, header.stakes, header.bids]
    while waiting:
        some, waiting = waiting[-_AT_ONCE:], waiting[:-_AT_ONCE]
        for body in services.books.bundles.pages(some):
            yield encode(body)
            waiting += children(body)
    yield b"e"
