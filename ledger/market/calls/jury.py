"""The jury: providers of replicas commit to a result, then reveal it; equal ones decide, by count alone.

It is a contract of its own, the only caller of the market's `judge`; nobody who stays silent is guilty.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.market.bid import Bid
from ledger.market.calls.market import Market, require
from ledger.market.delegation import Role
from ledger.market.events import LeaseJudged, MarketEvent, ReplicasDecided, ResultCommitted, ResultRevealed
from ledger.market.identity import NO_DIGEST, Address, BidId, Digest, LeaseId
from ledger.market.lease import ClosedBecause, Lease, LeaseTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Revelation:
    """What a provider reveals. `bid_id` is the digest of the bid that it shows; `opens`: result and salt
    hash to what it committed to."""

    bid_id: BidId
    bid: Bid
    result: Digest
    opens: bool


class JuryCalls(Market):
    """Calls to the jury, and what it makes of the market's leases."""

    __slots__ = ()

    def _commit_until(self, lease: Lease) -> int:
        seconds = lease.terms.duration if lease.ended_after is None else lease.ended_after
        return lease.start + seconds + self.policy.jury_patience

    def _replica(self, caller: Address, terms: LeaseTerms, at: int) -> tuple[LeaseId, Lease]:
        allowed = self.may(caller, terms.provider, Role.OPERATE, at)
        require(allowed, "not-the-provider", "The caller is neither the provider nor its operator.")
        return self._undecided(terms)

    def _undecided(self, terms: LeaseTerms) -> tuple[LeaseId, Lease]:
        lease_id, lease = self.open_lease(terms)
        require(lease.undecided, "not-undecided", "The lease is no replica that waits for its judgement.")
        return lease_id, lease

    def commit_result(
        self, caller: Address, terms: LeaseTerms, commitment: Digest, at: int
    ) -> list[MarketEvent]:
        lease_id, lease = self._replica(caller, terms, at)
        require(commitment != NO_DIGEST, "empty-commitment", "The commitment is empty.")
        require(lease_id not in self.state.commitments, "committed-before", "It was committed before.")
        require(at <= self._commit_until(lease), "too-late", "The time to commit has passed.")
        return self._log(ResultCommitted(lease=lease_id, provider=terms.provider, commitment=commitment))

    def reveal_result(
        self, caller: Address, terms: LeaseTerms, shown: Revelation, at: int
    ) -> list[MarketEvent]:
        """Once all have committed, or the time to commit is over: nobody can copy another's result."""
        lease_id, lease = self._replica(caller, terms, at)
        require(shown.bid_id == terms.bid, "another-bid", "The bid is not the lease's.")
        committed = lease_id in self.state.commitments
        require(committed and shown.opens, "commitment", "Result and salt are not what was committed.")
        everybody = self.state.commits.get(terms.bid, 0) == shown.bid.members
        require(everybody or at > self._commit_until(lease), "too-early", "Others may still commit.")
        in_time = at <= self._commit_until(lease) + self.policy.jury_patience
        require(in_time, "too-late", "The time to reveal has passed.")
        require(shown.result != NO_DIGEST, "empty-result", "The result is empty.")
        require(lease_id not in self.state.results, "revealed-before", "It was revealed before.")
        return self._log(ResultRevealed(lease=lease_id, provider=terms.provider, result=shown.result))

    def decide_replicas(
        self, bid_id: BidId, bid: Bid, members: Sequence[LeaseTerms], at: int
    ) -> list[MarketEvent]:
        """By anybody, once all have revealed or nobody may any more."""
        numbered = [terms.member for terms in members] == list(range(bid.members))
        same = all(terms.bid == bid_id for terms in members)
        require(numbered and same, "not-the-members", "These are not all members of the bid, in order.")
        leases = dict(self._undecided(terms) for terms in members)
        require(self._ripe(leases, bid_id, at), "too-early", "Results may still come.")
        votes = Counter(self.state.results[lease] for lease in leases if lease in self.state.results)
        agreed = next(((r, n) for r, n in votes.items() if n >= bid.agree), (NO_DIGEST, 0))
        events = self._log(ReplicasDecided(bid=bid_id, result=agreed[0], agreed=agreed[1]))
        for lease_id in leases:
            told = self.state.results.get(lease_id)
            guilty = agreed[1] > 0 and told is not None and told != agreed[0]
            events += self._judge(lease_id, guilty, at)
        return events

    def _ripe(self, leases: dict[LeaseId, Lease], bid_id: BidId, at: int) -> bool:
        last_commit = max((self._commit_until(lease) for lease in leases.values()), default=0)
        if all(lease in self.state.results for lease in leases):
            return True
        nobody = not self.state.commits.get(bid_id, 0)
        return at > last_commit + self.policy.jury_patience or (nobody and at > last_commit)

    def _judge(self, lease_id: LeaseId, guilty: bool, at: int) -> list[MarketEvent]:
        lease = self.state.leases[lease_id]
        start, ended = lease.start, lease.ended_after or 0
        if not guilty:
            ended = ended or max(at - start, 1)
            start = at - ended
        events = self._log(LeaseJudged(lease=lease_id, guilty=guilty, start=start, ended_after=ended))
        if guilty:
            lock = self.policy.lock_for(lease.escrow)
            events += self.close_lease(lease_id, ClosedBecause.JUDGED, lock)
        return events
