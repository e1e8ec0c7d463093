"""Demand: a bid as the few numbers that the kernels compare, packed once and kept while the bid waits."""

from struct import Struct
from typing import NamedTuple

import numpy as np

from ledger.market.bid import MAX_MEMBERS, Bid
from ledger.market.domains import WHOLE as BONUS_WHOLE
from ledger.market.identity import NO_DIGEST, NOBODY, Address
from matcher.columns import lot_of
from matcher.eligibility import faulty_terms, plain
from matcher.index.domain_verdicts import DomainLists
from matcher.index.layout import DEMAND, FAR, Array
from matcher.orders import BidOrder

_NONE: Array = np.zeros(0, dtype=np.int64)
_ANY, _UNKNOWN = -1, -2
_SAFE_LIMIT = 1 << 61
_SIGN = 1 << 63
_packed = Struct(f"={DEMAND}q").pack
_WORD = 1 << 64
_SAFE_WANT = 1 << 31
"""an ask lane is below 2^31, so wants that sum to less keep every rate below 2^62"""


class Demand(NamedTuple):
    """The numbers of one bid in the order of `layout`, and its lists: model tags, providers to have,
    providers to shun, each ascending. `servable` is False where no offer can ever serve it, `in_range` where
    the kernels' integers do not reach. It is to be packed again where `strangers` were named that have no
    number and more than `known` providers and profiles have one now."""

    numbers: Array
    lists: Array
    models: tuple[int, ...]
    """tags of which an offer must have one, empty where any will do"""
    servable: bool
    in_range: bool
    plain: bool
    """whether the kernels know all that is demanded"""
    strangers: bool
    known: int
    duration: int
    last: int
    """the last moment at which the bid may be matched, in seconds"""
    domains: DomainLists | None
    """what decides how domains are judged; None where they do not matter"""


def signed(word: int) -> int:
    """A word of 64 bits as a signed number of the same bits."""
    return word - _WORD if word & _SIGN else word


def pack(order: BidOrder, providers: dict[Address, int], profiles: dict[str, int]) -> Demand:
    """The order's demand by these numbers of providers and profiles."""
    bid, want, traits = order.bid, order.bid.want, order.bid.traits
    models = sorted(order.models) if order.models else ()
    wished, shunned, strangers, possible = _parties(order, providers)
    matters = bool(order.allow or order.deny or order.prefer)
    profile = profiles.get(order.profile, _UNKNOWN) if want.gpu else _ANY
    most = max(one.bonus for one in order.prefer) if order.prefer else 0
    sum_of_wants = want.cpu + want.memory + want.disk + want.gpu + want.gpu_memory + want.network
    last = min(bid.valid_until, bid.start_by)
    if order.deadline:
        last = min(last, order.deadline - bid.duration)
    numbers = (
        *(want.cpu, want.memory, want.disk, want.gpu, want.gpu_memory, want.network),
        *(traits.vendors, traits.gpu_memory_mib, traits.capability, bid.duration, order.min_reputation),
        *(signed(traits.features), signed(traits.regions), min(bid.limit_rate, FAR)),
        *(signed(lot_of(order.id) ^ _SIGN), traits.model, len(models), len(wished), len(shunned)),
        *(order.devices, order.share, order.device_memory, matters),
        *(min(bid.limit_rate * most // BONUS_WHOLE, FAR), profile),
    )
    return Demand(
        numbers=np.frombuffer(bytearray(_packed(*numbers)), dtype=np.int64),
        lists=np.array((*models, *wished, *shunned), dtype=np.int64)
        if models or wished or shunned
        else _NONE,
        models=(traits.model,) if traits.model else (*models,),
        servable=possible and profile != _UNKNOWN and _sound(bid),
        in_range=sum_of_wants < _SAFE_WANT and (not most or bid.limit_rate < _SAFE_LIMIT),
        plain=plain(order),
        strangers=strangers or profile == _UNKNOWN,
        known=len(providers) + len(profiles),
        duration=bid.duration,
        last=last,
        domains=DomainLists(order.allow, order.deny, order.prefer, bid.limit_rate) if matters else None,
    )


def _sound(bid: Bid) -> bool:
    """Whether its terms are not faulty and its members not too many; most bids are plainly so."""
    simple = bid.members == 1 and bid.flags == 0 and bid.duration > 0 and bid.want.cpu > 0
    if simple and bid.want.reserved == 0 and bid.signer != NOBODY and bid.continues == NO_DIGEST:
        return True
    return not faulty_terms(bid) and 1 <= bid.members <= MAX_MEMBERS


def _parties(order: BidOrder, providers: dict[Address, int]) -> tuple[list[int], list[int], bool, bool]:
    """The numbers of providers to have and to shun, whether one of them has none, and whether any that the
    bid could have is known."""
    if not order.providers and not order.exclude and order.bid.provider == NOBODY:
        number = providers.get(order.bid.buyer)
        return [], [] if number is None else [number], number is None, True
    named = set(order.providers)
    if order.bid.provider != NOBODY:
        named = named & {order.bid.provider} if named else {order.bid.provider}
    limited = bool(order.providers) or order.bid.provider != NOBODY
    away = (*order.exclude, order.bid.buyer)
    wished = sorted(providers[one] for one in named if one in providers)
    shunned = sorted({providers[one] for one in away if one in providers})
    strangers = any(one not in providers for one in (*named, *away))
    return wished, shunned, strangers, not limited or bool(wished)
