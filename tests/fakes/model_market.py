"""A reference market with one offer, a staked provider and a rich buyer, for tests of the model's calls.

Ids are hashes of `repr`: the model takes them from outside, and only that they differ matters here.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from ledger.market.bid import Bid
from ledger.market.events import LeaseOpened, MarketEvent
from ledger.market.identity import NO_DIGEST, BidId, LeaseId, OfferId
from ledger.market.lease import LeaseTerms
from ledger.market.model import Fill, GangFill, MarketModel, Settlement
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import UsageReceipt
from tests.factories import NOW, a_bid, an_address, an_offer

BUYER, PROVIDER, NODE = an_address("buyer"), an_address("provider"), an_address("node")
GUARDIAN, ARBITER, KEY = an_address("guardian"), an_address("arbiter"), an_address("key")
PROVIDERS = (PROVIDER, an_address("rival"), an_address("third"))
DEPOSIT, STAKE = 10**9, 10**6
TOTAL = DEPOSIT + 2 * STAKE * len(PROVIDERS)
"""what the market holds: the buyer's deposit, and of each provider a stake and as much free balance"""


def lease_id(terms: LeaseTerms) -> LeaseId:
    return LeaseId(sha256(repr(terms).encode()).digest())


def offer_id(offer: Offer) -> OfferId:
    return OfferId(sha256(repr(offer).encode()).digest())


def bid_id(bid: Bid) -> BidId:
    return BidId(sha256(repr(bid).encode()).digest())


def offer_of(number: int = 0) -> Offer:
    """The standing offer of one of the providers."""
    return an_offer(provider=PROVIDERS[number])


def a_market() -> MarketModel:
    """Every provider has staked and registered its offer."""
    model = MarketModel(policy=EMBEDDED, lease_id=lease_id, guardian=GUARDIAN, arbiter=ARBITER)
    model.deposit(BUYER, DEPOSIT)
    for number, provider in enumerate(PROVIDERS):
        model.deposit(provider, 2 * STAKE)
        model.stake(provider, STAKE)
        model.register_offer(provider, offer_id(offer_of(number)), offer_of(number), NOW)
    return model


def fill_of(bid: Bid, offer: Offer | None = None, **changes: Any) -> Fill:
    """The bid on an offer, at its ask."""
    offer = offer or offer_of()
    fill = Fill(
        offer_id=offer_id(offer),
        offer=offer,
        bid_id=bid_id(bid),
        bid=bid,
        rate=rate_of(offer.ask, bid.want),
        authentic=True,
    )
    return replace(fill, **changes)


def gang_of(bid: Bid, offers: Sequence[Offer | None], **changes: Any) -> GangFill:
    """The bid's members on these offers, in their order; None for an offer that was not given."""
    shape = fill_of(bid, **changes)
    members = tuple(fill_of(bid, offer, **changes) if offer else None for offer in offers)
    return GangFill(members=members, shape=shape, seed=NO_DIGEST)


def receipt_of(terms: LeaseTerms, milliseconds: int, *, last: bool = False, **changes: Any) -> Settlement:
    receipt = UsageReceipt(lease=lease_id(terms), milliseconds=milliseconds, evidence=NO_DIGEST, last=last)
    return replace(Settlement(terms=terms, receipt=receipt, authentic=True), **changes)


def open_one(market: MarketModel, **changes: Any) -> LeaseOpened:
    """The lease of `a_bid` on the first offer."""
    events = market.match_bid(NODE, fill_of(a_bid(**changes)), NOW)
    return opened_of(events)[0]


def opened_of(events: Sequence[MarketEvent]) -> list[LeaseOpened]:
    opened = [event for event in events if isinstance(event, LeaseOpened)]
    assert opened, events
    return opened


def kinds(events: Sequence[MarketEvent]) -> list[str]:
    return [type(event).__name__ for event in events]
