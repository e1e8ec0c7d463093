"""What the agent must not forget of one lease, as one value that is committed before anything is done.

Every field survives a kill -9; what is only convenient (open connections, running tasks) is not here.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.market.facts import JobPhase, OutputFile
from ledger.market.identity import LeaseId
from ledger.market.lease import Lease, LeaseTerms
from ledger.market.policy import Policy
from ledger.market.receipt import SignedReceipt
from provider_agent.metering import RunTimes, elapsed_ms

MS = 1_000


class Stage(StrEnum):
    """How far the agent got with a lease. From STARTING on, a start was issued and never is again."""

    SEEN = "seen"
    PREPARING = "preparing"
    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    COLLECTING = "collecting"
    REPORTING = "reporting"
    SETTLING = "settling"
    RELEASING = "releasing"
    CLEANING = "cleaning"
    GONE = "gone"


UNSTARTED = frozenset({Stage.SEEN, Stage.PREPARING, Stage.CREATING})
"""Stages in which no start was issued."""


_NOT_REFUSED = frozenset({"interrupted-start", "start-failed", "terminated", "lease-ended", "lease-vanished"})
"""Endings of a job that never ran which are not this agent's refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a job did not end by itself, or was never begun: a stable code and one sentence."""

    code: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The market's windows and the agent's own patience, all in milliseconds but `stop_grace` (s)."""

    interval: int
    grace: int
    retry: int = 2_000
    slack: int = 5_000
    settle_patience: int = 30_000
    last_receipt_patience: int = 600_000
    prepare_limit: int = 600_000
    unmined_patience: int = 30_000
    closed_patience: int = 30_000
    stop_grace: int = 5

    @classmethod
    def of(cls, policy: Policy) -> "Pace":
        """The pace of a market with this policy."""
        return cls(interval=policy.receipt_interval * MS, grace=policy.grace * MS)

    @property
    def margin(self) -> int:
        """How long before anybody may close it a job is stopped, so that its last receipt still counts."""
        return min(20_000, self.grace // 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """One lease as this agent has it; times are milliseconds since 1970, but `start` (chain, seconds).

    `told` is the last phase that the node acknowledged, `receipt` the best co-signed one, `settled` the
    milliseconds that the chain has paid. `unmined_at` is set while a reorganisation has the lease undone.
    """

    id: LeaseId
    terms: LeaseTerms
    start: int
    escrow: int
    stage: Stage
    since: int
    retry_at: int
    ended_after: int | None = None
    unmined_at: int | None = None
    closed_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    ending: Ending | None = None
    told: JobPhase | None = None
    usage_at: int = 0
    receipt: SignedReceipt | None = None
    receipt_at: int = 0
    settled: int = 0
    settle_at: int | None = None
    disowned: bool = False
    outputs: tuple[OutputFile, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def lease(self) -> Lease:
        """The kernel's view, for its bounds."""
        return Lease(terms=self.terms, start=self.start, escrow=self.escrow, ended_after=self.ended_after)

    @property
    def open(self) -> bool:
        """Whether it still occupies capacity on the chain, as far as is known."""
        return self.closed_at is None and self.stage is not Stage.GONE

    def billable(self, at: int) -> int:
        """Milliseconds from container start to exit (or `at`), never more than a receipt may claim."""
        if self.started_at is None:
            return 0
        times = RunTimes(started_at=self.started_at, finished_at=self.finished_at)
        elapsed = elapsed_ms(times, now=at, limit_seconds=self.terms.duration)
        return self.lease.billable(elapsed, at // MS)

    def closable_at(self, grace: int) -> int:
        """The moment from which anybody may close the lease."""
        return (self.start + self.lease.seconds()) * MS + grace

    def stop_at(self, pace: Pace) -> int:
        """The moment at which its job must stop: its full duration, or sooner where it began late."""
        latest = self.closable_at(pace.grace) - pace.margin
        if self.started_at is None:
            return latest
        return min(latest, self.started_at + self.lease.seconds() * MS)

    @property
    def final_phase(self) -> JobPhase:
        """What the node is told at the end."""
        if self.started_at is None:
            begun = self.ending is None or self.ending.code in _NOT_REFUSED
            return JobPhase.FAILED if begun else JobPhase.REFUSED
        done = self.exit_code == 0 and self.ending is None
        return JobPhase.SUCCEEDED if done else JobPhase.FAILED

    @property
    def explanation(self) -> Ending:
        """Code and cause that go with the final phase; both empty for a success with all its outputs."""
        if self.ending is not None:
            return self.ending
        if self.out_of_memory and self.exit_code != 0:
            return Ending(code="out-of-memory", cause="The job needed more memory than it asked for.")
        if self.exit_code not in (None, 0):
            return Ending(code="exit-code", cause=f"The job ended with exit code {self.exit_code}.")
        if self.missing:
            cause = f"The job did not leave these outputs: {', '.join(self.missing)}."
            return Ending(code="outputs-missing", cause=cause)
        return Ending(code="", cause="")
