"""Eligibility: which offers may serve a bid, dimension by dimension; clearing and explanation share it.

What the contract checks is checked here by the same rule, or a match would be skipped on chain; what it
cannot see (domains, excluded providers) is checked here and again by the agent. Nonce, balance, epoch,
signature and the bid's matcher are the exchange's to check, before a bid enters the book.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ledger.market.bid import AGREE_SHIFT, DISTINCT, MAX_MEMBERS, MAX_REPLICAS, REPLICAS, Bid
from ledger.market.domains import permits
from ledger.market.identity import NO_DIGEST, NOBODY
from ledger.market.resource import LANE_NAMES
from matcher.columns import Numbers, OfferView
from matcher.orders import BidOrder

Mask = NDArray[np.bool_] | bool
"""one truth an offer, or one for all of them"""

_MOST_RATE = (1 << 64) - 1

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
    whether there is room for all its members is `matcher.placement`' to say."""
    yield "terms", not faulty_terms(order.bid)
    yield "members", 1 <= order.members <= MAX_MEMBERS
    yield from _lanes(offers, order)
    yield from _traits(offers, order)
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


def _times(offers: OfferView, order: BidOrder, at: int) -> Iterator[tuple[str, Mask]]:
    bid = order.bid
    yield (
        "duration",
        (offers.column("min_seconds") <= bid.duration) & (offers.column("max_seconds") >= bid.duration),
    )
    in_time = at <= min(bid.valid_until, bid.start_by)
    yield "validity", in_time and offers.column("valid_until") >= at + bid.duration


def _parties(offers: OfferView, order: BidOrder) -> Iterator[tuple[str, Mask]]:
    bid, provider = order.bid, offers.column("provider")
    if order.allow or order.deny:
        allowed = [n for name, n in offers.domains.items() if permits(name, order.allow, order.deny)]
        yield "domain", np.isin(offers.column("domain"), np.array(allowed, dtype=np.uint64))
    if bid.provider != NOBODY:
        number = offers.providers.get(bid.provider)
        yield "provider", number is not None and provider == number
    excluded = [offers.providers[name] for name in order.exclude if name in offers.providers]
    if excluded:
        yield "excluded", ~np.isin(provider, np.array(excluded, dtype=np.uint64))
    if bid.buyer in offers.providers:
        yield "self_trade", provider != offers.providers[bid.buyer]


def _standing(offers: OfferView, order: BidOrder, rates: Numbers) -> Iterator[tuple[str, Mask]]:
    if order.min_reputation:
        yield "reputation", offers.column("reputation") >= order.min_reputation
    if offers.stake_bps and order.bid.duration:
        highest = offers.highest_rates(order.bid.duration)
        if rates.dtype != object:
            highest = [min(rate, _MOST_RATE) for rate in highest]
        by_provider = np.array(highest, dtype=rates.dtype)
        yield "stake", rates <= by_provider[offers.column("provider").astype(np.intp)]
