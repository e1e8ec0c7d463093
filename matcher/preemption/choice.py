"""Choice: which leases yield to a bid that found no room, so that the least welfare is lost.

A bid preempts only where it wins more than is lost, and only leases whose limit is below its own: limits
rise along every chain of preemptions, so none comes back to where it began. A gang yields whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.market.identity import BidId, OfferId
from ledger.market.resource import LANE_NAMES
from matcher.orders import BidOrder
from matcher.placement import lot
from matcher.preemption.running import Preemption, Room, Running

MOST_STEPS: Final = 4_095
"""steps of the search in one room; a room with up to 11 candidates is always searched to its end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """Leases that yield together: what they cost, and which of them stand in the room."""

    members: tuple[Running, ...]
    here: tuple[Running, ...]
    loss: int
    lot: bytes

    @property
    def key(self) -> tuple[int, int, bytes]:
        return self.loss, len(self.members), self.lot


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """An order that looks for room at a moment; `latest` is the last one at which it may still begin."""

    order: BidOrder
    at: int
    latest: int

    def gain(self, room: Room) -> int:
        return (self.order.bid.limit_rate - room.rate) * self.order.bid.duration


def choose(
    order: BidOrder,
    rooms: Iterable[Room],
    running: Iterable[Running],
    at: int,
    *,
    latest: int,
    spared: frozenset[BidId] = frozenset(),
) -> Preemption | None:
    """The preemption that loses the least welfare, at the time `at` (seconds), for an order of one member
    that must begin by `latest`; None where none wins. Nothing of the order's own buyer yields, nor of the
    jobs `spared`: those to which it yielded itself. Of equal losses the cheaper room, then the fewer leases,
    then the lot decide."""
    if order.members != 1:
        return None
    claim = _Claim(order=order, at=at, latest=latest)
    candidates = _candidates(claim, running, spared)
    found = [one for room in rooms if (one := _in_room(claim, room, candidates)) is not None]
    return min(
        found, key=lambda one: (one.loss, one.rate, len(one.victims), lot(order, one.offer)), default=None
    )


def _candidates(
    claim: _Claim, running: Iterable[Running], spared: frozenset[BidId]
) -> dict[OfferId, list[_Candidate]]:
    """By offer, what may yield there as a whole."""
    gangs: dict[BidId, list[Running]] = defaultdict(list)
    for one in running:
        gangs[one.bid].append(one)
    by_offer: dict[OfferId, list[_Candidate]] = defaultdict(list)
    for bid, members in gangs.items():
        if all(_may_yield(claim, one, spared) for one in members):
            members.sort(key=lambda one: one.lease)
            for offer in {one.offer for one in members}:
                by_offer[offer].append(
                    _Candidate(
                        members=tuple(members),
                        here=tuple(one for one in members if one.offer == offer),
                        loss=sum(one.loss(claim.at) for one in members),
                        lot=lot(claim.order, bid),
                    )
                )
    return by_offer


def _may_yield(claim: _Claim, one: Running, spared: frozenset[BidId]) -> bool:
    """One that would end within its notice anyway is left alone: its room comes by itself."""
    bid = claim.order.bid
    sold = one.notice > 0 and one.left(claim.at) > 0
    in_time = claim.at + one.notice <= claim.latest
    return (
        sold and in_time and one.limit < bid.limit_rate and one.buyer != bid.buyer and one.job not in spared
    )


def _in_room(claim: _Claim, room: Room, by_offer: dict[OfferId, list[_Candidate]]) -> Preemption | None:
    gain, bid = claim.gain(room), claim.order.bid
    candidates = [
        one
        for one in sorted(by_offer.get(room.offer, ()), key=lambda one: one.key)
        if one.loss < gain and _until(claim, [one]) + bid.duration <= room.valid_until
    ]
    chosen = _least(claim.order, room, candidates, gain)
    if not chosen:
        return None
    victims = tuple(member for one in chosen for member in one.members)
    return Preemption(
        offer=room.offer,
        rate=room.rate,
        victims=victims,
        loss=sum(one.loss for one in chosen),
        gain=gain,
        until=_until(claim, chosen),
    )


def _until(claim: _Claim, chosen: Sequence[_Candidate]) -> int:
    return claim.at + max(member.notice for one in chosen for member in one.members)


def _least(order: BidOrder, room: Room, candidates: list[_Candidate], gain: int) -> list[_Candidate]:
    """The cheapest set whose yielding makes room, by depth-first search with the cheapest first; what was
    found is proven least where the steps suffice, and is at least free of superfluous leases otherwise."""
    if fits(order, room, ()) or not fits(order, room, _here(candidates)):
        return []
    best = _thinned(order, room, candidates)
    bound = _cost(best)
    if bound[0] >= gain:
        best, bound = [], (gain, 0)
    stack: list[tuple[int, list[_Candidate]]] = [(0, [])]
    for _ in range(MOST_STEPS):
        if not stack:
            break
        depth, taken = stack.pop()
        if _cost(taken) >= bound:
            continue
        if fits(order, room, _here(taken)):
            best, bound = taken, _cost(taken)
        elif depth < len(candidates) and fits(order, room, _here((*taken, *candidates[depth:]))):
            stack.append((depth + 1, taken))
            stack.append((depth + 1, [*taken, candidates[depth]]))
    return best


def _cost(chosen: Sequence[_Candidate]) -> tuple[int, int]:
    return sum(one.loss for one in chosen), sum(len(one.members) for one in chosen)


def _here(chosen: Iterable[_Candidate]) -> list[Running]:
    return [member for one in chosen for member in one.here]


def _thinned(order: BidOrder, room: Room, candidates: list[_Candidate]) -> list[_Candidate]:
    """The cheapest ones until the order fits, without those that it does not need."""
    taken: list[_Candidate] = []
    for one in candidates:
        taken.append(one)
        if fits(order, room, _here(taken)):
            break
    for one in reversed(taken[:-1]):
        rest = [other for other in taken if other is not one]
        if fits(order, room, _here(rest)):
            taken = rest
    return taken


def fits(order: BidOrder, room: Room, gone: Sequence[Running]) -> bool:
    """Whether one member of the order has room once the leases `gone` have left it: every lane, a device
    each, and its provider's stake."""
    want, free = order.bid.want, room.free
    lanes = all(
        getattr(want, lane) <= getattr(free, lane) + sum(getattr(one.want, lane) for one in gone)
        for lane in LANE_NAMES
    )
    staked = room.lock <= room.stake + sum(one.lock for one in gone)
    return lanes and staked and _on_devices(order, room, gone)


def _on_devices(order: BidOrder, room: Room, gone: Sequence[Running]) -> bool:
    devices = room.devices
    if devices is None or not order.bid.want.gpu:
        return True
    for one in gone:
        if not one.devices:
            used = devices.holders(one.count, one.share, one.device_memory) or ()
            devices = devices.give(used, one.share, one.device_memory)
    milli, memory = list(devices.free_milli), list(devices.free_memory)
    for one in gone:
        for number in one.devices:
            if number < len(milli):
                milli[number] += one.share
                memory[number] += one.device_memory
    fitting = sum(
        free >= order.share and left >= order.device_memory for free, left in zip(milli, memory, strict=True)
    )
    return fitting >= order.devices
