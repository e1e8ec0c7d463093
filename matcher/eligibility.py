"""Eligibility: which offers may serve a bid, dimension by dimension; clearing and explanation share it.

What the contract checks is checked here by the same rule, or a match would be skipped on chain; what it
cannot see (domains, several models, profiles, floors, distances, deadlines, whom the buyer will have) is
checked here and again by the agent. Nonce, balance, epoch, signature and the bid's matcher are the
exchange's to check, before a bid enters the book; what members of a gang owe each other is
`matcher.batch`'s.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ledger.market.bid import AGREE_SHIFT, DISTINCT, MAX_MEMBERS, MAX_REPLICAS, REPLICAS, Bid
from ledger.market.capability import reaches
from ledger.market.domains import WHOLE, permits, preferred
from ledger.market.identity import NO_DIGEST, NOBODY, Address
from ledger.market.resource import LANE_NAMES
from matcher.columns import Numbers, OfferView
from matcher.orders import BidOrder

Mask = NDArray[np.bool_] | bool
"""one truth an offer, or one for all of them"""

_MOST_RATE = (1 << 64) - 1
_UNKNOWN_LATENCY = 1 << 32

LANE_DIMENSIONS = {lane: lane for lane in LANE_NAMES} | {"gpu_memory": "gpu_memory_total"}
"""dimension of each lane; `gpu_memory` alone is the trait, the memory of one device"""


def faulty_terms(bid: Bid) -> tuple[str, ...]:
    """What makes this bid unfit for any offer: the contract would skip it whatever it is matched with."""
    faults = (
        ("it wants nothing", not any(bid.want)),
        ("the reserved lane is not 0", bid.want.reserved != 0),
        ("its signer is the zero address", bid.signer == NOBODY),
        ("its duration is 0", bid.duration == 0),
        (f"its flags {bid.flags} are unknown, or not for {bid.members} members", not _known_flags(bid)),
        ("it continues a lease, so no other offer may serve it", bid.continues != NO_DIGEST),
    )
    return tuple(fault for fault, present in faults if present)


def _known_flags(bid: Bid) -> bool:
    if bid.members == 1 or not bid.replicated:
        return bid.flags == 0 or (bid.flags == DISTINCT and bid.members > 1)
    known = bid.flags & ~(DISTINCT | REPLICAS) == bid.agree << AGREE_SHIFT
    return known and bid.members <= MAX_REPLICAS and bid.members < 2 * bid.agree <= 2 * bid.members


def conditions(offers: OfferView, order: BidOrder, rates: Numbers, at: int) -> Iterator[tuple[str, Mask]]:
    """Each dimension's name and where it holds for one member of the order at the time `at`, in seconds;
    whether there is room for all its members is the clearing's to say."""
    yield "terms", not faulty_terms(order.bid)
    yield "members", 1 <= order.members <= MAX_MEMBERS
    yield from _lanes(offers, order)
    yield from _traits(offers, order)
    yield from _devices(offers, order)
    yield from _capability(offers, order)
    yield from _times(offers, order, at)
    yield from _parties(offers, order)
    yield from _standing(offers, order, rates)
    yield "price", rates <= order.bid.limit_rate


def eligible(offers: OfferView, order: BidOrder, rates: Numbers, at: int) -> NDArray[np.bool_]:
    """Where every dimension holds."""
    fit = np.ones(len(offers.orders), dtype=np.bool_)
    for _, met in conditions(offers, order, rates, at):
        fit &= met
        if not fit.any():
            break
    return fit


def plain(order: BidOrder) -> bool:
    """Whether the order asks for nothing beyond lanes, traits, devices, domains, parties, reputation, stake,
    deadline and price: the dimensions that the index compares by itself."""
    return not (order.floors or order.weights or order.data_region or order.start_at)


def bonus_in(order: BidOrder, domain: str) -> int:
    """By how much a place in this domain may cost more than another and is still taken first: rate of one
    member, in milli-base-units per hour. It orders places; it raises no limit and changes no price."""
    return order.bid.limit_rate * preferred(domain, order.prefer) // WHOLE


def _lanes(offers: OfferView, order: BidOrder) -> Iterator[tuple[str, Mask]]:
    for free, (lane, dimension) in zip(offers.free, LANE_DIMENSIONS.items(), strict=True):
        amount = getattr(order.bid.want, lane)
        if amount:
            yield dimension, free >= amount


def _traits(offers: OfferView, order: BidOrder) -> Iterator[tuple[str, Mask]]:
    demand = order.bid.traits
    yield "vendor", (offers.column("vendors") & demand.vendors) != 0
    yield "region", (offers.column("regions") & demand.regions) != 0
    yield "features", (offers.column("features") & demand.features) == demand.features
    yield "gpu_memory", offers.column("gpu_memory_mib") >= demand.gpu_memory_mib
    yield "capability", offers.column("capability") >= demand.capability
    yield "model", demand.model == 0 or offers.column("model") == demand.model
    if order.models:
        yield "models", np.isin(offers.column("model"), np.array(sorted(order.models), dtype=np.uint64))


def _devices(offers: OfferView, order: BidOrder) -> Iterator[tuple[str, Mask]]:
    """The lane counts what is free on all devices together; a member needs it on each of its own."""
    if order.devices:
        number = offers.profiles.get(order.profile)
        yield "profile", number is not None and offers.column("profile") == number
        yield "devices", offers.room(order.devices, order.share, order.device_memory)


def _capability(offers: OfferView, order: BidOrder) -> Iterator[tuple[str, Mask]]:
    if order.floors:
        met = np.ones(len(offers.orders), dtype=np.bool_)
        for precision, least in order.floors:
            met &= offers.sparse("capability", precision, 0) >= least
        yield "floors", met
    if order.weights:
        yield "score", _reaching(offers, order)


def _reaching(offers: OfferView, order: BidOrder) -> NDArray[np.bool_]:
    """Offers with equal figures are judged once: devices of one model mostly measure alike."""
    names = [precision for precision, _ in order.weights]
    kinds, kind_of = np.unique(
        np.stack([offers.sparse("capability", name, 0) for name in names]), axis=1, return_inverse=True
    )
    measured = (tuple(zip(names, kind, strict=True)) for kind in kinds.T.tolist())
    good = [reaches(figures, order.weights, order.min_score) for figures in measured]
    return np.array(good, dtype=np.bool_)[kind_of.reshape(-1)]


def _times(offers: OfferView, order: BidOrder, at: int) -> Iterator[tuple[str, Mask]]:
    bid = order.bid
    yield (
        "duration",
        (offers.column("min_seconds") <= bid.duration) & (offers.column("max_seconds") >= bid.duration),
    )
    in_time = at <= min(bid.valid_until, bid.start_by)
    yield "validity", in_time and offers.column("valid_until") >= at + bid.duration
    if order.deadline:
        yield "deadline", at + bid.duration <= order.deadline
    if order.start_at:
        yield "start_at", at >= order.start_at


def _parties(offers: OfferView, order: BidOrder) -> Iterator[tuple[str, Mask]]:
    bid, provider = order.bid, offers.column("provider")
    if order.allow or order.deny:
        allowed = [n for name, n in offers.domains.items() if permits(name, order.allow, order.deny)]
        yield "domain", np.isin(offers.column("domain"), np.array(allowed, dtype=np.uint64))
    if bid.provider != NOBODY:
        number = offers.providers.get(bid.provider)
        yield "provider", number is not None and provider == number
    if order.providers:
        yield "providers", np.isin(provider, _numbers(offers, order.providers))
    excluded = _numbers(offers, order.exclude)
    if excluded.size:
        yield "excluded", ~np.isin(provider, excluded)
    if bid.buyer in offers.providers:
        yield "self_trade", provider != offers.providers[bid.buyer]
    if order.data_region:
        milliseconds = offers.sparse("latency", order.data_region, _UNKNOWN_LATENCY)
        yield "latency", milliseconds <= order.max_latency_ms


def _numbers(offers: OfferView, names: Iterable[Address]) -> Numbers:
    """The numbers of those providers that this market has seen."""
    known = sorted(offers.providers[name] for name in names if name in offers.providers)
    return np.array(known, dtype=np.uint64)


def _standing(offers: OfferView, order: BidOrder, rates: Numbers) -> Iterator[tuple[str, Mask]]:
    if order.min_reputation:
        yield "reputation", offers.column("reputation") >= order.min_reputation
    if offers.stake_bps and order.bid.duration:
        highest = offers.highest_rates(order.bid.duration)
        if rates.dtype != object:
            highest = [min(rate, _MOST_RATE) for rate in highest]
        by_provider = np.array(highest, dtype=rates.dtype)
        yield "stake", rates <= by_provider[offers.column("provider").astype(np.intp)]
