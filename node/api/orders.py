"""A buyer's calls: an estimate, an order, its jobs, and taking a resting order back."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from ledger.market.bid import Bid
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Address, LeaseId, from_text, text
from ledger.market.job import Job
from ledger.market.job_terms import MOST_WAIT
from ledger.market.money import escrow_for
from ledger.market.plain import Reader
from ledger.market.receipt import SignedReceipt
from ledger.market.wire import Plain, bid_from_plain, signed_bid_from_plain, signed_receipt_from_plain
from node.api.services import Services, body_of, json_of
from node.trading.admission import DOCUMENT_LIMIT, MOST_ALTERNATIVES, Order, Proposal, admit
from node.trading.resting import INCLUSION_SECONDS
from node.views import job_view

ORDER_LIMIT = 4 * MOST_ALTERNATIVES * DOCUMENT_LIMIT


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["orders"])

    @router.post("/v1/estimates")
    async def estimate(request: Request) -> Plain:
        """What the order would get now: eligible offers cheapest first, why each other is out, and what each
        member would get; the same for each of its alternatives."""
        body = await body_of(request, ORDER_LIMIT)
        return await run_in_threadpool(_estimate, services, body)

    @router.post("/v1/bids", status_code=201)
    async def submit(request: Request) -> Plain:
        """Submit an order: its document, one signed bid an attempt, how long it may wait, and alternatives
        of the same nonces, of which one is opened. A bid that continues a lease is opened at once and stays
        in that lease's job; where its signer is not the node, `receipt` is the lease's last one."""
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
        """One job with its leases, members, replicas and outputs."""
        return job_view(services.job(job), services.books.queries)

    @router.get("/v1/jobs/{job}/explanation")
    def explanation(job: str) -> Plain:
        """Why an order that rests finds nothing now: what excludes which offers, and the cheapest changes
        that would make it match; the same for each of its alternatives."""
        return services.exchange.explained(services.job(job).job, services.now())

    @router.post("/v1/jobs/{job}/withdrawal")
    async def withdraw(request: Request, job: str) -> Plain:
        """Take a resting order out of the book."""
        body = await body_of(request, DOCUMENT_LIMIT)

        def work() -> Plain:
            row = services.job(job)
            services.signed_for_buyer(request, body, row.buyer)
            taken = services.exchange.withdraw(row.job, services.now())
            return job_view(taken, services.books.queries)

        return await run_in_threadpool(work)

    return router


def _estimate(services: Services, body: bytes) -> Plain:
    read = Reader(json_of(body), "estimate")
    bid, document = bid_from_plain(read.get("bid", dict)), read.get("document", dict)
    others = [_estimated(item) for item in _listed(read)]
    read.done()
    shown = _answer(services, bid, document)
    if not others:
        return shown
    return shown | {"alternatives": [_answer(services, *other) for other in others]}


def _listed(read: Reader) -> list[object]:
    """The further alternatives of a request."""
    items: list[object] = read.get("alternatives", list, [])
    if len(items) >= MOST_ALTERNATIVES:
        raise Rejected(
            "alternatives-count",
            f"The order has {1 + len(items)} alternatives.",
            f"Send 1 to {MOST_ALTERNATIVES}.",
        )
    return items


def _estimated(plain: object) -> tuple[Bid, object]:
    read = Reader(plain, "alternative")
    bid, document = bid_from_plain(read.get("bid", dict)), read.get("document", dict)
    read.done()
    return bid, document


def _answer(services: Services, bid: Bid, document: object) -> Plain:
    now = services.now()
    soonest = now + INCLUSION_SECONDS
    bid = replace(bid, valid_until=max(bid.valid_until, soonest), start_by=max(bid.start_by, soonest))
    return services.exchange.estimate(bid, document, now) | {
        "balance": str(services.exchange.free_balance(bid.buyer)),
        "needed": str(bid.members * escrow_for(bid.limit_rate, bid.duration)),
    }


def _submit(services: Services, request: Request, body: bytes) -> Plain:
    caller = services.signed_by(request, body, None, "anybody")
    read = Reader(json_of(body), "order")
    proposals = [_proposal(read)]
    for item in _listed(read):
        other = Reader(item, "alternative")
        proposals.append(_proposal(other))
        other.done()
    wait = read.get("wait", int, 0)
    plain_receipt = read.get("receipt", dict, {})
    read.done()
    if not all(one.attempts for one in proposals) or not 0 <= wait <= MOST_WAIT:
        raise Rejected("malformed-order", "The order has no bid or an impossible wait.", "Sign it again.")
    now = services.now()
    order = admit(services.exchange.venue.domain, proposals, services.exchange.venue.address, now)
    if not services.delegates.may(Role.SPEND, order.bid.buyer, caller, now):
        raise Rejected(
            "not-the-buyer",
            f"{text(caller)} is not the bid's buyer, nor may it spend for the buyer.",
            "Send your own bids.",
        )
    _check_files(services, order)
    services.check_chain()
    row = services.exchange.submit(order, wait, now, _last_receipt(order, plain_receipt))
    services.hasten(row)
    return job_view(row, services.books.queries)


def _proposal(read: Reader) -> Proposal:
    document = read.get("document", dict)
    attempts = tuple(signed_bid_from_plain(item) for item in read.get("attempts", list))
    return Proposal(document=document, attempts=attempts)


def _last_receipt(order: Order, plain: object) -> SignedReceipt | None:
    """The last receipt of the lease that the order continues, where its signer sent one."""
    if not plain:
        return None
    if order.bid.continues == NO_DIGEST:
        raise Rejected(
            "receipt-without-lease", "The bid continues no lease.", "Send a receipt with such a bid alone."
        )
    return signed_receipt_from_plain(LeaseId(order.bid.continues), plain)


def _check_files(services: Services, order: Order) -> None:
    """What the job needs from the node must be here before money moves; a job that goes on has it."""
    if order.bid.continues == NO_DIGEST:
        for way in order.ways:
            _check_files_of(services, way.job)


def _check_files_of(services: Services, job: Job) -> None:
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
