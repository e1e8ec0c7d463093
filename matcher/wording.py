"""Wording: what each failing dimension says to people, with both sides' figures and units."""

from collections.abc import Callable
from typing import Final

from ledger.market.bid import MAX_MEMBERS
from ledger.market.capability import below_floors, score
from ledger.market.domains import permits
from ledger.market.identity import text
from ledger.market.moments import moment
from ledger.market.traits import FEATURES, REGIONS, VENDORS, names_of
from matcher.eligibility import LANE_DIMENSIONS, faulty_terms
from matcher.remedy.facing import Facing

LANE_UNITS: Final = {"cpu": "milli-cores", "gpu": "milli-devices", "network": "Mbit/s"}


def line(dimension: str, pair: Facing) -> str:
    """One line on why `pair` fails on `dimension`, which it must; the dimension's name comes first."""
    return f"{dimension}: {DETAILS[dimension](pair)}"


def _lane_detail(lane: str) -> Callable[[Facing], str]:
    unit = LANE_UNITS.get(lane, "MiB")

    def detail(pair: Facing) -> str:
        return f"wants {getattr(pair.order.bid.want, lane)} {unit}, {getattr(pair.free, lane)} free"

    return detail


def _least_detail(name: str, unit: str) -> Callable[[Facing], str]:
    def detail(pair: Facing) -> str:
        wants, has = getattr(pair.order.bid.traits, name), getattr(pair.offer.offer.traits, name)
        return f"wants at least {wants}{unit}, has {has}{unit}"

    return detail


def named(table: dict[str, int], word: int) -> str:
    """The names of the word's bits, unknown ones by their number."""
    unknown = (f"bit {n}" for n in range(word.bit_length()) if word >> n & 1 and n not in table.values())
    return ", ".join((*names_of(table, word), *unknown)) or "none"


def model_tag(tag: int) -> str:
    """A model's tag as it is signed: its name is not."""
    return f"{tag:#010x}"


def _vendor(pair: Facing) -> str:
    wants, has = pair.order.bid.traits.vendors, pair.offer.offer.traits.vendors
    return f"wants one of {named(VENDORS, wants)}, is {named(VENDORS, has)}"


def _region(pair: Facing) -> str:
    wants, has = pair.order.bid.traits.regions, pair.offer.offer.traits.regions
    return f"wants one of {named(REGIONS, wants)}, is in {named(REGIONS, has)}"


def _features(pair: Facing) -> str:
    return f"lacks {named(FEATURES, pair.order.bid.traits.features & ~pair.offer.offer.traits.features)}"


def _model(pair: Facing) -> str:
    wants, has = pair.order.bid.traits.model, pair.offer.offer.traits.model
    return f"wants model tag {model_tag(wants)}, has {model_tag(has)}"


def _models(pair: Facing) -> str:
    wants = ", ".join(map(model_tag, sorted(pair.order.models)))
    return f"wants one of the model tags {wants}, has {model_tag(pair.offer.offer.traits.model)}"


def _devices(pair: Facing) -> str:
    order = pair.order
    each = f"{order.share} milli-devices and {order.device_memory} MiB"
    free = zip(pair.devices.free_milli, pair.devices.free_memory, strict=True)
    fitting = sum(milli >= order.share and memory >= order.device_memory for milli, memory in free)
    return f"wants {order.devices} devices with {each} on each, {fitting} have so much free"


def _profile(pair: Facing) -> str:
    wants, has = pair.order.profile or "whole devices", pair.offer.profile or "no MIG instances"
    return f"wants {wants}, lends {has}"


def _floors(pair: Facing) -> str:
    has, floors = dict(pair.offer.capability), dict(pair.order.floors)
    below = below_floors(pair.offer.capability, pair.order.floors)
    told = (f"{name} of at least {floors[name]}, has {has.get(name, 'none measured')}" for name in below)
    return f"wants {'; '.join(told)}"


def _score(pair: Facing) -> str:
    reached = score(pair.offer.capability, pair.order.weights)
    return f"wants at least {pair.order.min_score} per mille by its weights, reaches {reached}"


def _latency(pair: Facing) -> str:
    region, most = pair.order.data_region, pair.order.max_latency_ms
    distance = dict(pair.offer.latency).get(region)
    known = "is at an unknown distance" if distance is None else f"is {distance} ms away"
    return f"wants {region} within {most} ms, {known}"


def _deadline(pair: Facing) -> str:
    ends, deadline = pair.at + pair.order.bid.duration, pair.order.deadline
    return f"the lease could last until {moment(ends)}, the deadline is {moment(deadline)}"


def _together(place: str) -> Callable[[Facing], str]:
    def detail(pair: Facing) -> str:
        return f"wants {pair.order.members} members in one {place}, {pair.placed} would find a place"

    return detail


def _duration(pair: Facing) -> str:
    offer = pair.offer.offer
    return f"wants {pair.order.bid.duration} s, lends {offer.min_seconds} to {offer.max_seconds} s"


def _validity(pair: Facing) -> str:
    bid, at = pair.order.bid, pair.at
    if at > bid.valid_until:
        return f"the bid was valid until {moment(bid.valid_until)}, it is {moment(at)}"
    if at > bid.start_by:
        return f"the bid had to start by {moment(bid.start_by)}, it is {moment(at)}"
    ends, until = at + bid.duration, pair.offer.offer.valid_until
    return f"the lease could last until {moment(ends)}, the offer ends at {moment(until)}"


def _domain(pair: Facing) -> str:
    denied = not permits(pair.offer.domain, (), pair.order.deny)
    return f"{pair.offer.domain} is {'denied' if denied else 'not among the allowed'}"


def _members(pair: Facing) -> str:
    wants = pair.order.members
    if not 1 <= wants <= MAX_MEMBERS:
        return f"wants {wants} members, an order has 1 to {MAX_MEMBERS}"
    return f"wants {wants} members together, {pair.placed} would find a place"


def _distinct(pair: Facing) -> str:
    apart = "providers and domains" if pair.order.replicated else "providers"
    return f"wants {pair.order.members} members at distinct {apart}, {pair.placed} would find a place"


def _stake(pair: Facing) -> str:
    covered = f"{pair.longest} s would be covered" if pair.longest else "no second would be covered"
    return f"a lease locks {pair.lock} base units, its provider has {pair.stake} free: {covered}"


def _reputation(pair: Facing) -> str:
    return f"wants at least {pair.order.min_reputation} per mille, has {pair.offer.reputation} per mille"


def _price(pair: Facing) -> str:
    limit = pair.order.bid.limit_rate
    return f"asks {pair.rate}, the limit is {limit} (milli-base-units per hour)"


DETAILS: Final[dict[str, Callable[[Facing], str]]] = {
    **{dimension: _lane_detail(lane) for lane, dimension in LANE_DIMENSIONS.items()},
    "terms": lambda pair: "; ".join(faulty_terms(pair.order.bid)),
    "members": _members,
    "distinct": _distinct,
    "stake": _stake,
    "reputation": _reputation,
    "vendor": _vendor,
    "region": _region,
    "features": _features,
    "gpu_memory": _least_detail("gpu_memory_mib", " MiB on one GPU"),
    "capability": _least_detail("capability", ""),
    "model": _model,
    "models": _models,
    "devices": _devices,
    "profile": _profile,
    "floors": _floors,
    "score": _score,
    "latency": _latency,
    "deadline": _deadline,
    "start_at": lambda pair: f"it may start from {moment(pair.order.start_at)} on, it is {moment(pair.at)}",
    "same_domain": _together("domain"),
    "same_provider": _together("provider's offers"),
    "providers": lambda pair: f"{text(pair.offer.offer.provider)} is not among the allowed",
    "duration": _duration,
    "validity": _validity,
    "domain": _domain,
    "provider": lambda pair: f"the bid names {text(pair.order.bid.provider)} alone",
    "excluded": lambda pair: f"{text(pair.offer.offer.provider)} is excluded for this job",
    "self_trade": lambda _: "buyer and provider are one account",
    "price": _price,
}
