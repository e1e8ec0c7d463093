"""Reputation: what a provider's past says of it, from the market's events alone, so that all can check it.

Accounts cost nothing, so nothing that accounts can do among themselves may count. What cannot be had back
is a fee paid to a matcher that is somebody else. No function of the events alone can tell who somebody
else is (a clique with a matcher of its own looks like a second market), so whoever reads the events
names the `matchers` whose fees it knows to be real: a node its own account, which earned them, and those
of others that it trusts. Fees to anybody else, or to the provider or the buyer itself, count as nothing.

For a provider p, in base units of the token and integers throughout:

    backed(b)  = min(fees of b at p, fees of b at other providers, CAP)
    volume     = Σ over buyers b of  backed(b) + (min(fees of b at p, CAP) − backed(b)) // 4
    harm       = HALF // 4 for each no-show + HALF for each lost dispute
    delivered  = Σ over closed leases of  rate × milliseconds receipted
    owed       = the same, and where the provider released it or it expired or was judged guilty,
                 rate × milliseconds until its end (its duration, or the buyer's termination)
    per_mille  = 1000 × volume × delivered // ((volume + HALF + harm) × owed)

`HALF` is what the reader takes as a fair volume of fees (half of the score), `CAP` a quarter of it, so that
one counterparty makes at most 200 and a regular customer counts less and less. A newcomer has 0. Nothing
decays: fees were paid for good, and later failures weigh on `delivered` and `harm`. A market without fees
has no reputation.

The bound: let F be all fees that p's leases paid to the named matchers. Then volume ≤ F, and
per_mille ≤ `most_for(F)` = 1000 × F // (F + HALF), which is what an honest provider gets for the same fees
with many backed customers and no failure. Buyers who trade with p alone make volume ≤ F // 4, a matcher
of one's own F = 0. Over a whole clique Σ volume ≤ Σ fees. So trading with oneself costs at least
what the same standing costs honestly, and then the fees are gone and nothing was sold for them.

What goes wrong counts on leases of the named matchers alone as well: another could open replicas on an
honest provider beside two liars, or a lease without a job. Only what the arbiter decided always counts.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from ledger.market.errors import Broken
from ledger.market.events import (
    BlockRef,
    ClaimDecided,
    LeaseClosed,
    LeaseJudged,
    LeaseOpened,
    LeaseTerminated,
    Logged,
    MarketDeployed,
    MarketEvent,
    StakeBurned,
    UsageSettled,
)
from ledger.market.identity import Address, LeaseId, text
from ledger.market.lease import ClaimDecidedBy, ClosedBecause, LeaseTerms
from ledger.market.money import MILLISECONDS

PER_MILLE = 1_000
HALF_FEES = 100_000
"""base units: a tenth of a token of six decimals, the fees of ten tokens of paid work at 1 %"""
_CAP_SHARE = 4
_UNBACKED_SHARE = 4
_NO_SHOW_SHARE = 4
_UNFINISHED = (ClosedBecause.RELEASED, ClosedBecause.EXPIRED, ClosedBecause.JUDGED)


def most_for(fees: int, half: int = HALF_FEES) -> int:
    """The highest score, per mille, that `fees` base units buy anybody, honest or not."""
    return PER_MILLE * fees // (fees + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reputation:
    """What a provider did so far. `completed` leases ended with their last receipt and were paid;
    `disputes_lost` are claims the arbiter refused or slashed, and replicas judged guilty. `volume` is what
    its fees weigh, in base units, and `counterparties` the buyers who paid them."""

    per_mille: int = 0
    completed: int = 0
    no_shows: int = 0
    disputes_lost: int = 0
    uptime_per_mille: int = 0
    volume: int = 0
    counterparties: int = 0

    def to_plain(self) -> dict[str, object]:
        return {
            "per_mille": self.per_mille,
            "completed": self.completed,
            "no_shows": self.no_shows,
            "disputes_lost": self.disputes_lost,
            "uptime_per_mille": self.uptime_per_mille,
            "volume": str(self.volume),
            "counterparties": self.counterparties,
        }


@dataclass(slots=True)
class _Course:
    """An open lease, as far as its end will tell something."""

    terms: LeaseTerms
    escrow: int
    milliseconds: int = 0
    ended_after: int | None = None

    def owed(self) -> int:
        """Milliseconds until its end."""
        if self.ended_after is None:
            return self.terms.duration * MILLISECONDS
        return min(self.ended_after, self.terms.duration) * MILLISECONDS


@dataclass(slots=True)
class _Record:
    """One provider's past; `fees` by buyer, in base units; `delivered` and `owed` in rate × milliseconds."""

    completed: int = 0
    no_shows: int = 0
    disputes_lost: int = 0
    delivered: int = 0
    owed: int = 0
    fees: dict[Address, int] = field(default_factory=dict)


class Reputations:
    """The fold over one chain's events in their order. A fact twice changes nothing; after a rewind it is
    built anew. `matchers` are those whose fees are known to be real, `half` as in the formula."""

    def __init__(self, matchers: Collection[Address] = (), half: int = HALF_FEES) -> None:
        self._matchers = frozenset(matchers)
        self._half = half
        self._open: dict[LeaseId, _Course] = {}
        self._records: dict[Address, _Record] = {}
        self._fees_of: dict[Address, int] = {}
        self._upheld: set[LeaseId] = set()
        self._receipt_interval = 0
        self._newest: BlockRef | None = None
        self._taken: set[int] = set()

    def apply(self, logged: Logged) -> None:
        """Take one fact into account; `Broken` for a lease that no fact opened."""
        if self._new(logged):
            self._apply(logged.event)

    def score(self, provider: Address, at: int) -> Reputation:
        """What the facts so far say; the time `at` is of no effect, since nothing decays."""
        record = self._records.get(provider, _Record())
        volume = self._volume(record)
        harm = record.no_shows * (self._half // _NO_SHOW_SHARE) + record.disputes_lost * self._half
        weight, owed = volume + self._half + harm, record.owed
        return Reputation(
            per_mille=PER_MILLE * volume * record.delivered // (weight * owed) if owed else 0,
            completed=record.completed,
            no_shows=record.no_shows,
            disputes_lost=record.disputes_lost,
            uptime_per_mille=PER_MILLE * record.delivered // owed if owed else 0,
            volume=volume,
            counterparties=len(record.fees),
        )

    def _new(self, logged: Logged) -> bool:
        if self._newest is None or logged.block.number > self._newest.number:
            self._newest, self._taken = logged.block, set()
        known = logged.block.number < self._newest.number or logged.log_index in self._taken
        self._taken.add(logged.log_index)
        return not known

    def _apply(self, event: MarketEvent) -> None:
        match event:
            case MarketDeployed(policy=policy):
                self._receipt_interval = policy.receipt_interval
            case LeaseOpened(id=lease, terms=terms, escrow=escrow):
                self._open[lease] = _Course(terms=terms, escrow=escrow)
            case UsageSettled(lease=lease, milliseconds=milliseconds, fee=fee):
                course = self._course(lease)
                course.milliseconds = max(course.milliseconds, milliseconds)
                self._count_fee(course.terms, fee)
            case LeaseTerminated(lease=lease, ended_after=seconds):
                self._course(lease).ended_after = seconds
            case LeaseJudged():
                self._judge(event)
            case ClaimDecided():
                self._decide(event)
            case LeaseClosed():
                self._close(event)
            case StakeBurned(lease=lease, provider=provider) if lease in self._upheld:
                self._upheld.discard(lease)
                self._record(provider).disputes_lost += 1
            case _:
                return

    def _record(self, provider: Address) -> _Record:
        return self._records.setdefault(provider, _Record())

    def _course(self, lease: LeaseId) -> _Course:
        course = self._open.get(lease)
        if course is None:
            raise Broken(
                "unknown-lease",
                f"An event names lease {text(lease)}, which is not open.",
                "Read the events again from the market's first block.",
            )
        return course

    def _counts(self, terms: LeaseTerms) -> bool:
        """Whether the fees of this lease are a cost that its parties cannot have back."""
        return terms.matcher in self._matchers and terms.matcher not in (terms.provider, terms.buyer)

    def _count_fee(self, terms: LeaseTerms, fee: int) -> None:
        if not fee or not self._counts(terms):
            return
        fees = self._record(terms.provider).fees
        fees[terms.buyer] = fees.get(terms.buyer, 0) + fee
        self._fees_of[terms.buyer] = self._fees_of.get(terms.buyer, 0) + fee

    def _judge(self, event: LeaseJudged) -> None:
        course = self._course(event.lease)
        if not event.guilty:
            course.ended_after = event.ended_after
        elif self._counts(course.terms):
            self._record(course.terms.provider).disputes_lost += 1

    def _decide(self, event: ClaimDecided) -> None:
        self._count_fee(self._course(event.lease).terms, event.fee)
        if event.by is not ClaimDecidedBy.ARBITER:
            return
        if event.amount:
            self._upheld.add(event.lease)
        else:
            self._record(event.provider).disputes_lost += 1

    def _close(self, event: LeaseClosed) -> None:
        course = self._course(event.lease)
        del self._open[event.lease]
        if not self._counts(course.terms):
            return
        record = self._record(event.provider)
        if event.because is ClosedBecause.LAST_RECEIPT and event.paid:
            record.completed += 1
        if event.because is ClosedBecause.EXPIRED and self._absent(course, event.paid):
            record.no_shows += 1
        owed = course.owed() if event.because in _UNFINISHED else 0
        record.delivered += course.terms.rate * course.milliseconds
        record.owed += course.terms.rate * max(owed, course.milliseconds)

    def _absent(self, course: _Course, paid: int) -> bool:
        """The contract's rule for a no-show: nothing paid, and not ended by the buyer within an interval."""
        ended_at_once = course.ended_after is not None and course.ended_after <= self._receipt_interval
        return paid == 0 and course.escrow > 0 and not ended_at_once

    def _volume(self, record: _Record) -> int:
        return sum(self._weight(buyer, fees) for buyer, fees in record.fees.items())

    def _weight(self, buyer: Address, fees: int) -> int:
        counted = min(fees, self._half // _CAP_SHARE)
        backed = min(counted, self._fees_of[buyer] - fees)
        return backed + (counted - backed) // _UNBACKED_SHARE
