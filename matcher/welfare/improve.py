"""Search by ruin and recreate, and what every solution gets at the end: no room left unused, no injustice
between bids that ask for the same.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from matcher.compiled import Numbers
from matcher.welfare import kernels
from matcher.welfare.kernels import Held, Room, Words
from matcher.welfare.tables import Canon

State = tuple[Room, Held]


def improved(canon: Canon, state: State, ranking: Numbers, iterations: int, words: Words) -> State:
    """The best state met on a walk of so many steps from this one; `words` go on to the next walk."""
    rooms, helds = zip(*(_copied(state) for _ in range(3)), strict=True)
    kernels.improve(canon.tables, ranking, rooms, helds, iterations, words)
    return rooms[2], helds[2]


def better(state: State, than: State) -> State:
    """The one with the higher score; the second where they are alike."""
    return state if kernels.better(state[1][5], than[1][5]) else than


def used(canon: Canon, state: State) -> list[int]:
    """The candidates on which somebody is."""
    bids, held = canon.tables[0], state[1]
    slots = [
        slot
        for bid in np.flatnonzero(held[4]).tolist()
        for slot in range(bids[bid, kernels.MEMBER], bids[bid + 1, kernels.MEMBER])
    ]
    return np.unique(held[2][slots]).tolist() if slots else []


def finished(canon: Canon, state: State, ranking: Numbers) -> State:
    """Whoever still fits is served, and of bids that ask for the same those with the higher value, then the
    earlier ones."""
    kernels.construct(canon.tables, *state, ranking[0], canon.words())
    for alike in _alike(canon):
        _repair(canon, state[1], alike)
    return state


def _copied(state: State) -> State:
    room, held = state
    return tuple(part.copy() for part in room), tuple(part.copy() for part in held)  # type: ignore[return-value]


def _alike(canon: Canon) -> Iterator[list[int]]:
    """Bids that ask for the same of the same offers at the same costs, the first to be served first."""
    bids, want, candidates, _ = canon.tables
    classes: dict[tuple[bytes, ...], list[int]] = defaultdict(list)
    same = bids[:-1, [*range(kernels.MEMBERS, kernels.GROUP), kernels.WORK]]
    first = bids[:, kernels.CANDIDATE].tolist()
    for bid in range(canon.bids):
        listed = candidates[first[bid] : first[bid + 1]]
        listed = listed[np.lexsort((listed[:, kernels.OFFER], listed[:, kernels.COST]))]
        classes[same[bid].tobytes(), want[bid].tobytes(), listed.tobytes()].append(bid)
    value = bids[:, kernels.VALUE].tolist()
    for alike in classes.values():
        if len(alike) > 1:
            yield sorted(alike, key=lambda bid: (-value[bid], bid))


def _repair(canon: Canon, held: Held, alike: list[int]) -> None:
    """Places of the last served go to the first unserved, while that is an exchange of a later for an earlier
    and leaves no two alternatives served."""
    group = canon.tables[0][:, kernels.GROUP]
    for first in alike:
        if held[4][first] != 0:
            continue
        for last in reversed(alike[alike.index(first) + 1 :]):
            taken = group[first] >= 0 and held[1][group[first]] != 0 and group[first] != group[last]
            if held[4][last] != 0 and not taken:
                _hand_over(canon, held, last, first)
                break


def _hand_over(canon: Canon, held: Held, giver: int, taker: int) -> None:
    bids, _, candidates, _ = canon.tables
    kernels.count(canon.tables, held, giver, -1)
    rows = range(int(bids[taker, kernels.CANDIDATE]), int(bids[taker + 1, kernels.CANDIDATE]))
    by_offer = {int(candidates[row, kernels.OFFER]): row for row in rows}
    for member in range(int(bids[giver, kernels.MEMBERS])):
        candidate = held[2][bids[giver, kernels.MEMBER] + member]
        held[2][bids[taker, kernels.MEMBER] + member] = by_offer[int(candidates[candidate, kernels.OFFER])]
    width = int(bids[giver, kernels.MEMBERS] * bids[giver, kernels.DEVICES])
    start, end = (int(bids[bid, kernels.DEVICE]) for bid in (giver, taker))
    held[3][end : end + width] = held[3][start : start + width]
    kernels.count(canon.tables, held, taker, 1)
