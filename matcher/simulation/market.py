"""Market: what would have happened. Offers and bids come at their times, epoch after epoch is cleared by the
node's own engine, leases run and end; nothing is random, so the same scenario has the same outcome.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from heapq import heappop, heappush

from ledger.market.identity import Address, BidId
from ledger.market.money import escrow_for, rate_of
from ledger.market.policy import lock_of
from matcher.book import (
    BidPlaced,
    BidRemoved,
    Book,
    CapacityFreed,
    CapacityTaken,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)
from matcher.clearing import Match, MatchMember, clear
from matcher.explanation import explain
from matcher.orders import BidOrder, OfferOrder
from matcher.remedy.waiting import Ending
from matcher.simulation.scenario import Arrival, LeftOut, Outcome, Scenario, Served


def simulate(scenario: Scenario) -> Outcome:
    """Run the scenario to its end."""
    market = _Market(scenario)
    for at in market.moments():
        market.step(at)
    return market.outcome()


class _Market:
    """One run. What is due at a moment is due at the first epoch's end that is not before it."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._book = Book(stake_bps=scenario.stake_bps)
        self._waiting: dict[BidId, Arrival] = {}
        # By identity: the leases of a gang may end alike.
        self._ends: dict[int, Ending] = {}
        self._due: dict[int, list[object]] = defaultdict(list)
        self._moments: list[int] = []
        self._served: list[Served] = []
        self._left_out: list[LeftOut] = []
        self._clearings = 0
        for provider, free in scenario.stakes.items():
            self._book.apply(StakeChanged(provider=provider, free=free))
        self._schedule_all()

    def _schedule_all(self) -> None:
        starts = [one.since for one in self._scenario.listings] + [one.at for one in self._scenario.arrivals]
        self._first = min(starts, default=0)
        for listing in self._scenario.listings:
            self._schedule(listing.since, OfferListed(order=listing.order))
            self._schedule(listing.until, OfferDelisted(offer=listing.order.id))
        for arrival in self._scenario.arrivals:
            self._schedule(arrival.at, arrival)
            self._schedule(arrival.rests_until + 1, None)
            self._schedule(max(way.start_at for way in arrival.ways), None)

    def _schedule(self, at: int, what: object) -> None:
        epochs = -(-max(0, at - self._first) // self._scenario.epoch)
        moment = self._first + epochs * self._scenario.epoch
        if moment not in self._due:
            heappush(self._moments, moment)
        self._due[moment].append(what)

    def moments(self) -> Iterable[int]:
        """The ends of those epochs in which anything is due; in the others nothing could change."""
        while self._moments:
            yield heappop(self._moments)

    def step(self, at: int) -> None:
        """Whatever is due, one clearing, and what it means."""
        for arrival in [one for one in self._waiting.values() if one.rests_until < at]:
            self._let_lapse(arrival, at)
        for what in sorted(self._due.pop(at), key=_rank):
            self._take(what, at)
        if self._waiting:
            self._clear(at)
        for arrival in [one for one in self._waiting.values() if one.rests_until <= at]:
            self._let_lapse(arrival, at)

    def _take(self, what: object, at: int) -> None:
        match what:
            case Arrival():
                self._waiting[what.ways[0].id] = what
                for way in what.ways:
                    order = replace(way, arrived_at=at, group=what.ways[0].id)
                    self._book.apply(BidPlaced(order=order))
            case Ending():
                del self._ends[id(what)]
                freed = CapacityFreed(
                    offer=what.offer, want=what.want, devices=what.devices, count=what.count
                )
                self._book.apply(freed)
                self._move_stake(what.provider, what.lock)
            case OfferListed() | OfferDelisted():
                self._book.apply(what)
            case _:
                return

    def _clear(self, at: int) -> None:
        self._clearings += 1
        for match in clear(self._book, at).matches:
            order = self._book.bid(match.bid)
            assert order is not None
            arrival = self._waiting.pop(order.group or order.id)
            self._open(arrival, order, match, at)
            self._remove(arrival)

    def _open(self, arrival: Arrival, order: BidOrder, match: Match, at: int) -> None:
        places = []
        for member in match.members:
            listed = self._book.offer(member.offer)
            assert listed is not None
            places.append(listed)
            self._lend(listed, order, member, at + arrival.runs)
        asks = tuple(rate_of(place.offer.ask, order.bid.want) for place in places)
        rates = tuple(member.rate for member in match.members)
        self._served.append(
            Served(arrival=arrival, order=order, at=at, rates=rates, asks=asks, places=tuple(places))
        )

    def _lend(self, listed: OfferOrder, order: BidOrder, member: MatchMember, until: int) -> None:
        """The lease takes room and stake now and gives both back when it ends."""
        lock = lock_of(escrow_for(member.rate, order.bid.duration), self._scenario.stake_bps)
        want, devices, count = order.bid.want, member.devices, order.devices
        self._book.apply(CapacityTaken(offer=listed.id, want=want, devices=devices, count=count))
        self._move_stake(listed.offer.provider, -lock)
        ending = Ending(
            offer=listed.id,
            provider=listed.offer.provider,
            at=until,
            want=want,
            devices=devices,
            count=count,
            lock=lock,
        )
        self._ends[id(ending)] = ending
        self._schedule(until, ending)

    def _move_stake(self, provider: Address, amount: int) -> None:
        if amount:
            free = self._book.stake(provider) + amount
            self._book.apply(StakeChanged(provider=provider, free=free))

    def _remove(self, arrival: Arrival) -> None:
        for way in arrival.ways:
            self._book.apply(BidRemoved(bid=way.id))

    def _let_lapse(self, arrival: Arrival, at: int) -> None:
        """The order goes, with the reasons of its last clearing."""
        del self._waiting[arrival.ways[0].id]
        self._remove(arrival)
        ends = tuple(self._ends.values())
        why = tuple(explain(replace(way, arrived_at=at), self._book, ends) for way in arrival.ways)
        self._left_out.append(LeftOut(arrival=arrival, at=at, why=why))

    def outcome(self) -> Outcome:
        return Outcome(served=tuple(self._served), left_out=tuple(self._left_out), clearings=self._clearings)


def _rank(what: object) -> int:
    """Room is given back before anybody new asks for it."""
    order = (Ending, OfferDelisted, OfferListed, Arrival)
    return next((place for place, kind in enumerate(order) if isinstance(what, kind)), len(order))
