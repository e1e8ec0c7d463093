"""A small market with every kind of demand, and a recount of its clearing from the orders alone.

The recount shares no code with the matcher but the kernel's money: it is what a trader with pen and paper
would check. Everybody is in one region and asks for one vendor; who may serve whom is told apart by the
goods instead.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.capability import below_floors, reaches
from ledger.market.domains import Preference, permits
from ledger.market.identity import NOBODY, Address, BidId, OfferId
from ledger.market.money import escrow_for, highest_rate, rate_of
from ledger.market.resource import LANE_NAMES, Quantities
from ledger.market.traits import Traits
from matcher.book import BidPlaced, Book, BookEvent, OfferListed, StakeChanged
from matcher.clearing import Clearing, Match, MatchMember
from matcher.orders import BidOrder, OfferOrder
from tests.factories import HOUR, NOW, a_digest, an_address, bid_order, offer_order

PROVIDERS = tuple(an_address(name) for name in ("ada", "bob", "cai"))
DOMAINS = ("lab/berlin", "lab/paris", "club/berlin")
BUYERS = tuple(an_address(name) for name in ("buyer", "other buyer", "third buyer"))
GROUPS = (BidId(a_digest("one group")), BidId(a_digest("another group")))
LONG = 600 * HOUR
"""seconds after which a rate of a few milli-base-units has become whole base units"""
WHOLE_STAKE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Offers, waiting bids, and each provider's free stake, of which a lease locks its whole escrow; without
    stakes it locks nothing."""

    offers: tuple[OfferOrder, ...]
    bids: tuple[BidOrder, ...]
    stakes: tuple[int, ...] = ()

    def events(self) -> Iterator[BookEvent]:
        """What makes its book."""
        yield from (OfferListed(order=order) for order in self.offers)
        yield from (BidPlaced(order=order) for order in self.bids)
        for provider, free in zip(PROVIDERS, self.stakes, strict=False):
            yield StakeChanged(provider=provider, free=free)

    def book(self) -> Book:
        return Book(self.events(), stake_bps=WHOLE_STAKE if self.stakes else 0)

    def bid(self, bid: BidId) -> BidOrder:
        return next(order for order in self.bids if order.id == bid)

    def offer(self, offer: OfferId) -> OfferOrder:
        return next(order for order in self.offers if order.id == offer)


def ask_rate(offer: OfferOrder, order: BidOrder) -> int:
    """What one member costs there at least."""
    return rate_of(offer.offer.ask, order.bid.want)


def surplus(market: Market, match: Match) -> int:
    """What a match is worth, preferences included, less what its offers ask."""
    order = market.bid(match.bid)
    return sum(_surplus(order, market.offer(member.offer)) for member in match.members)


def _surplus(order: BidOrder, offer: OfferOrder) -> int:
    points = max((one.bonus for one in order.prefer if permits(offer.domain, (one.pattern,), ())), default=0)
    worth = order.bid.limit_rate + order.bid.limit_rate * points // 10_000
    return (worth - ask_rate(offer, order)) * order.bid.duration


def faults(market: Market, clearing: Clearing) -> list[str]:
    """Everything that is wrong with a clearing at `NOW`, a word each."""
    found = [*_names(market, clearing), *_once(market, clearing)]
    for match in clearing.matches:
        order = market.bid(match.bid)
        found += _spread(market, order, match)
        for member in match.members:
            offer = market.offer(member.offer)
            found += [*_prices(order, offer, member), *_goods(order, offer), *_who(order, offer)]
            found += _times(order, offer)
    placed = [(market.bid(match.bid), member) for match in clearing.matches for member in match.members]
    return [*found, *overfull(market, placed), *_stakes(market, placed)]


def _names(market: Market, clearing: Clearing) -> Iterator[str]:
    told = Counter([match.bid for match in clearing.matches] + list(clearing.unmatched))
    if told != Counter(order.id for order in market.bids):
        yield "each bid once"


def _once(market: Market, clearing: Clearing) -> Iterator[str]:
    served = [market.bid(match.bid) for match in clearing.matches]
    groups = Counter(order.group for order in served if order.group is not None)
    nonces = Counter((order.bid.buyer, order.bid.nonce) for order in served)
    if any(count > 1 for count in (*groups.values(), *nonces.values())):
        yield "two alternatives"


def _spread(market: Market, order: BidOrder, match: Match) -> Iterator[str]:
    offers = [market.offer(member.offer) for member in match.members]
    providers, domains = {one.offer.provider for one in offers}, {one.domain for one in offers}
    if len(offers) != order.members:
        yield "gang not whole"
    if (order.distinct or order.replicated) and len(providers) < order.members:
        yield "providers not distinct"
    if order.replicated and len(domains) < order.members:
        yield "domains not distinct"
    if order.same_provider and len(providers) > 1:
        yield "not one provider"
    if order.same_domain and len(domains) > 1:
        yield "not one domain"


def _prices(order: BidOrder, offer: OfferOrder, member: MatchMember) -> Iterator[str]:
    least = ask_rate(offer, order)
    if member.rate < least:
        yield "below the ask"
    if member.rate > order.bid.limit_rate:
        yield "above the limit"
    if member.rate > max(least, highest_rate(least, order.bid.max_over_ask_bps)):
        yield "above what the bid allows over the ask"


def _goods(order: BidOrder, offer: OfferOrder) -> Iterator[str]:
    demand, traits = order.bid.traits, offer.offer.traits
    if not demand.vendors & traits.vendors or not demand.regions & traits.regions:
        yield "vendor or region"
    if demand.features & ~traits.features or demand.model not in (0, traits.model):
        yield "features or model"
    if demand.gpu_memory_mib > traits.gpu_memory_mib or demand.capability > traits.capability:
        yield "memory or capability"
    if order.models and traits.model not in order.models:
        yield "models"
    if order.devices and order.profile != offer.profile:
        yield "profile"
    if below_floors(offer.capability, order.floors):
        yield "floors"
    if order.weights and not reaches(offer.capability, order.weights, order.min_score):
        yield "score"


def _who(order: BidOrder, offer: OfferOrder) -> Iterator[str]:
    provider = offer.offer.provider
    if not permits(offer.domain, order.allow, order.deny):
        yield "domain"
    if provider in order.exclude or provider == order.bid.buyer:
        yield "excluded"
    if order.bid.provider not in (NOBODY, provider) or (order.providers and provider not in order.providers):
        yield "providers"
    if offer.reputation < order.min_reputation:
        yield "reputation"
    if order.data_region and dict(offer.latency).get(order.data_region, 1 << 40) > order.max_latency_ms:
        yield "latency"


def _times(order: BidOrder, offer: OfferOrder) -> Iterator[str]:
    bid, ends = order.bid, NOW + order.bid.duration
    if not offer.offer.min_seconds <= bid.duration <= offer.offer.max_seconds or not bid.duration:
        yield "duration"
    if min(bid.valid_until, bid.start_by) < NOW or ends > offer.offer.valid_until or order.start_at > NOW:
        yield "validity"
    if order.deadline and ends > order.deadline:
        yield "deadline"


def overfull(market: Market, placed: Iterable[tuple[BidOrder, MatchMember]]) -> Iterator[str]:
    """Which lanes and devices these leases together fill beyond what the offers have."""
    lanes: dict[OfferId, list[int]] = defaultdict(lambda: [0] * len(LANE_NAMES))
    devices: dict[tuple[OfferId, int], list[int]] = defaultdict(lambda: [0, 0])
    for order, member in placed:
        offer = market.offer(member.offer)
        lanes[offer.id] = [a + b for a, b in zip(lanes[offer.id], order.bid.want, strict=True)]
        if len(set(member.devices)) != order.devices or len(member.devices) != order.devices:
            yield "number of devices"
        if not set(member.devices) <= set(range(offer.device_count)):
            yield "no such device"
        for number in member.devices:
            devices[offer.id, number][0] += order.share
            devices[offer.id, number][1] += order.device_memory
    for name, used in lanes.items():
        if any(a > b for a, b in zip(used, market.offer(name).offer.capacity, strict=True)):
            yield "lanes"
    for (name, _), (milli, memory) in devices.items():
        offer = market.offer(name)
        if milli > min(1_000, offer.offer.capacity.gpu) or memory > offer.device_memory:
            yield "devices"


def _stakes(market: Market, placed: Iterable[tuple[BidOrder, MatchMember]]) -> Iterator[str]:
    if not market.stakes:
        return
    locked: Counter[Address] = Counter()
    for order, member in placed:
        locked[market.offer(member.offer).offer.provider] += escrow_for(member.rate, order.bid.duration)
    stakes = dict(zip(PROVIDERS, market.stakes, strict=True))
    if any(lock > stakes[provider] for provider, lock in locked.items()):
        yield "stake"


def mostly(usual: Any, *rare: Any) -> st.SearchStrategy[Any]:
    """Six times in seven the usual value."""
    return st.sampled_from([usual] * 6 * len(rare) + list(rare))


@st.composite
def offers(draw: st.DrawFn, number: int) -> OfferOrder:
    """An offer with few units of everything, so that a handful of bids fill it."""
    gpu = draw(st.sampled_from([0, 500, 1_000, 2_000, 3_000]))
    count = -(-gpu // 1_000)
    return offer_order(
        f"offer {number}",
        draw(st.sampled_from(DOMAINS)),
        draw(mostly(500, 0)),
        provider=draw(st.sampled_from(PROVIDERS)),
        capacity=Quantities(
            cpu=draw(st.integers(1, 8)), memory=draw(st.integers(2, 8)), gpu=gpu, gpu_memory=count * 16
        ),
        ask=Quantities(
            cpu=draw(st.integers(0, 4)), memory=draw(st.integers(0, 2)), gpu=draw(mostly(0, 1, 2))
        ),
        traits=Traits(
            vendors=0b11,
            regions=1,
            features=draw(mostly(0b11, 0b01)),
            gpu_memory_mib=16 if gpu else 0,
            capability=80,
            model=draw(mostly(1, 2)),
        ),
        min_seconds=draw(mostly(1, LONG)),
        max_seconds=1 << 31,
        valid_until=draw(mostly(1 << 39, NOW + LONG)),
        profile=draw(mostly("", "1g.10gb")) if gpu else "",
        capability=draw(mostly((("bf16", 900_000),), ())),
        latency=draw(mostly((("eu-west", 10),), ())),
    )


@st.composite
def bids(draw: st.DrawFn, number: int) -> BidOrder:
    """A bid that asks for one or two of all the things that can be asked for. It shares a group with others
    or a nonce, never both: a chain of the two is served one at a time."""
    gpu = draw(st.sampled_from([0, 0, 300, 500, 500, 1_000, 2_000]))
    count = -(-gpu // 1_000)
    members = draw(st.sampled_from([1, 1, 1, 2, 3]))
    group = draw(mostly(None, *GROUPS))
    shape = draw(mostly({}, *SHAPES)) if members > 1 else {}
    return bid_order(
        f"bid {number}",
        draw(st.integers(0, 9)),
        buyer=draw(st.sampled_from([*BUYERS, *BUYERS, PROVIDERS[0]])),
        want=Quantities(
            cpu=draw(st.integers(1, 4)),
            memory=draw(st.integers(0, 3)),
            gpu=gpu,
            gpu_memory=draw(st.sampled_from([0, 6, 10])) * count,
        ),
        traits=Traits(
            vendors=0b01, regions=0b1, features=draw(mostly(0b01, 0b11)), model=draw(mostly(0, 1, 2))
        ),
        limit_rate=draw(st.integers(0, 40)) * (1_000 if gpu else 1) + draw(st.integers(0, 20)),
        max_over_ask_bps=draw(st.sampled_from([0, 1_000, 65_535])),
        duration=draw(mostly(LONG, LONG // 2, LONG + HOUR)),
        members=members,
        nonce=number if group else draw(mostly(number, 1_000)),
        provider=draw(mostly(NOBODY, PROVIDERS[1])),
        group=group,
        **shape,
        **draw(mostly({}, *GOODS)),
    )


SHAPES: Sequence[dict[str, Any]] = (
    {"flags": DISTINCT},
    {"flags": REPLICAS | 2 << AGREE_SHIFT},
    {"same_provider": True},
    {"same_domain": True},
)
GOODS: Sequence[dict[str, Any]] = (
    {"allow": ("lab/*",)},
    {"deny": ("lab/paris",)},
    {"prefer": (Preference(pattern="lab/*", bonus=4_000), Preference(pattern="lab/paris", bonus=9_000))},
    {"exclude": frozenset({PROVIDERS[0]})},
    {"providers": frozenset(PROVIDERS[1:])},
    {"min_reputation": 500},
    {"models": frozenset({2, 3})},
    {"floors": (("bf16", 900_000),)},
    {"weights": (("bf16", 1),), "min_score": 900},
    {"data_region": "eu-west", "max_latency_ms": 10},
    {"deadline": NOW + LONG},
    {"start_at": NOW + 1},
    {"start_by": NOW},
    {"valid_until": NOW - 1},
)


@st.composite
def markets(draw: st.DrawFn, *, most_bids: int = 6) -> Market:
    """Up to five offers, some bids, and stakes that are short, ample or of no effect."""
    lent = [draw(offers(number)) for number in range(draw(st.integers(1, 5)))]
    asked = [draw(bids(number)) for number in range(1, 1 + draw(st.integers(1, most_bids)))]
    stakes = draw(st.sampled_from([(), (12, 12, 0), (40_000, 30, 9), (1 << 90,) * 3]))
    return Market(offers=tuple(lent), bids=tuple(asked), stakes=stakes)


def without(market: Market, *names: str) -> Market:
    """The same market in which no bid asks for these things."""
    plain = bid_order()
    asked = [replace(order, **{name: getattr(plain, name) for name in names}) for order in market.bids]
    return replace(market, bids=tuple(asked))
