"""Small clearing problems: rows in, arrays out, and the optimum by trying everything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from matcher.welfare.problem import Bids, Candidates, Member, Offers, Problem, Solution, numbers
from tests.fakes.feasible import faults, worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An offer: lanes, free milli and memory of each device, provider and domain."""

    lanes: tuple[int, int] = (8, 8)
    devices: tuple[tuple[int, int], ...] = ()
    pool: int = 0
    domain: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A bid: `costs` are the cost of one member by offer; each cost locks as much, halved."""

    value: int
    costs: tuple[tuple[int, int], ...]
    members: int = 1
    want: tuple[int, int] = (1, 1)
    devices: int = 0
    share: int = 0
    memory: int = 0
    distinct: int = 0
    together: int = 0
    group: int = -1
    seq: int = 0


def problem(hosts: Sequence[Host], asks: Sequence[Ask], purse: int = 10**9, scale: int = 1) -> Problem:
    """The problem of these rows, keys by place, with a purse of the same size for each pool; all money times
    `scale`, what is locked apart."""
    devices = [device for host in hosts for device in host.devices]
    listed = [sorted((cost, offer) for offer, cost in ask.costs) for ask in asks]
    flat = [pair for pairs in listed for pair in pairs]
    return Problem(
        offers=Offers(
            keys=tuple(b"offer %d" % number for number in range(len(hosts))),
            capacity=numbers((lane for host in hosts for lane in host.lanes), 2),
            device_from=np.cumsum([0, *(len(host.devices) for host in hosts)], dtype=np.int64),
            device_milli=numbers(milli for milli, _ in devices),
            device_memory=numbers(memory for _, memory in devices),
            pool=numbers(host.pool for host in hosts),
            domain=numbers(host.domain for host in hosts),
        ),
        bids=Bids(
            keys=tuple(b"bid %d" % number for number in range(len(asks))),
            value=numbers(ask.value * scale for ask in asks),
            members=numbers(ask.members for ask in asks),
            want=numbers((lane for ask in asks for lane in ask.want), 2),
            devices=numbers(ask.devices for ask in asks),
            share=numbers(ask.share for ask in asks),
            memory=numbers(ask.memory for ask in asks),
            work=numbers(ask.devices * ask.share * ask.members for ask in asks),
            distinct=numbers(ask.distinct for ask in asks),
            together=numbers(ask.together for ask in asks),
            group=numbers(ask.group for ask in asks),
            seq=numbers(ask.seq for ask in asks),
        ),
        candidates=Candidates(
            first=np.cumsum([0, *map(len, listed)], dtype=np.int64),
            offer=numbers(offer for _, offer in flat),
            cost=numbers(cost * scale for cost, _ in flat),
            lock=numbers(cost // 2 for cost, _ in flat),
            fragment=numbers(0 for _ in flat),
        ),
        purse=numbers(purse for _ in range(max((host.pool for host in hosts), default=0) + 1)),
    )


def shuffled(made: Problem, bids: Sequence[int], offers: Sequence[int]) -> Problem:
    """The same problem with its bids and offers listed in another order."""
    lent, asked, listed = made.offers, made.bids, made.candidates
    place = {old: new for new, old in enumerate(offers)}
    spans = [range(int(lent.device_from[offer]), int(lent.device_from[offer + 1])) for offer in offers]
    rows = [row for bid in bids for row in range(int(listed.first[bid]), int(listed.first[bid + 1]))]
    lengths = [int(listed.first[bid + 1] - listed.first[bid]) for bid in bids]
    device_rows = [row for span in spans for row in span]
    order, sites = list(bids), list(offers)
    columns = {name: getattr(asked, name)[order] for name in Bids.__slots__ if name != "keys"}
    return Problem(
        offers=Offers(
            keys=tuple(lent.keys[offer] for offer in offers),
            capacity=lent.capacity[sites],
            device_from=np.cumsum([0, *map(len, spans)], dtype=np.int64),
            device_milli=lent.device_milli[device_rows],
            device_memory=lent.device_memory[device_rows],
            pool=lent.pool[sites],
            domain=lent.domain[sites],
        ),
        bids=Bids(keys=tuple(asked.keys[bid] for bid in bids), **columns),
        candidates=Candidates(
            first=np.cumsum([0, *lengths], dtype=np.int64),
            offer=numbers(place[int(listed.offer[row])] for row in rows),
            cost=listed.cost[rows],
            lock=listed.lock[rows],
            fragment=listed.fragment[rows],
        ),
        purse=made.purse,
    )


def optimum(made: Problem) -> int:
    """The welfare of the best solution, by trying all: for very small problems alone."""
    best = 0
    count = len(made.bids.keys)

    def search(bid: int, chosen: tuple[tuple[Member, ...], ...]) -> None:
        nonlocal best
        rest = ((),) * (count - bid)
        welfare = worth(made, chosen + rest)
        solution = Solution(chosen=chosen + rest, welfare=max(welfare, 0), bound=max(welfare, 0), proven=True)
        if welfare < 0 or faults(made, solution):
            return
        best = max(best, welfare)
        if bid < count:
            search(bid + 1, (*chosen, ()))
            for members in _ways(made, bid):
                search(bid + 1, (*chosen, members))

    search(0, ())
    return best


def _ways(made: Problem, bid: int) -> Iterator[tuple[Member, ...]]:
    first, end = made.candidates.first[bid : bid + 2].tolist()
    spots = [
        Member(offer=offer, devices=devices)
        for offer in made.candidates.offer[first:end].tolist()
        for devices in combinations(
            range(int(made.offers.device_from[offer + 1] - made.offers.device_from[offer])),
            int(made.bids.devices[bid]),
        )
    ]

    def spread(left: int, start: int) -> Iterator[tuple[Member, ...]]:
        if not left:
            yield ()
            return
        for number in range(start, len(spots)):
            for others in spread(left - 1, number):
                yield (spots[number], *others)

    yield from spread(int(made.bids.members[bid]), 0)


device = st.tuples(st.sampled_from([1000, 1000, 1000, 600, 300]), st.sampled_from([16, 16, 24]))
hosts = st.lists(
    st.builds(
        Host,
        lanes=st.tuples(st.integers(0, 6), st.integers(0, 6)),
        devices=st.lists(device, max_size=3).map(tuple),
        pool=st.integers(0, 2),
        domain=st.integers(0, 2),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def asks(draw: st.DrawFn, offers: int, most: int) -> list[Ask]:
    """Bids on so many offers, at most so many, of every kind that there is."""
    found = []
    for seq in range(draw(st.integers(1, most))):
        listed = draw(st.lists(st.integers(0, offers - 1), max_size=offers, unique=True))
        costs = tuple((offer, draw(st.integers(0, 20))) for offer in listed)
        devices = draw(st.sampled_from([0, 1, 1, 1, 2]))
        share = draw(st.sampled_from([1000, 700, 500, 300])) if devices else 0
        ask = Ask(
            value=draw(st.integers(0, 60)),
            costs=costs,
            members=draw(st.sampled_from([1, 1, 1, 2, 3])),
            want=(draw(st.integers(0, 3)), draw(st.integers(0, 3))),
            devices=devices,
            share=share,
            memory=draw(st.sampled_from([0, 8, 12, 16])) if devices else 0,
            distinct=draw(st.sampled_from([0, 0, 0, 1, 2, 3])),
            together=draw(st.sampled_from([0, 0, 0, 1, 2])),
            group=draw(st.sampled_from([-1, -1, -1, 0, 1])),
            seq=seq,
        )
        found.append(ask)
        if draw(st.integers(0, 3)) == 0:
            found.append(replace(ask, value=ask.value + draw(st.integers(0, 5)), seq=seq + 100))
    return found


@st.composite
def problems(draw: st.DrawFn, most: int = 6) -> Problem:
    """Problems of up to four offers and some bids, some of them alike, purses that may be short."""
    lent = draw(hosts)
    return problem(lent, draw(asks(len(lent), most)), purse=draw(st.sampled_from([10, 30, 10**9])))
