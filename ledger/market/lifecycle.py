"""What a user sees of a job and of a lease, derived from facts alone, so that node, CLI and tests agree.

Nothing here is stored as truth: a late report or a reorganised block changes the derived state and
needs no repair. A job's leases are given in the order in which they were planned; the members of the
newest attempt decide together, except that a success is never taken back by another attempt. A lease
that continues another one takes its place, with what was said of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from ledger.market.facts import JobPhase, LeaseYields
from ledger.market.identity import Address, LeaseId
from ledger.market.lease import ClosedBecause
from ledger.market.reasons import SkipReason

CANCELLED_BY_BUYER: Final = "cancelled"
"""the `BidWithdrawn.code` of a buyer's own withdrawal; any other code means that the order lapsed"""
WAIT_OVER: Final = "wait-over"
"""the `BidWithdrawn.code` of an order whose waiting time ran out without a match"""
_ENDED: Final = "The buyer ended the lease."
NO_QUORUM: Final = "no-quorum"
"""the code of a job whose replicas did not agree"""
PREEMPTED: Final = "preempted"
"""what an agent calls the ending of a job that yielded to a higher bid"""
YIELDING: Final = "yielding"
"""the code of a job that was told to end for a higher bid, and still has its notice"""
_PROGRESS: Final = (JobPhase.PREPARING, JobPhase.STARTING, JobPhase.RUNNING)


class JobState(StrEnum):
    """RESTING: in the book. OPENING: a match is planned or sent. SETTLING: it ran, and what came of it is
    not known for sure before its lease is closed. PREEMPTED: it was sold as interruptible, and yielded to a
    higher bid. LAPSED: it left the book without a lease."""

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
    PREEMPTED = "preempted"
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
    JobState.PREEMPTED,
    JobState.LAPSED,
)
_FAULTY: Final = (JobState.REFUSED, JobState.LOST)
"""what a provider is to blame for"""
_RETRIED: Final = (*_FAULTY, JobState.PREEMPTED)
_GOING: Final = (JobState.RUNNING, JobState.STARTING, JobState.OPENING, JobState.SETTLING)
"""of a gang's members that are not all over, the furthest shows"""
_OVER: Final = (
    JobState.CANCELLED,
    JobState.PREEMPTED,
    JobState.REFUSED,
    JobState.LOST,
    JobState.FAILED,
    JobState.SUCCEEDED,
)
"""of members that are all over, the first of these decides: a provider that left is why its peers failed"""
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


class Verdict(StrEnum):
    """What the jury's decision makes of one replica. UNDETERMINED: it revealed a result, and no quorum of
    equal ones came together."""

    AGREED = "agreed"
    GUILTY = "guilty"
    SILENT = "silent"
    UNDETERMINED = "undetermined"


class LeaseState(StrEnum):
    """SKIPPED: the contract did not open the planned lease; it never held money."""

    PLANNED = "planned"
    SKIPPED = "skipped"
    ACTIVE = "active"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseCourse:
    """What is known of one lease of a job; `code` and `cause` are its agent's words, "" without.
    `continues` is the lease whose place it takes. `agree` is how many equal results replicas need, 0 for
    another lease; `undecided` marks one on which the jury has not decided."""

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
    member: int = 0
    continues: LeaseId | None = None
    agree: int = 0
    undecided: bool = False
    verdict: Verdict | None = None
    yields: LeaseYields | None = None

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
    """Where a job stands: the state, why, the lease that decides, the leases of its attempt by their
    number, the index of the bid that a further attempt would use, and the providers that get it no more."""

    state: JobState
    code: str
    cause: str
    lease: LeaseId | None
    members: tuple[LeaseId, ...]
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
    course = replace(course, leases=_as_one_lease_each(course.leases))
    state, code, cause, decisive = _decide(course)
    members = [] if decisive is None else _members(course, decisive.attempt)
    return JobStanding(
        state=state,
        code=code,
        cause=cause,
        lease=None if decisive is None else decisive.lease,
        members=tuple(lease.lease for lease in members) if decisive in members else (),
        next_attempt=_next_attempt(course),
        excluded=frozenset(lease.provider for lease in course.leases if _disqualifies(lease)),
    )


def _as_one_lease_each(leases: Iterable[LeaseCourse]) -> tuple[LeaseCourse, ...]:
    """Leases that continue each other as the one that they are to the job: the newest that was opened,
    with the words of those before it while it has none. A continuation that did not open is none."""
    merged: dict[LeaseId, LeaseCourse] = {}
    for lease in leases:
        before = None if lease.continues is None else merged.get(lease.continues)
        if before is None:
            merged[lease.lease] = lease
        elif lease.opened:
            del merged[before.lease]
            merged[lease.lease] = _after(before, lease)
    return tuple(merged.values())


def _after(before: LeaseCourse, lease: LeaseCourse) -> LeaseCourse:
    if lease.phase is not None:
        return lease
    return replace(lease, phase=before.phase, code=before.code, cause=before.cause)


def _decide(course: JobCourse) -> _Decision:
    for attempt in sorted({lease.attempt for lease in course.leases}):
        done = _together(_members(course, attempt))
        if done[0] is JobState.SUCCEEDED:
            return done
    newest = course.leases[-1] if course.leases else None
    if newest is None or newest.state is LeaseState.SKIPPED:
        return _in_the_book(course, newest)
    members = _members(course, newest.attempt)
    decision = _together(members)
    if decision[0] in _RETRIED and _next_attempt(course) < course.attempts:
        return _before_retry(course, members, decision)
    if course.withdrawn is not None and course.withdrawn[0] == CANCELLED_BY_BUYER:
        return _ended_by_buyer(members, decision)
    return decision


def _members(course: JobCourse, attempt: int) -> list[LeaseCourse]:
    """The leases of an attempt that stand, by their number: of several plans the newest."""
    latest = {lease.member: lease for lease in course.leases if lease.attempt == attempt}
    standing_now = [lease for lease in latest.values() if lease.state is not LeaseState.SKIPPED]
    return sorted(standing_now, key=lambda lease: lease.member)


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


def _before_retry(course: JobCourse, members: list[LeaseCourse], decision: _Decision) -> _Decision:
    """Another bid may be tried, but not while the agent of one of these can still end it and refund."""
    outcome, code, cause, decisive = decision
    if course.withdrawn is not None:
        by_buyer = course.withdrawn[0] == CANCELLED_BY_BUYER
        return (JobState.CANCELLED if by_buyer else outcome), code, cause, decisive
    over = all(lease.closed is not None or lease.agent_lost for lease in members)
    return (JobState.RESTING if over else JobState.SETTLING), code, cause, decisive


def _ended_by_buyer(members: list[LeaseCourse], decision: _Decision) -> _Decision:
    """The buyer had the node end what was open: whatever its agents say of that is no failure of theirs."""
    state, _, _, decisive = decision
    if state not in (JobState.STARTING, JobState.RUNNING, JobState.SETTLING, JobState.FAILED):
        return decision
    closed = all(lease.closed is not None for lease in members)
    now = JobState.CANCELLED if closed else JobState.SETTLING
    return now, CANCELLED_BY_BUYER, _ENDED, decisive


def _together(members: list[LeaseCourse]) -> _Decision:
    """What the members of one attempt say of their job; one alone says what it says."""
    if not members:
        return JobState.RESTING, "", "", None
    if any(lease.agree for lease in members):
        return _replicas(members)
    return _first_of(members, _GOING) or _first_of(members, _OVER) or _alone(members[0], 1)


def _first_of(members: list[LeaseCourse], states: tuple[JobState, ...]) -> _Decision | None:
    outcomes = [_outcome(lease) for lease in members]
    for state in states:
        if state in outcomes:
            return _alone(members[outcomes.index(state)], len(members))
    return None


def _alone(lease: LeaseCourse, count: int) -> _Decision:
    state = _outcome(lease)
    code, cause = _words(lease, state)
    told = f"Member {lease.member} of {count}: {cause}" if cause and count > 1 else cause
    return state, code, told, lease


def _replicas(members: list[LeaseCourse]) -> _Decision:
    """Replicas say nothing for sure before the jury has decided, and then the agreeing ones speak."""
    judged = [lease for lease in members if lease.verdict is not None]
    if not judged:
        state, code, cause, lease = _first_of(members, _GOING) or _alone(members[0], len(members))
        if state in _GOING:
            return state, code, cause, lease
        return JobState.SETTLING, "comparing-results", "The results of the replicas are compared.", lease
    agreeing = [lease for lease in judged if lease.verdict is Verdict.AGREED]
    if agreeing:
        told = next((lease for lease in agreeing if lease.phase and lease.phase.final), agreeing[0])
        return _alone(told, 1)
    return _without_quorum(members)


def _without_quorum(members: list[LeaseCourse]) -> _Decision:
    """Different results are the job's own failing; too few are the providers', and worth another try."""
    revealed = [lease for lease in members if lease.verdict is Verdict.UNDETERMINED]
    count, agree = len(members), max(lease.agree for lease in members)
    if len(revealed) >= agree:
        cause = (
            f"Of {count} replicas {len(revealed)} revealed a result, and no {agree} of these are equal: "
            "the job is not deterministic. Nobody was slashed; the time was paid."
        )
        return JobState.FAILED, NO_QUORUM, cause, revealed[0]
    ended = [lease for lease in members if lease.terminated]
    if ended:
        return _alone(ended[0], count)
    cause = f"Only {len(revealed)} of {count} replicas revealed a result, and {agree} equal ones decide."
    return JobState.LOST, NO_QUORUM, cause, members[0]


def _disqualifies(lease: LeaseCourse) -> bool:
    """Whether the provider of this lease gets the job no more."""
    return _outcome(lease) in _FAULTY or lease.verdict in (Verdict.GUILTY, Verdict.SILENT)


def _outcome(lease: LeaseCourse) -> JobState:
    """What one lease alone says of its job."""
    if lease.state is LeaseState.SKIPPED:
        return JobState.RESTING
    if lease.state is LeaseState.PLANNED:
        return JobState.OPENING
    if lease.terminated:
        return JobState.SETTLING if lease.closed is None else JobState.CANCELLED
    if lease.phase is not None and lease.phase.final:
        return JobState.PREEMPTED if _preempted(lease) else _BY_PHASE[lease.phase]
    if lease.agent_lost or lease.closed is ClosedBecause.EXPIRED:
        return JobState.LOST
    if lease.closed is ClosedBecause.RELEASED:
        return JobState.REFUSED
    goes_on = lease.closed in (None, ClosedBecause.CONTINUED)
    return _BY_PHASE[lease.phase] if goes_on else JobState.SETTLING


def _preempted(lease: LeaseCourse) -> bool:
    """Whether the job ended because it was told to yield: its agent's word alone does not make it so."""
    return lease.yields is not None and lease.phase is JobPhase.FAILED and lease.code == PREEMPTED


def _yielding_words(told: LeaseYields, state: JobState) -> tuple[str, str]:
    moment = f"{datetime.fromtimestamp(told.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    notice = f"with {told.until - told.at} s of notice"
    if state is JobState.PREEMPTED:
        return PREEMPTED, f"A higher bid took its place: the job was told to end at {moment}, {notice}."
    return YIELDING, f"A higher bid takes its place: the job was told to end at {moment}, {notice}."


def _words(lease: LeaseCourse, state: JobState) -> tuple[str, str]:
    """The stable code and the sentence that explain a state; the agent's own words where it gave any."""
    if lease.terminated and state in (JobState.CANCELLED, JobState.SETTLING):
        return CANCELLED_BY_BUYER, _ENDED
    if lease.yields is not None and state in (*_GOING, JobState.PREEMPTED):
        return _yielding_words(lease.yields, state)
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
