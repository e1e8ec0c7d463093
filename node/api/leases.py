"""An agent's and a signer's calls: leases, usage reports, co-signed receipts, job reports."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from ledger.market.errors import Rejected
from ledger.market.facts import JobPhase, JobReported, OutputFile, UsageReported
from ledger.market.identity import Address, Digest, LeaseId, from_text
from ledger.market.job import check_path
from ledger.market.lifecycle import LeaseState
from ledger.market.plain import Reader
from ledger.market.ranges import unsigned
from ledger.market.wire import Plain, hexed, signed_receipt_from_plain, signed_receipt_to_plain
from node.api.services import Services, body_of, json_of
from node.trading.usage_lines import lines_held
from node.views import lease_view, usage_view

REPORT_LIMIT = 1 << 20
_MOST_EXIT_CODE = (1 << 32) - 1
_STATES = {True: (LeaseState.PLANNED, LeaseState.ACTIVE), False: ()}


def routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["leases"])

    @router.get("/v1/leases")
    def leases(provider: str = "", signer: str = "", open: bool = False) -> Plain:
        """Leases of a provider or a signer, or all; `open` leaves out the closed ones."""
        rows = services.books.queries.leases(
            provider=Address(from_text(provider, 20)) if provider else None,
            signer=Address(from_text(signer, 20)) if signer else None,
            states=_STATES[open],
        )
        return {"leases": [lease_view(row) for row in rows]}

    @router.get("/v1/leases/{lease}")
    def lease(lease: str) -> Plain:
        """One lease: terms, signed bid, money, usage, receipt, transactions."""
        return lease_view(services.lease(lease))

    @router.post("/v1/leases/{lease}/usage")
    async def report_usage(request: Request, lease: str) -> Plain:
        """The agent's next usage line; answers with the co-signed receipt where the node signs, and with how
        many lines of the lease the node holds."""
        body = await body_of(request, REPORT_LIMIT)
        return await run_in_threadpool(_report_usage, services, request, lease, body)

    @router.get("/v1/leases/{lease}/usage")
    def pending_usage(request: Request, lease: str) -> Plain:
        """The latest report, for the bid's signer to co-sign."""
        row = services.lease(lease)
        services.signed_by(request, b"", row.terms.signer, "the lease's signer")
        return {"usage": None if row.usage is None else usage_view(row.usage)}

    @router.post("/v1/leases/{lease}/receipts", status_code=201)
    async def accept_receipt(request: Request, lease: str) -> Plain:
        """A receipt signed by the lease's signer elsewhere; the signature decides, not the caller."""
        body = await body_of(request, REPORT_LIMIT)

        def work() -> Plain:
            row = services.lease(lease)
            signed = signed_receipt_from_plain(row.id, json_of(body))
            services.settlement.accept(signed, services.now())
            return {"receipt": signed_receipt_to_plain(signed)}

        return await run_in_threadpool(work)

    @router.post("/v1/leases/{lease}/reports", status_code=201)
    async def report_phase(request: Request, lease: str) -> Plain:
        """The agent's word on its job: the phase, and at the end the exit code and the outputs."""
        body = await body_of(request, REPORT_LIMIT)

        def work() -> Plain:
            row = services.lease(lease)
            services.signed_for_provider(request, body, row.terms.provider)
            fact = _report(services, row.id, json_of(body))
            services.exchange.report(fact)
            return {"phase": fact.phase.value}

        return await run_in_threadpool(work)

    return router


def _report_usage(services: Services, request: Request, lease: str, body: bytes) -> Plain:
    row = services.lease(lease)
    services.signed_for_provider(request, body, row.terms.provider)
    read = Reader(json_of(body), "usage")
    fact = UsageReported(
        lease=row.id,
        milliseconds=_count(read, "milliseconds"),
        cpu_ns=_count(read, "cpu_ns"),
        peak_bytes=_count(read, "peak_bytes"),
        evidence=Digest(hexed(read, "evidence", 32)),
        last=read.get("last", bool),
        at=services.now(),
        sequence=_count(read, "sequence"),
    )
    read.done()
    signed = services.settlement.report(fact)
    receipt = None if signed is None else signed_receipt_to_plain(signed)
    return {"receipt": receipt, "lines": lines_held(services.lease(lease))}


def _count(read: Reader, key: str) -> int:
    value: int = read.get(key, int)
    unsigned(key, value, 63)
    return value


def _exit_code(read: Reader) -> int | None:
    code: int | None = read.maybe("exit_code", int)
    if code is not None and not -_MOST_EXIT_CODE <= code <= _MOST_EXIT_CODE:
        raise Rejected("field-out-of-range", f"exit_code is {code}.", "Give the process's exit code.")
    return code


def _report(services: Services, lease: LeaseId, plain: object) -> JobReported:
    read = Reader(plain, "report")
    phase = read.get("phase", str)
    if phase not in list(JobPhase):
        raise Rejected("unknown-phase", f"There is no phase {phase!r}.", f"Use one of {', '.join(JobPhase)}.")
    outputs = tuple(_output(services, item) for item in read.get("outputs", list, []))
    fact = JobReported(
        lease=lease,
        phase=JobPhase(phase),
        exit_code=_exit_code(read),
        code=read.get("code", str, "")[:100],
        cause=read.get("cause", str, "")[:2000],
        outputs=outputs,
        at=services.now(),
    )
    read.done()
    return fact


def _output(services: Services, plain: object) -> OutputFile:
    read = Reader(plain, "outputs")
    file = OutputFile(path=read.get("path", str), sha256=read.get("sha256", str), size=read.get("size", int))
    read.done()
    check_path(file.path)
    path = services.blobs.path(file.sha256)
    if path is None or path.stat().st_size != file.size:
        raise Rejected(
            "output-not-uploaded",
            f"The output {file.path} ({file.sha256}, {file.size} bytes) is not at this node.",
            "Upload it before the report.",
        )
    return file
