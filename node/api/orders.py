"""A buyer's calls: an estimate, an order, its jobs, and taking a resting order back."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from ledger.market.errors import Rejected
from ledger.market.identity import Address, from_text, text
from ledger.market.job import Job
from ledger.market.money import escrow_for
from ledger.market.plain import Reader
from ledger.market.wire import Plain, bid_from_plain, signed_bid_from_plain
from node.api.services import Services, body_of, json_of
from node.trading.admission import DOCUMENT_LIMIT, Order, admit
from node.trading.resting import INCLUSION_SECONDS
from node.views import job_view

ORDER_LIMIT = 4 * DOCUMENT_LIMIT
LONGEST_WAIT = 7 * 24 * 3600


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["orders"])

    @router.post("/v1/estimates")
    async def estimate(request: Request) -> Plain:
        """What the order would get now: eligible offers cheapest first, and why each other is out."""
        body = await body_of(request, ORDER_LIMIT)
        return await run_in_threadpool(_estimate, services, body)

    @router.post("/v1/bids", status_code=201)
    async def submit(request: Request) -> Plain:
        """Submit an order: its document, one signed bid an attempt, and how long it may wait."""
        body = await body_of(request, ORDER_LIMIT)
        return await run_in_threadpool(_submit, services, request, body)

    @router.get("/v1/jobs")
    def jobs(buyer: str = "") -> Plain:
        """Jobs in the order of their acceptance, of one buyer or of all."""
        account = Address(from_text(buyer, 20)) if buyer else None
        queries = services.books.queries
        return {"jobs": [job_view(row, queries) for row in queries.jobs(account)]}

    @router.get("/v1/jobs/{job}")
    def job(job: str) -> Plain:
        """One job with its leases and outputs."""
        return job_view(services.job(job), services.books.queries)

    @router.post("/v1/jobs/{job}/withdrawal")
    async def withdraw(request: Request, job: str) -> Plain:
        """Take a resting order out of the book."""
        body = await body_of(request, DOCUMENT_LIMIT)

        def work() -> Plain:
            row = services.job(job)
            services.signed_by(request, body, row.buyer, "the buyer")
            taken = services.exchange.withdraw(row.job, services.now())
            return job_view(taken, services.books.queries)

        return await run_in_threadpool(work)

    return router


def _estimate(services: Services, body: bytes) -> Plain:
    read = Reader(json_of(body), "estimate")
    bid = bid_from_plain(read.get("bid", dict))
    document = read.get("document", dict)
    read.done()
    now = services.now()
    soonest = now + INCLUSION_SECONDS
    bid = replace(bid, valid_until=max(bid.valid_until, soonest), start_by=max(bid.start_by, soonest))
    return services.exchange.estimate(bid, document, now) | {
        "balance": str(services.exchange.free_balance(bid.buyer)),
        "needed": str(escrow_for(bid.limit_rate, bid.duration)),
    }


def _submit(services: Services, request: Request, body: bytes) -> Plain:
    caller = services.signed_by(request, body, None, "anybody")
    read = Reader(json_of(body), "order")
    document = read.get("document", dict)
    attempts = [signed_bid_from_plain(item) for item in read.get("attempts", list)]
    wait = read.get("wait", int, 0)
    read.done()
    if not attempts or not 0 <= wait <= LONGEST_WAIT:
        raise Rejected("malformed-order", "The order has no bid or an impossible wait.", "Sign it again.")
    now = services.now()
    order = admit(services.exchange.domain, document, attempts, services.exchange.address, now)
    if caller != order.bid.buyer:
        raise Rejected("not-the-buyer", f"{text(caller)} is not the bid's buyer.", "Send your own bids.")
    _check_files(services, order)
    row = services.exchange.submit(order, wait, now)
    services.hasten(row)
    return job_view(row, services.books.queries)


def _check_files(services: Services, order: Order) -> None:
    """What the job needs from the node must be here before money moves."""
    job: Job = order.job
    archive = job.image.archive
    if archive and services.blobs.path(archive) is None:
        raise Rejected(
            "image-not-available",
            f"The image archive {archive} of {job.image.reference} is not at this node.",
            "Push it first: bingwang image push.",
        )
    for file in job.inputs:
        path = services.blobs.path(file.sha256)
        if path is None or path.stat().st_size != file.size:
            raise Rejected(
                "input-not-available",
                f"The input {file.path} ({file.sha256}, {file.size} bytes) is not at this node.",
                "Upload it first.",
            )
