"""From the chain's facts to what they mean for this provider's leases; other people's facts mean nothing.

The agent follows the market through its own RPC endpoint: no word of the node opens or ends a lease. A
gang, or a lease that continues another one, is opened by several events of one block, so that a block's
events are read together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.market.events import (
    ClaimContested,
    ClaimOpened,
    LeaseClosed,
    LeaseContinued,
    LeaseOpened,
    MarketEvent,
    OfferCancelled,
    OfferRegistered,
    ReplicasOpened,
    ResultCommitted,
    ResultRevealed,
)
from ledger.market.events import LeaseJudged as JudgedOnChain
from ledger.market.events import LeaseTerminated as TerminatedOnChain
from ledger.market.events import UsageSettled as SettledOnChain
from ledger.market.identity import Address, LeaseId, OfferId
from ledger.market.lease import ClosedBecause
from ledger.market.offer import Offer
from provider_agent.lifecycle.lease_state import Replica
from provider_agent.lifecycle.stimuli import (
    ClaimStands,
    HandedOver,
    LeaseEnded,
    LeaseJudged,
    LeaseSeen,
    LeaseTerminated,
    ResultTaken,
    Stimulus,
    UsageSettled,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseNews:
    """Something happened to a lease; `paid` is its total in base units where the fact says so."""

    lease: LeaseId
    stimulus: Stimulus | None
    paid: int | None = None
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferNews:
    """An offer of this provider was registered, or cancelled (`offer` None)."""

    id: OfferId
    offer: Offer | None


News = LeaseNews | OfferNews


def news_of(events: Sequence[MarketEvent], provider: Address, at: int) -> list[News]:
    """What a block's events mean for `provider`, in their order; `at` is milliseconds since 1970."""
    reading = _Reading(
        provider=provider,
        at=at,
        continued={one.lease: one.previous for one in events if isinstance(one, LeaseContinued)},
        opened=tuple(one for one in events if isinstance(one, LeaseOpened)),
        replicas=tuple(one for one in events if isinstance(one, ReplicasOpened)),
    )
    found = (reading.news(event) for event in events)
    return [news for news in found if news is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One block as one provider reads it."""

    provider: Address
    at: int
    continued: dict[LeaseId, LeaseId]
    opened: tuple[LeaseOpened, ...]
    replicas: tuple[ReplicasOpened, ...]

    def news(self, event: MarketEvent) -> News | None:
        match event:
            case OfferRegistered(id=name, offer=offer) if offer.provider == self.provider:
                return OfferNews(id=name, offer=offer)
            case OfferCancelled(id=name, provider=owner) if owner == self.provider:
                return OfferNews(id=name, offer=None)
            case LeaseOpened() if event.terms.provider == self.provider:
                return LeaseNews(lease=event.id, stimulus=self._seen(event), opens=True)
            case LeaseContinued(previous=previous) if self._is_ours(event.lease):
                return LeaseNews(lease=previous, stimulus=HandedOver(at=self.at))
            case JudgedOnChain(lease=lease, guilty=guilty, ended_after=after):
                judged = LeaseJudged(at=self.at, guilty=guilty, ended_after=after)
                return LeaseNews(lease=lease, stimulus=judged)
            case ResultCommitted() | ResultRevealed() if event.provider == self.provider:
                taken = ResultTaken(at=self.at, revealed=isinstance(event, ResultRevealed))
                return LeaseNews(lease=event.lease, stimulus=taken)
            case TerminatedOnChain() | SettledOnChain() | LeaseClosed() | ClaimOpened() | ClaimContested():
                return self._of_lease(event) if event.provider == self.provider else None
            case _:
                return None

    def _of_lease(
        self, event: TerminatedOnChain | SettledOnChain | LeaseClosed | ClaimOpened | ClaimContested
    ) -> LeaseNews:
        at, lease = self.at, event.lease
        match event:
            case TerminatedOnChain(ended_after=after):
                return LeaseNews(lease=lease, stimulus=LeaseTerminated(at=at, ended_after=after))
            case SettledOnChain(milliseconds=paid_for, paid=paid):
                settled = UsageSettled(at=at, milliseconds=paid_for)
                return LeaseNews(lease=lease, stimulus=settled, paid=paid)
            case LeaseClosed(paid=paid, because=ClosedBecause.CONTINUED):
                return LeaseNews(lease=lease, stimulus=None, paid=paid)
            case LeaseClosed(paid=paid, because=because):
                ended = LeaseEnded(at=at, agreed=because is ClosedBecause.LAST_RECEIPT)
                return LeaseNews(lease=lease, stimulus=ended, paid=paid)
            case ClaimOpened(until=until):
                return LeaseNews(lease=lease, stimulus=ClaimStands(at=at, until=until, contested=False))
            case ClaimContested(until=until):
                return LeaseNews(lease=lease, stimulus=ClaimStands(at=at, until=until, contested=True))

    def _seen(self, event: LeaseOpened) -> LeaseSeen:
        return LeaseSeen(
            at=self.at,
            id=event.id,
            terms=event.terms,
            start=event.start,
            escrow=event.escrow,
            continues=self.continued.get(event.id),
            replica=self._replica(event),
        )

    def _replica(self, event: LeaseOpened) -> Replica | None:
        drawn = next((one for one in self.replicas if one.bid == event.terms.bid), None)
        if drawn is None:
            return None
        gang = [one.terms for one in self.opened if one.terms.bid == drawn.bid]
        members = tuple(sorted(gang, key=lambda terms: terms.member))
        return Replica(agree=drawn.agree, members=members)

    def _is_ours(self, lease: LeaseId) -> bool:
        return any(one.id == lease and one.terms.provider == self.provider for one in self.opened)
