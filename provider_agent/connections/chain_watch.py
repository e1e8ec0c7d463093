"""From the chain's facts to what they mean for this provider's leases; other people's facts mean nothing.

The agent follows the market through its own RPC endpoint: no word of the node opens or ends a lease.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.market.events import (
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    OfferCancelled,
    OfferRegistered,
)
from ledger.market.events import LeaseTerminated as TerminatedOnChain
from ledger.market.events import UsageSettled as SettledOnChain
from ledger.market.identity import Address, LeaseId, OfferId
from ledger.market.offer import Offer
from provider_agent.lifecycle.stimuli import LeaseEnded, LeaseSeen, LeaseTerminated, Stimulus, UsageSettled


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseNews:
    """Something happened to a lease of this provider; `paid` is its total where the fact says so."""

    lease: LeaseId
    stimulus: Stimulus
    paid: int | None = None
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferNews:
    """An offer of this provider was registered, or cancelled (`offer` None)."""

    id: OfferId
    offer: Offer | None


News = LeaseNews | OfferNews


def news_of(events: Iterable[MarketEvent], provider: Address, at: int) -> list[News]:
    """What the events mean for `provider`, in their order; `at` is milliseconds since 1970."""
    found = (_news(event, provider, at) for event in events)
    return [news for news in found if news is not None]


def _news(event: MarketEvent, provider: Address, at: int) -> News | None:
    match event:
        case OfferRegistered(id=name, offer=offer) if offer.provider == provider:
            return OfferNews(id=name, offer=offer)
        case OfferCancelled(id=name, provider=owner) if owner == provider:
            return OfferNews(id=name, offer=None)
        case LeaseOpened(id=lease, terms=terms) if terms.provider == provider:
            seen = LeaseSeen(at=at, id=lease, terms=terms, start=event.start, escrow=event.escrow)
            return LeaseNews(lease=lease, stimulus=seen, opens=True)
        case TerminatedOnChain(lease=lease, provider=owner, ended_after=after) if owner == provider:
            return LeaseNews(lease=lease, stimulus=LeaseTerminated(at=at, ended_after=after))
        case SettledOnChain(lease=lease, provider=owner, milliseconds=paid_for) if owner == provider:
            settled = UsageSettled(at=at, milliseconds=paid_for)
            return LeaseNews(lease=lease, stimulus=settled, paid=event.paid)
        case LeaseClosed(lease=lease, provider=owner) if owner == provider:
            return LeaseNews(lease=lease, stimulus=LeaseEnded(at=at), paid=event.paid)
        case _:
            return None
