"""Mending: for each dimension on which a bid fails at an offer, the least change of the bid that meets it.

A mend answers None where nothing that its buyer could say would help. Changes are made in the order of
`MENDS`: sizes first, since a smaller want is also cheaper, the price last.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ledger.market.capability import score
from ledger.market.domains import matches, permits
from ledger.market.identity import NOBODY
from matcher.columns import OfferView
from matcher.orders import BidOrder
from matcher.question import Question, ask
from matcher.remedy.facing import Facing, facing

Mend = Callable[[Facing], BidOrder | None]
_ROUNDS: Final = 24
"""how often a bid is mended for one offer at most; devices go one by one"""


def mended(order: BidOrder, offer: OfferView, at: int) -> BidOrder | None:
    """The order with what it takes to be served by the one `offer` at `at`, None where nothing would do."""
    for _ in range(_ROUNDS):
        question = ask(order, offer, at)
        failing = question.missed(0)
        if not failing:
            return order
        better = _mended_once(question, failing)
        if better is None or better == order:
            return None
        order = better
    return None


def _mended_once(question: Question, failing: tuple[str, ...]) -> BidOrder | None:
    name = next((name for name in MENDS if name in failing), None)
    return None if name is None else MENDS[name](facing(question, 0))


def _bid(order: BidOrder, **changes: Any) -> BidOrder:  # noqa: ANN401 - fields of a bid
    return replace(order, bid=replace(order.bid, **changes))


def _traits(order: BidOrder, **changes: int) -> BidOrder:
    return _bid(order, traits=replace(order.bid.traits, **changes))


def _lane(name: str) -> Mend:
    def lower(pair: Facing) -> BidOrder | None:
        free = getattr(pair.free, name)
        return _bid(pair.order, want=pair.order.bid.want.with_lanes(**{name: free})) if free else None

    return lower


def with_devices(order: BidOrder, devices: int, share: int, memory: int) -> BidOrder:
    """The order for so many devices, `share` milli and `memory` MiB of each."""
    want = order.bid.want.with_lanes(gpu=devices * share, gpu_memory=devices * memory)
    bid = replace(order.bid, want=want)
    return replace(order, bid=bid, devices=devices, share=share, device_memory=memory)


def _devices(pair: Facing) -> BidOrder | None:
    """As many devices as have room; where not one has, a part of the one that comes nearest."""
    order, free = pair.order, pair.free
    for count in range(order.devices - 1, 0, -1):
        fits = count * order.share <= free.gpu and count * order.device_memory <= free.gpu_memory
        if fits and pair.devices.places(count, order.share, order.device_memory):
            return with_devices(order, count, order.share, order.device_memory)
    return _smaller_device(pair)


def _smaller_device(pair: Facing) -> BidOrder | None:
    order, devices = pair.order, pair.devices
    parts = [
        (memory >= order.device_memory, min(milli, order.share), min(memory, order.device_memory))
        for milli, memory in zip(devices.free_milli, devices.free_memory, strict=True)
    ]
    _, share, memory = max(parts, default=(False, 0, 0))
    return with_devices(order, 1, share, memory) if share else None


def _device_memory(pair: Facing) -> BidOrder | None:
    """So much less memory of each device that all have room; where the trait asks for more, that too."""
    order = pair.order
    if not order.devices:
        return _lane("gpu_memory")(pair)
    memory = pair.free.gpu_memory // order.devices
    return with_devices(order, order.devices, order.share, memory)


def _widen(name: str) -> Mend:
    def widened(pair: Facing) -> BidOrder | None:
        has, wants = getattr(pair.offer.offer.traits, name), getattr(pair.order.bid.traits, name)
        return _traits(pair.order, **{name: wants | has}) if has else None

    return widened


def _features(pair: Facing) -> BidOrder:
    return _traits(pair.order, features=pair.order.bid.traits.features & pair.offer.offer.traits.features)


def _lower_trait(name: str) -> Mend:
    return lambda pair: _traits(pair.order, **{name: getattr(pair.offer.offer.traits, name)})


def _model(pair: Facing) -> BidOrder:
    """Another admissible model where several are named, any model where one is."""
    order = pair.order
    if order.models:
        return replace(order, models=order.models | {pair.offer.offer.traits.model})
    return _traits(order, model=0)


def _duration(pair: Facing) -> BidOrder | None:
    """The nearest duration that the offer lends, ends in time with, and has stake for, within the deadline
    where one can be; and new dates where the bid's own are over."""
    order, offer = pair.order, pair.offer.offer
    least, most = max(1, offer.min_seconds), min(offer.max_seconds, offer.valid_until - pair.at)
    if pair.stake < pair.lock:
        most = min(most, pair.longest)
    if least <= order.deadline - pair.at:
        most = min(most, order.deadline - pair.at)
    if most < least:
        return None
    seconds = min(max(order.bid.duration, least), most)
    return _bid(
        order,
        duration=seconds,
        valid_until=max(order.bid.valid_until, pair.at),
        start_by=max(order.bid.start_by, pair.at),
    )


def _deadline(pair: Facing) -> BidOrder | None:
    """A shorter run; a later deadline where none is short enough."""
    shorter = _duration(pair)
    if shorter is not None and pair.at + shorter.bid.duration <= pair.order.deadline:
        return shorter
    return replace(pair.order, deadline=pair.at + pair.order.bid.duration)


def _domain(pair: Facing) -> BidOrder:
    order, domain = pair.order, pair.offer.domain
    deny = tuple(pattern for pattern in order.deny if not matches(domain, pattern))
    allow = order.allow if permits(domain, order.allow, ()) else (*order.allow, domain)
    return replace(order, allow=allow, deny=deny)


def _providers(pair: Facing) -> BidOrder:
    provider = pair.offer.offer.provider
    return replace(
        pair.order, providers=pair.order.providers | {provider}, exclude=pair.order.exclude - {provider}
    )


def _excluded(pair: Facing) -> BidOrder:
    return replace(pair.order, exclude=pair.order.exclude - {pair.offer.offer.provider})


def _floors(pair: Facing) -> BidOrder:
    has = dict(pair.offer.capability)
    lowered = ((name, min(least, has.get(name, 0))) for name, least in pair.order.floors)
    return replace(pair.order, floors=tuple((name, least) for name, least in lowered if least))


def _score(pair: Facing) -> BidOrder:
    reached = score(pair.offer.capability, pair.order.weights)
    weights = pair.order.weights if reached else ()
    return replace(pair.order, weights=weights, min_score=reached)


def _latency(pair: Facing) -> BidOrder:
    distance = dict(pair.offer.latency).get(pair.order.data_region)
    if not distance:
        return replace(pair.order, data_region="", max_latency_ms=0)
    return replace(pair.order, max_latency_ms=distance)


def _cannot(_pair: Facing) -> None:
    return None


MENDS: Final[dict[str, Mend]] = {
    "terms": _cannot,
    "members": _cannot,
    "distinct": _cannot,
    "self_trade": _cannot,
    "cpu": _lane("cpu"),
    "memory": _lane("memory"),
    "disk": _lane("disk"),
    "network": _lane("network"),
    "reserved": _cannot,
    "gpu": _devices,
    "gpu_memory_total": _device_memory,
    "devices": _devices,
    "profile": lambda pair: replace(pair.order, profile=pair.offer.profile),
    "vendor": _widen("vendors"),
    "region": _widen("regions"),
    "features": _features,
    "gpu_memory": _lower_trait("gpu_memory_mib"),
    "capability": _lower_trait("capability"),
    "model": _model,
    "models": _model,
    "floors": _floors,
    "score": _score,
    "latency": _latency,
    "domain": _domain,
    "provider": lambda pair: _bid(pair.order, provider=NOBODY),
    "providers": _providers,
    "excluded": _excluded,
    "start_at": lambda pair: replace(pair.order, start_at=0),
    "same_domain": lambda pair: replace(pair.order, same_domain=False),
    "same_provider": lambda pair: replace(pair.order, same_provider=False),
    "reputation": lambda pair: replace(pair.order, min_reputation=pair.offer.reputation),
    "duration": _duration,
    "validity": _duration,
    "deadline": _deadline,
    "stake": _duration,
    "price": lambda pair: _bid(pair.order, limit_rate=pair.rate),
}
"""each dimension's mend, in the order in which they are tried"""
