"""Carries out the machine's instructions on engine, node and chain, and tells the machine what came of it.

Nothing is decided here. An instruction that fails for want of a part that is away answers nothing: the
machine asks for it again; one that can never succeed answers the stimulus that says so.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from ledger.chain.documents import document_hash
from ledger.chain.typed_data import Domain, bid_id, lease_id, model_tag, result_hash
from ledger.market.errors import LostRace, MarketError, Rejected, Unavailable
from ledger.market.facts import JobPhase
from ledger.market.identity import Digest, LeaseId, text
from ledger.market.job import Job, job_from_plain
from provider_agent.connections.links import Links
from provider_agent.connections.log_shipping import LogShipping
from provider_agent.connections.node_client import JobReport
from provider_agent.lifecycle.instructions import (
    AskContract,
    AskJury,
    Attach,
    Claim,
    Cleanup,
    CollectOutputs,
    Commit,
    CreateContainer,
    Decide,
    Detach,
    FetchDocument,
    Finalize,
    HashOutputs,
    Instruction,
    Observe,
    Prepare,
    Release,
    ReportPhase,
    ReportUsage,
    Resize,
    Reveal,
    Settle,
    StartContainer,
    StopContainer,
    Warn,
)
from provider_agent.lifecycle.lease_state import MS, Ending, Stage
from provider_agent.lifecycle.stimuli import (
    Cleaned,
    ContainerCreated,
    ContainerObserved,
    Disowned,
    DocumentJudged,
    LeaseStands,
    Observed,
    OutputsCollected,
    PhaseReported,
    PreparationFailed,
    Prepared,
    ReceiptReceived,
    Resized,
    ResultHashed,
    Stimulus,
    UsageTaken,
    Warned,
)
from provider_agent.offers.allocation import Allocation
from provider_agent.offers.rules import Candidate, OwnersRules, judge
from provider_agent.runtimes.base import ContainerState, Phase, Runtime
from provider_agent.state_store import Sample
from provider_agent.work.chain_effects import ChainEffects
from provider_agent.work.job_files import JobFiles
from provider_agent.work.usage_reports import Metered, UsageReports

_log = logging.getLogger(__name__)
_NOT_FOUND = 404
_WATCH_S = 2.0
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the effects act on."""

    domain: Domain
    rules: OwnersRules
    links: Links
    runtime: Runtime
    files: JobFiles
    logs: LogShipping
    chain: ChainEffects
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How effects speak with the agent: `allocation` is asked, the others are told."""

    allocation: Allocation
    feed: Callable[[LeaseId, Stimulus], None]
    failed: Callable[[str, MarketError], None]


class Effects:
    """Performs instructions; each call ends by feeding what it learned."""

    def __init__(self, around: Surroundings, answers: Answers) -> None:
        self._around = around
        self._answers = answers
        self._usage = UsageReports(around.links.store.usage_lines, around.links.node)
        self._watching: dict[LeaseId, asyncio.Task[None]] = {}

    async def perform(self, lease: LeaseId, instruction: Instruction) -> None:
        """Do it and feed the answer; never raises."""
        try:
            stimulus = await self._do(lease, instruction)
        except MarketError as exc:
            _log.debug("%s %s: %s", text(lease)[:10], type(instruction).__name__, exc)
            self._answers.failed(type(instruction).__name__, exc)
            stimulus = await self._after_failure(lease, instruction, exc)
        except Exception:
            _log.exception("%s %s failed", text(lease)[:10], type(instruction).__name__)
            await asyncio.sleep(_AGAIN_S)
            return
        if stimulus is not None:
            self._answers.feed(lease, stimulus)

    def stop(self) -> None:
        """Stop watching and shipping; what runs goes on running."""
        for task in self._watching.values():
            task.cancel()
        self._around.logs.stop()

    async def sample(self, lease: LeaseId) -> Sample:
        """Look at a job's counters, and keep the highest."""
        found = await asyncio.to_thread(self._around.runtime.usage, self._container(lease))
        if found is not None:
            seen = Sample(cpu_ns=found.cpu_ns, peak_bytes=found.memory_peak_bytes)
            self._around.links.store.keep_sample(lease, seen)
        return self._around.links.store.sample(lease)

    def _now(self) -> int:
        return int(self._around.clock() * MS)

    async def _do(self, lease: LeaseId, instruction: Instruction) -> Stimulus | None:
        around = self._around
        match instruction:
            case FetchDocument():
                return await self._fetch(lease)
            case Prepare():
                images = self._answers.allocation.images()
                await around.files.prepare(self._container(lease), self._job(lease), images)
                return Prepared(at=self._now())
            case CreateContainer():
                return await self._create(lease)
            case StartContainer():
                return self._saw(await asyncio.to_thread(around.runtime.start, self._container(lease)))
            case Observe():
                return await self._look(lease)
            case Attach():
                self._attach(lease)
            case StopContainer(grace=grace):
                return await self._stop(lease, grace)
            case Warn():
                await asyncio.to_thread(around.runtime.warn, self._container(lease))
                return Warned(at=self._now())
            case ReportUsage(milliseconds=milliseconds, last=False):
                return await self._report_running(lease, milliseconds)
            case ReportUsage(milliseconds=milliseconds):
                return await self._report_usage(lease, milliseconds, last=True)
            case CollectOutputs():
                return await self._collect(lease)
            case ReportPhase(phase=phase):
                return await self._report_phase(lease, phase)
            case HashOutputs():
                return await self._hash(lease)
            case Resize():
                return await self._resize(lease)
            case Detach():
                self._detach(lease)
            case Settle() | Release() | Claim() | Finalize() | Commit() | Reveal() | Decide():
                await around.chain.wish(lease, instruction)
            case AskJury():
                return await around.chain.ask_jury(lease, self._now())
            case AskContract():
                found = await asyncio.to_thread(around.links.chain.lease_of, lease)
                return LeaseStands(at=self._now()) if found else None
            case Cleanup():
                return await self._clean(lease)
            case _ as never:
                assert_never(never)
        return None

    async def _after_failure(
        self, lease: LeaseId, instruction: Instruction, exc: MarketError
    ) -> Stimulus | None:
        """What a failure means to the machine; None where trying again is all that there is."""
        at, why = self._now(), Ending(code=exc.code, cause=exc.cause)
        unknown = exc.facts.get("http_status") == _NOT_FOUND
        match instruction, exc:
            case FetchDocument(), Rejected():
                return DocumentJudged(at=at, refusal=why)
            case (CreateContainer(), LostRace()) | (StartContainer(), _):
                return await self._look_if_possible(lease)
            case ((Prepare() | CreateContainer()), Rejected()):
                return PreparationFailed(at=at, why=why)
            case Resize(), Rejected() | Unavailable(code="engine-failed"):
                # The kernel does not take away memory that is in use, and the engine calls that its failure.
                return Resized(at=at, remark=why)
            case ReportUsage(), LostRace(code="lease-ended"):
                # A node that lags behind the chain says otherwise; only this word is final.
                return Disowned(at=at, why=why)
            case ReportPhase(phase=phase), (Rejected() | LostRace()) if not unknown:
                return PhaseReported(at=at, phase=phase)
            case _:
                return None

    def _container(self, lease: LeaseId) -> LeaseId:
        return self._answers.allocation.state(lease).container

    def _job(self, lease: LeaseId) -> Job:
        job = self._around.links.store.job(lease)
        if job is None:
            raise LostRace("no-document", "The lease's job document is not here.", "Fetch it again.")
        return job

    async def _fetch(self, lease: LeaseId) -> Stimulus | None:
        node, domain = self._around.links.node, self._around.domain
        state = self._answers.allocation.state(lease)
        if state.stage is not Stage.SEEN and not state.unread:
            return None
        terms, store = state.terms, self._around.links.store
        before = store.job(lease) if state.unread else None
        bid = await node.bid_of(lease)
        plain = await node.document(bid.job)
        job = job_from_plain(plain)
        wanted = job.accelerators
        candidate = Candidate(
            id=lease,
            terms=terms,
            bid=bid,
            job=job,
            computed_lease=lease_id(domain, terms),
            computed_bid=bid_id(domain, bid),
            computed_job=document_hash(plain),
            model_tag=model_tag(wanted.model) if wanted else 0,
            start=state.start,
            before=before,
        )
        refusal = judge(candidate, self._answers.allocation.house(lease), self._around.rules)
        if candidate.computed_bid == terms.bid:
            store.keep_bid(lease, bid)
        if refusal is None:
            allotted = self._answers.allocation.devices(lease, wanted.count if wanted else 0)
            store.keep_job(lease, job, store.devices(lease) if before else allotted)
        return DocumentJudged(at=self._now(), refusal=refusal, remark=_unmet(before, job))

    async def _create(self, lease: LeaseId) -> ContainerCreated:
        around, state = self._around, self._answers.allocation.state(lease)
        devices = around.links.store.devices(lease)
        spec = around.files.spec(state.container, self._job(lease), devices, state.terms.member)
        await asyncio.to_thread(around.runtime.create, spec)
        return ContainerCreated(at=self._now())

    async def _resize(self, lease: LeaseId) -> Resized:
        job, container = self._job(lease), self._container(lease)
        resize = self._around.runtime.resize
        await asyncio.to_thread(resize, container, cpus=job.cpu, memory_mib=job.memory)
        return Resized(at=self._now())

    async def _hash(self, lease: LeaseId) -> ResultHashed:
        """What a replica shows: how it ended and what it left. A job that was cut off left nothing that
        others could have, so it gets a number of its own."""
        state, random_bytes = self._answers.allocation.state(lease), self._around.random_bytes
        if state.ending is None and state.exit_code is not None:
            left = await asyncio.to_thread(self._around.files.left, state.container, self._job(lease))
            result = result_hash(state.exit_code, left)
        else:
            result = Digest(random_bytes(32))
        return ResultHashed(at=self._now(), result=result, salt=Digest(random_bytes(32)))

    def _saw(self, found: ContainerState | None) -> ContainerObserved:
        if found is None:
            return ContainerObserved(at=self._now(), container=None)
        container = Observed(
            phase=found.phase,
            started_at=found.started_at,
            finished_at=found.finished_at,
            exit_code=found.exit_code,
            oom_killed=found.oom_killed,
            error=found.error,
        )
        return ContainerObserved(at=self._now(), container=container)

    async def _look(self, lease: LeaseId) -> ContainerObserved:
        return self._saw(await asyncio.to_thread(self._around.runtime.inspect, self._container(lease)))

    async def _look_if_possible(self, lease: LeaseId) -> ContainerObserved | None:
        try:
            return await self._look(lease)
        except MarketError:
            return None

    async def _stop(self, lease: LeaseId, grace: int) -> ContainerObserved:
        runtime, container = self._around.runtime, self._container(lease)
        if grace:
            await asyncio.to_thread(runtime.stop, container, grace)
        else:
            await asyncio.to_thread(runtime.kill, container)
        return await self._look(lease)

    def _attach(self, lease: LeaseId) -> None:
        failed = self._answers.failed
        self._around.logs.follow(lease, self._container(lease), lambda exc: failed("Attach", exc))
        task = self._watching.get(lease)
        if task is None or task.done():
            self._watching[lease] = asyncio.create_task(self._watch(lease))

    async def _watch(self, lease: LeaseId) -> None:
        """Wait for the exit, over restarts of the engine."""
        container = self._container(lease)
        while True:
            try:
                await self.sample(lease)
                found = await asyncio.to_thread(self._around.runtime.wait, container, _WATCH_S)
            except MarketError as exc:
                self._answers.failed("Attach", exc)
                await asyncio.sleep(_AGAIN_S)
                continue
            if found is None or found.phase is Phase.EXITED:
                self._answers.feed(lease, self._saw(found))
                return

    async def _report_running(self, lease: LeaseId, milliseconds: int) -> Stimulus | None:
        """Claim time only while the engine shows the job running: it may have ended while nobody looked."""
        found = await self._look_if_possible(lease)
        if found is None:
            known = self._answers.allocation.state(lease).receipt
            milliseconds = known.receipt.milliseconds if known else 0
        elif found.container is None or found.container.phase is not Phase.RUNNING:
            return found
        return await self._report_usage(lease, milliseconds, last=False)

    async def _report_usage(self, lease: LeaseId, milliseconds: int, *, last: bool) -> Stimulus | None:
        seen = self._around.links.store.sample(lease)
        metered = Metered(
            milliseconds=milliseconds, cpu_ns=seen.cpu_ns, peak_bytes=seen.peak_bytes, last=last
        )
        signer = self._answers.allocation.state(lease).terms.signer
        signed = await self._usage.report(lease, signer, metered)
        if signed is None:
            signed = await self._around.links.node.receipt_of(lease, signer)
        if signed is None:
            return UsageTaken(at=self._now(), last=last)
        return ReceiptReceived(at=self._now(), signed=signed)

    async def _report_phase(self, lease: LeaseId, phase: JobPhase) -> Stimulus:
        state = self._answers.allocation.state(lease)
        remark = state.remark if phase is JobPhase.RUNNING else None
        why = state.explanation if phase.final else remark or Ending(code="", cause="")
        report = JobReport(
            phase=phase.value,
            exit_code=state.exit_code if phase.final else None,
            code=why.code,
            cause=why.cause,
            outputs=state.outputs if phase.final else (),
        )
        await self._around.links.node.report_job(lease, report)
        return PhaseReported(at=self._now(), phase=phase)

    async def _collect(self, lease: LeaseId) -> Stimulus:
        container = self._container(lease)
        await self._around.logs.finish(lease, container)
        outputs, missing = await self._around.files.collect(container, self._job(lease))
        return OutputsCollected(at=self._now(), outputs=outputs, missing=missing)

    async def _clean(self, lease: LeaseId) -> Stimulus:
        self._detach(lease)
        await asyncio.to_thread(self._around.files.remove, self._container(lease))
        return Cleaned(at=self._now())

    def _detach(self, lease: LeaseId) -> None:
        self._around.logs.forget(lease)
        if (task := self._watching.pop(lease, None)) is not None:
            task.cancel()


def _unmet(before: Job | None, job: Job) -> Ending | None:
    """What a running container cannot be given: its volume keeps the size that it was made with."""
    if before is None or before.disk == job.disk:
        return None
    cause = f"The disk keeps its {before.disk} MiB; the lease names {job.disk} MiB."
    return Ending(code="disk-unchanged", cause=cause)
