"""Whether a solution keeps every rule of its problem: plain counting, for anybody who trusts no solver."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from matcher.welfare.problem import DOMAINS, OFFERS, POOLS, SAME_DOMAIN, SAME_POOL, Member, Problem, Solution

Chosen = tuple[tuple[Member, ...], ...]


def faults(problem: Problem, solution: Solution) -> list[str]:
    """What is wrong with a solution, one sentence each; empty where it holds and is worth what it says."""
    if len(solution.chosen) != len(problem.bids.keys):
        return ["It does not answer each bid."]
    found = [fault for bid, members in enumerate(solution.chosen) for fault in _bid(problem, bid, members)]
    if found:
        return found
    found = [*_lanes(problem, solution.chosen), *_devices(problem, solution.chosen)]
    found += [*_purses(problem, solution.chosen), *_groups(problem, solution.chosen)]
    if worth(problem, solution.chosen) != solution.welfare:
        found.append(f"It is worth {worth(problem, solution.chosen)}, not {solution.welfare}.")
    return found


def worth(problem: Problem, chosen: Chosen) -> int:
    """Value less cost of all who are served."""
    served = [bid for bid, members in enumerate(chosen) if members]
    values = sum(int(problem.bids.value[bid]) for bid in served)
    return values - sum(_cost(problem, bid, chosen[bid]) for bid in served)


def _cost(problem: Problem, bid: int, members: tuple[Member, ...]) -> int:
    return sum(int(problem.candidates.cost[_candidate(problem, bid, member.offer)]) for member in members)


def _candidate(problem: Problem, bid: int, offer: int) -> int:
    """The row that lists an offer for a bid, -1 where none does."""
    first, end = problem.candidates.first[bid : bid + 2].tolist()
    listed = problem.candidates.offer[first:end].tolist()
    return first + listed.index(offer) if offer in listed else -1


def _bid(problem: Problem, bid: int, members: tuple[Member, ...]) -> Iterator[str]:
    bids, offers = problem.bids, problem.offers
    if not members:
        return
    if len(members) != bids.members[bid]:
        yield f"Bid {bid} is not served whole."
    if any(_candidate(problem, bid, member.offer) < 0 for member in members):
        yield f"Bid {bid} is on an offer that it does not list."
        return
    if _cost(problem, bid, members) > bids.value[bid]:
        yield f"Bid {bid} is served at a loss."
    for member in members:
        count = int(offers.device_from[member.offer + 1] - offers.device_from[member.offer])
        numbers = set(member.devices)
        if len(numbers) != len(member.devices) or not numbers <= set(range(count)):
            yield f"Bid {bid} has a device twice, or one that there is not."
        elif len(numbers) != bids.devices[bid]:
            yield f"Bid {bid} has another number of devices than it needs."
    yield from _spread(problem, bid, members)


def _spread(problem: Problem, bid: int, members: tuple[Member, ...]) -> Iterator[str]:
    places = {
        OFFERS: [member.offer for member in members],
        POOLS: [int(problem.offers.pool[member.offer]) for member in members],
        DOMAINS: [int(problem.offers.domain[member.offer]) for member in members],
    }
    distinct, together = int(problem.bids.distinct[bid]), int(problem.bids.together[bid])
    if distinct and len(set(places[distinct])) < len(members):
        yield f"Bid {bid} has members in one place that must be apart."
    kind = {SAME_POOL: POOLS, SAME_DOMAIN: DOMAINS}.get(together)
    if kind is not None and len(set(places[kind])) > 1:
        yield f"Bid {bid} has members apart that must be in one place."


def _placed(chosen: Chosen) -> Iterator[tuple[int, Member]]:
    for bid, members in enumerate(chosen):
        for member in members:
            yield bid, member


def _lanes(problem: Problem, chosen: Chosen) -> Iterator[str]:
    taken: dict[int, list[int]] = {}
    for bid, member in _placed(chosen):
        before = taken.setdefault(member.offer, [0] * problem.bids.want.shape[1])
        taken[member.offer] = [a + b for a, b in zip(before, problem.bids.want[bid].tolist(), strict=True)]
    for offer, lanes in taken.items():
        if any(a > b for a, b in zip(lanes, problem.offers.capacity[offer].tolist(), strict=True)):
            yield f"Offer {offer} lends more than it has."


def _devices(problem: Problem, chosen: Chosen) -> Iterator[str]:
    taken: dict[tuple[int, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    bids, offers = problem.bids, problem.offers
    for bid, member in _placed(chosen):
        for device in member.devices:
            milli, memory = taken[member.offer, device]
            taken[member.offer, device] = (milli + int(bids.share[bid]), memory + int(bids.memory[bid]))
    for (offer, device), (milli, memory) in taken.items():
        row = int(offers.device_from[offer]) + device
        if milli > offers.device_milli[row] or memory > offers.device_memory[row]:
            yield f"Device {device} of offer {offer} lends more than it has."


def _purses(problem: Problem, chosen: Chosen) -> Iterator[str]:
    locked: Counter[int] = Counter()
    for bid, member in _placed(chosen):
        lock = int(problem.candidates.lock[_candidate(problem, bid, member.offer)])
        locked[int(problem.offers.pool[member.offer])] += lock
    for pool, lock in locked.items():
        if lock > problem.purse[pool]:
            yield f"Pool {pool} locks more than its purse holds."


def _groups(problem: Problem, chosen: Chosen) -> Iterator[str]:
    served = Counter(int(problem.bids.group[bid]) for bid, members in enumerate(chosen) if members)
    for group, count in served.items():
        if group >= 0 and count > 1:
            yield f"Group {group} has {count} alternatives served."
