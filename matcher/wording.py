"""Wording: what each failing dimension says to people, with both sides' figures and units."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.market.bid import MAX_MEMBERS
from ledger.market.domains import permits
from ledger.market.identity import text
from ledger.market.resource import Quantities
from ledger.market.traits import FEATURES, REGIONS, VENDORS, names_of
from matcher.eligibility import LANE_DIMENSIONS, faulty_terms
from matcher.orders import BidOrder, OfferOrder
from matcher.pricing import executed_rate

_UNITS: Final = {"cpu": "milli-cores", "gpu": "milli-devices", "network": "Mbit/s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A bid and an offer that may not meet. `free` is what the offer has left, `stake` what its provider has
    and `lock` what one lease takes of it (base units), `longest` the seconds that the stake covers, `placed`
    how many members have a place."""

    order: BidOrder
    offer: OfferOrder
    free: Quantities
    stake: int
    lock: int
    longest: int
    placed: int


def line(dimension: str, pair: Pair) -> str:
    """One line on why `pair` fails on `dimension`, which it must; the dimension's name comes first."""
    return f"{dimension}: {_DETAILS[dimension](pair)}"


def _lane_detail(lane: str) -> Callable[[Pair], str]:
    unit = _UNITS.get(lane, "MiB")

    def detail(pair: Pair) -> str:
        return f"wants {getattr(pair.order.bid.want, lane)} {unit}, {getattr(pair.free, lane)} free"

    return detail


def _least_detail(name: str, unit: str) -> Callable[[Pair], str]:
    def detail(pair: Pair) -> str:
        wants, has = getattr(pair.order.bid.traits, name), getattr(pair.offer.offer.traits, name)
        return f"wants at least {wants}{unit}, has {has}{unit}"

    return detail


def _named(table: dict[str, int], word: int) -> str:
    unknown = (f"bit {n}" for n in range(word.bit_length()) if word >> n & 1 and n not in table.values())
    return ", ".join((*names_of(table, word), *unknown)) or "none"


def _vendor(pair: Pair) -> str:
    wants, has = pair.order.bid.traits.vendors, pair.offer.offer.traits.vendors
    return f"wants one of {_named(VENDORS, wants)}, is {_named(VENDORS, has)}"


def _region(pair: Pair) -> str:
    wants, has = pair.order.bid.traits.regions, pair.offer.offer.traits.regions
    return f"wants one of {_named(REGIONS, wants)}, is in {_named(REGIONS, has)}"


def _features(pair: Pair) -> str:
    return f"lacks {_named(FEATURES, pair.order.bid.traits.features & ~pair.offer.offer.traits.features)}"


def _model(pair: Pair) -> str:
    wants, has = pair.order.bid.traits.model, pair.offer.offer.traits.model
    return f"wants model tag {wants:#010x}, has {has:#010x}"


def _duration(pair: Pair) -> str:
    offer = pair.offer.offer
    return f"wants {pair.order.bid.duration} s, lends {offer.min_seconds} to {offer.max_seconds} s"


def _validity(pair: Pair) -> str:
    bid, at = pair.order.bid, pair.order.arrived_at
    if at > bid.valid_until:
        return f"the bid was valid until {bid.valid_until}, it is {at}"
    if at > bid.start_by:
        return f"the bid had to start by {bid.start_by}, it is {at}"
    return f"the lease could last until {at + bid.duration}, the offer ends at {pair.offer.offer.valid_until}"


def _domain(pair: Pair) -> str:
    denied = not permits(pair.offer.domain, (), pair.order.deny)
    return f"{pair.offer.domain} is {'denied' if denied else 'not among the allowed'}"


def _members(pair: Pair) -> str:
    wants = pair.order.members
    if not 1 <= wants <= MAX_MEMBERS:
        return f"wants {wants} members, an order has 1 to {MAX_MEMBERS}"
    return f"wants {wants} members together, {pair.placed} would find a place"


def _distinct(pair: Pair) -> str:
    apart = "providers and domains" if pair.order.replicated else "providers"
    return f"wants {pair.order.members} members at distinct {apart}, {pair.placed} would find a place"


def _stake(pair: Pair) -> str:
    covered = f"{pair.longest} s would be covered" if pair.longest else "no second would be covered"
    return f"a lease locks {pair.lock} base units, its provider has {pair.stake} free: {covered}"


def _reputation(pair: Pair) -> str:
    return f"wants at least {pair.order.min_reputation} per mille, has {pair.offer.reputation} per mille"


def _price(pair: Pair) -> str:
    rate, limit = executed_rate(pair.offer, pair.order), pair.order.bid.limit_rate
    return f"asks {rate}, the limit is {limit} (milli-base-units per hour)"


_DETAILS: Final[dict[str, Callable[[Pair], str]]] = {
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
    "duration": _duration,
    "validity": _validity,
    "domain": _domain,
    "provider": lambda pair: f"the bid names {text(pair.order.bid.provider)} alone",
    "excluded": lambda pair: f"{text(pair.offer.offer.provider)} is excluded for this job",
    "self_trade": lambda _: "buyer and provider are one account",
    "price": _price,
}
