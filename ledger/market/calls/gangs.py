"""Gangs: the members of one bid open together in one call, or none of them does."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.market.bid import MAX_MEMBERS
from ledger.market.calls.matching import Fill, MatchingCalls, check_fields, sound_flags
from ledger.market.events import BidSkipped, MarketEvent, ReplicasOpened
from ledger.market.identity import NO_DIGEST, Address, Digest
from ledger.market.money import escrow_for
from ledger.market.reasons import SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class GangFill:
    """The members in the order of their number, each on its offer at its rate; all have the same bid and
    signature. None stands for a member whose offer index points at no offer."""

    members: tuple[Fill | None, ...]
    shape: Fill
    """the bid, its id and who signed it; its offer and rate say nothing"""
    seed: Digest = NO_DIGEST


def total_escrow(members: Sequence[Fill]) -> int:
    """Base units that the buyer escrows for all of them."""
    return sum(escrow_for(fill.rate, fill.bid.duration) for fill in members)


class GangCalls(MatchingCalls):
    """The call that opens a gang."""

    __slots__ = ()

    def check_gang(self, matcher: Address, gang: GangFill, at: int) -> SkipReason:
        """The first reason for which the gang does not open."""
        bid = gang.shape.bid
        if reason := check_fields(bid):
            return reason
        if not sound_flags(bid):
            return SkipReason.FLAGS
        if not 2 <= bid.members <= MAX_MEMBERS or bid.members != len(gang.members):
            return SkipReason.MEMBERS
        if bid.continues != NO_DIGEST:
            return SkipReason.CONTINUES
        seated: list[Fill] = []
        for member in gang.members:
            if member is None:
                return SkipReason.OFFER_UNKNOWN
            if reason := self._check_member(matcher, member, seated, at):
                return reason
            seated.append(member)
        return self.check_buyer(gang.shape, total_escrow(seated), at)

    def _check_member(self, matcher: Address, fill: Fill, seated: Sequence[Fill], at: int) -> SkipReason:
        if reason := self.check_seat(matcher, fill, at, seated):
            return reason
        again = any(other.offer.provider == fill.offer.provider for other in seated)
        return SkipReason.DISTINCT if fill.bid.distinct and again else SkipReason.NONE

    def match_gang(self, matcher: Address, gang: GangFill, at: int) -> list[MarketEvent]:
        """All members or a logged reason; replicas are undecided until the jury has judged them."""
        self._not_paused(at)
        bid, bid_id = gang.shape.bid, gang.shape.bid_id
        if reason := self.check_gang(matcher, gang, at):
            return self._log(BidSkipped(bid=bid_id, reason=reason))
        members = [fill for fill in gang.members if fill]
        events = self.spend_allowance(gang.shape, total_escrow(members))
        for number, fill in enumerate(members):
            events += self.open_member(matcher, fill, number, at)
        if bid.replicated:
            events += self._log(
                ReplicasOpened(bid=bid_id, members=bid.members, agree=bid.agree, seed=gang.seed)
            )
        return events
