"""What a user sees of a job and of a lease, derived from facts alone, so that node, CLI and tests agree.

Nothing here is stored as truth: a late report or a reorganised block changes the derived state and
needs no repair. A job's leases are given in the order in which they were planned; the newest decides,
except that a success is never taken back by another attempt.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.market.facts import JobPhase
from ledger.market.identity import Address, LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.reasons import SkipReason

CANCELLED_BY_BUYER: Final = "cancelled"
"""the `BidWithdrawn.code` of a buyer's own withdrawal; any other code means that the order lapsed"""
WAIT_OVER: Final = "wait-over"
"""the `BidWithdrawn.code` of an order whose waiting time ran out without a match"""
_PROGRESS: Final = (JobPhase.PREPARING, JobPhase.STARTING, JobPhase.RUNNING)


class JobState(StrEnum):
    """RESTING: in the book. OPENING: a match is planned or sent. SETTLING: it ran, and what came of it is
    not known for sure before its lease is closed. LAPSED: it left the book without a lease."""

    RESTING = "resting"
    OPENING = "opening"
    STARTING = "starting"
    RUNNING = "running"
    SETTLING = "settling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    LOST = "lost"
    LAPSED = "lapsed"

    @property
    def final(self) -> bool:
        """Whether no further attempt follows."""
        return self in _FINAL


_FINAL: Final = (
    JobState.SUCCEEDED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.REFUSED,
    JobState.LOST,
    JobState.LAPSED,
)
_RETRIED: Final = (JobState.REFUSED, JobState.LOST)
_BY_PHASE: Final = {
    None: JobState.STARTING,
    JobPhase.PREPARING: JobState.STARTING,
    JobPhase.STARTING: JobState.STARTING,
    JobPhase.RUNNING: JobState.RUNNING,
    JobPhase.SUCCEEDED: JobState.SUCCEEDED,
    JobPhase.FAILED: JobState.FAILED,
    JobPhase.REFUSED: JobState.REFUSED,
    JobPhase.LOST: JobState.LOST,
}


_LOST_WORDS: Final = {
    True: ("agent-lost", "The provider's agent fell silent."),
    False: ("lease-expired", "The lease expired without a word on how its job ended."),
}


class LeaseState(StrEnum):
    """SKIPPED: the contract did not open the planned lease; it never held money."""

    PLANNED = "planned"
    SKIPPED = "skipped"
    ACTIVE = "active"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseCourse:
    """What is known of one lease of a job; `code` and `cause` are its agent's words, "" without."""

    lease: LeaseId
    provider: Address
    attempt: int
    skipped: SkipReason | None = None
    opened: bool = False
    terminated: bool = False
    closed: ClosedBecause | None = None
    phase: JobPhase | None = None
    code: str = ""
    cause: str = ""
    agent_lost: bool = False

    @property
    def state(self) -> LeaseState:
        if self.closed is not None:
            return LeaseState.CLOSED
        if self.opened:
            return LeaseState.ACTIVE
        return LeaseState.PLANNED if self.skipped is None else LeaseState.SKIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCourse:
    """What is known of one job: `attempts` is how many bids were signed for it."""

    attempts: int
    withdrawn: tuple[str, str] | None = None
    leases: tuple[LeaseCourse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStanding:
    """Where a job stands: the state, why, the lease that decides, the index of the bid that a further
    attempt would use, and the providers that get it no more."""

    state: JobState
    code: str
    cause: str
    lease: LeaseId | None
    next_attempt: int
    excluded: frozenset[Address]


_Decision = tuple[JobState, str, str, LeaseCourse | None]
"""state, code, cause and the lease that decided"""


def further(known: JobPhase | None, told: JobPhase) -> bool:
    """Whether `told` is news after `known`: reports may repeat; the first final one stands."""
    if known is None:
        return True
    if known.final:
        return False
    return told.final or _PROGRESS.index(told) > _PROGRESS.index(known)


def standing(course: JobCourse) -> JobStanding:
    """The state of a job from its facts (issue "The grid runs end to end", API "Job")."""
    state, code, cause, decisive = _decide(course)
    return JobStanding(
        state=state,
        code=code,
        cause=cause,
        lease=None if decisive is None else decisive.lease,
        next_attempt=_next_attempt(course),
        excluded=frozenset(lease.provider for lease in course.leases if _outcome(lease) in _RETRIED),
    )


def _decide(course: JobCourse) -> _Decision:
    newest = course.leases[-1] if course.leases else None
    for lease in course.leases:
        if _outcome(lease) is JobState.SUCCEEDED:
            return JobState.SUCCEEDED, lease.code, lease.cause, lease
    if newest is None or newest.state is LeaseState.SKIPPED:
        return _in_the_book(course, newest)
    state = _outcome(newest)
    if state in _RETRIED and _next_attempt(course) < course.attempts:
        return _before_retry(course, newest)
    code, cause = _words(newest, state)
    return state, code, cause, newest


def _in_the_book(course: JobCourse, newest: LeaseCourse | None) -> _Decision:
    if course.withdrawn is not None:
        code, cause = course.withdrawn
        return (JobState.CANCELLED if code == CANCELLED_BY_BUYER else JobState.LAPSED), code, cause, newest
    if newest is None:
        return JobState.RESTING, "", "", None
    assert newest.skipped is not None
    cause = f"The contract skipped the last match ({newest.skipped.name})."
    spent = _next_attempt(course) >= course.attempts
    return (JobState.LAPSED if spent else JobState.RESTING), "match-skipped", cause, newest


def _before_retry(course: JobCourse, newest: LeaseCourse) -> _Decision:
    """Another bid may be tried, but not while this lease's agent can still end it and refund."""
    outcome = _outcome(newest)
    code, cause = _words(newest, outcome)
    if course.withdrawn is not None:
        by_buyer = course.withdrawn[0] == CANCELLED_BY_BUYER
        return (JobState.CANCELLED if by_buyer else outcome), code, cause, newest
    over = newest.closed is not None or newest.agent_lost
    return (JobState.RESTING if over else JobState.SETTLING), code, cause, newest


def _outcome(lease: LeaseCourse) -> JobState:
    """What one lease alone says of its job."""
    if lease.state is LeaseState.SKIPPED:
        return JobState.RESTING
    if lease.state is LeaseState.PLANNED:
        return JobState.OPENING
    if lease.terminated:
        return JobState.SETTLING if lease.closed is None else JobState.CANCELLED
    if lease.phase is not None and lease.phase.final:
        return _BY_PHASE[lease.phase]
    if lease.agent_lost or lease.closed is ClosedBecause.EXPIRED:
        return JobState.LOST
    if lease.closed is ClosedBecause.RELEASED:
        return JobState.REFUSED
    return _BY_PHASE[lease.phase] if lease.closed is None else JobState.SETTLING


def _words(lease: LeaseCourse, state: JobState) -> tuple[str, str]:
    """The stable code and the sentence that explain a state; the agent's own words where it gave any."""
    if lease.terminated and state in (JobState.CANCELLED, JobState.SETTLING):
        return CANCELLED_BY_BUYER, "The buyer ended the lease."
    if lease.code or lease.cause:
        return lease.code, lease.cause
    if state is JobState.LOST:
        return _LOST_WORDS[lease.agent_lost]
    if state is JobState.REFUSED and lease.closed is ClosedBecause.RELEASED:
        return "lease-released", "The provider released the lease without giving a reason."
    return "", ""


def _next_attempt(course: JobCourse) -> int:
    """A bid whose nonce is spent opens no more; a bid that was only skipped can be tried again."""
    spent = [
        lease.attempt + 1 for lease in course.leases if lease.opened or lease.skipped is SkipReason.NONCE_USED
    ]
    return max(spent, default=0)
