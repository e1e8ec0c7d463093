"""What the agent must not forget of one lease, as one value that is committed before anything is done.

Every field survives a kill -9; what is only convenient (open connections, running tasks) is not here.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.market.facts import JobPhase, OutputFile
from ledger.market.identity import Digest, LeaseId
from ledger.market.lease import Lease, LeaseTerms
from ledger.market.lifecycle import PREEMPTED
from ledger.market.policy import JURY_INTERVALS, Policy
from ledger.market.receipt import SignedReceipt
from provider_agent.metering import RunTimes, elapsed_ms

MS = 1_000
NO_LEASE = LeaseId(b"")


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
    JUDGING = "judging"
    SETTLING = "settling"
    CLAIMING = "claiming"
    RELEASING = "releasing"
    CLEANING = "cleaning"
    GONE = "gone"


UNSTARTED = frozenset({Stage.SEEN, Stage.PREPARING, Stage.CREATING})
"""Stages in which no start was issued."""


_NOT_REFUSED = frozenset(
    {"interrupted-start", "start-failed", "terminated", "lease-ended", "lease-vanished", PREEMPTED}
)
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
    claim_patience: int = 120_000
    prepare_limit: int = 600_000
    unmined_patience: int = 30_000
    closed_patience: int = 30_000
    stop_grace: int = 5

    @classmethod
    def of(cls, policy: Policy) -> "Pace":
        """The pace of a market with this policy."""
        interval = policy.receipt_interval * MS
        return cls(
            interval=interval,
            grace=policy.grace * MS,
            last_receipt_patience=max(30_000, 3 * interval),
        )

    @property
    def margin(self) -> int:
        """How long before anybody may close it a job is stopped, so that its last receipt still counts,
        or a claim still opens."""
        return min(300_000, self.grace // 3)

    @property
    def jury_window(self) -> int:
        """How long the jury waits for commitments, and then for results."""
        return JURY_INTERVALS * self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaResult:
    """What a replica commits to: the hash of what it left, and the salt that hides it until it is shown."""

    hash: Digest
    salt: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A lease's case before the jury: `agree` equal results of `members` (in the order of their number)
    decide. `result` is kept before the commitment to it is sent; `commits` and `results` are what the jury
    has of all members. `complete_at` is when all results were first seen."""

    agree: int
    members: tuple[LeaseTerms, ...]
    result: ReplicaResult | None = None
    committed: bool = False
    revealed: bool = False
    commits: int = 0
    results: tuple[Digest, ...] = ()
    complete_at: int | None = None
    ask_at: int = 0
    metered: bool = False
    """the node knows how long the job ran, so that it can sign for it once the jury has decided"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """One lease as this agent has it; times are milliseconds since 1970, but `start` (chain, seconds).

    `told` is the last phase that the node acknowledged, `receipt` the best co-signed one, `settled` the
    milliseconds that the chain has paid. `unmined_at` is set while a reorganisation has the lease undone,
    `undecided` while a replica is not judged. `adopted` is the first of the leases that this one continues:
    container and volumes carry its name. No time before `not_before` is billed on this lease.
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
    collected: bool = False
    collecting_at: int | None = None
    adopted: LeaseId = NO_LEASE
    not_before: int = 0
    unread: bool = False
    """adopted, and its own document was not judged yet"""
    unsized: bool = False
    """adopted, and the container has the limits of the lease before"""
    remark: Ending | None = None
    """what of the lease could not be had, though its job runs"""
    yields_at: int | None = None
    """when we heard that a higher bid takes its place; None while nobody said so"""
    yields_until: int = 0
    """when its notice ends"""
    warned: bool = False
    """the job itself was asked to end"""
    undecided: bool = False
    replica: Replica | None = None
    claim_until: int | None = None
    """the chain's second from which our claim can be finalised; None while there is none"""
    contested: bool = False

    @property
    def lease(self) -> Lease:
        """The kernel's view, for its bounds."""
        return Lease(
            terms=self.terms,
            start=self.start,
            escrow=self.escrow,
            ended_after=self.ended_after,
            undecided=self.undecided,
        )

    @property
    def container(self) -> LeaseId:
        """The lease that container and volumes are named after."""
        return self.adopted or self.id

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
        """The moment from which anybody may close the lease: a replica's grace counts from its verdict."""
        return self.lease.closable_at(0) * MS + grace

    def commit_until(self, pace: Pace) -> int:
        """The last moment at which the jury takes a replica's commitment."""
        return self.lease.closable_at(0) * MS + pace.jury_window

    def deadline(self, pace: Pace, share: int = 1) -> int:
        """The moment by which its job must have ended, or only 1/`share` of the time kept for what
        follows is left: a receipt, a claim, or a replica's commitment."""
        if self.undecided:
            return self.commit_until(pace) - min(20_000, pace.interval) // share
        return self.closable_at(pace.grace) - pace.margin // share

    def stop_at(self, pace: Pace) -> int:
        """The moment at which its job must stop: its full duration, or sooner where it began late."""
        latest = self.deadline(pace)
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
