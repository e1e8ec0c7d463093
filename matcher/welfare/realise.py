"""From a program's answer to places: members onto devices, and what the program must learn where they do not
fit, because it counted an offer's devices only together.
"""

from collections import defaultdict

import numpy as np

from matcher.devices import WHOLE
from matcher.welfare import kernels
from matcher.welfare.exact import Crowd, Learnt
from matcher.welfare.improve import State
from matcher.welfare.packing import Packing, pack
from matcher.welfare.tables import Canon

MOST_CROWDS = 60
"""of one program; then devices are told apart"""
Hosted = dict[int, list[tuple[int, int]]]
"""for each offer its members: candidate and bid"""


def realised(canon: Canon, taken: dict[int, int]) -> tuple[State, dict[int, bool]]:
    """The state with so many members on each candidate, and the offers whose devices do not hold them, with
    whether that is certain; bids with a member there are left out."""
    hosted = _hosted(canon, taken)
    packings = {offer: _packed(canon, offer, members) for offer, members in hosted.items()}
    failed = {offer: packing.certain for offer, packing in packings.items() if packing.places is None}
    out = {bid for offer in failed for bid in _eased(canon, offer, hosted, packings)}
    state = canon.state()
    filled: dict[int, int] = defaultdict(int)
    for offer, members in hosted.items():
        for (candidate, bid), numbers in zip(members, packings[offer].places or (), strict=False):
            if bid not in out:
                _set(canon, state, (bid, candidate, filled[bid]), numbers)
                filled[bid] += 1
    for bid in sorted(filled):
        kernels.count(canon.tables, state[1], bid, 1)
    return state, failed


def lesson(canon: Canon, learnt: Learnt, taken: dict[int, int], failed: dict[int, bool]) -> Learnt:
    """What a program must know so that it does not give this answer again."""
    hosted = _hosted(canon, taken)
    crowds, split = list(learnt.crowds), set(learnt.split)
    for offer, certain in failed.items():
        crowd = _crowd(canon, offer, hosted[offer])
        if crowd is None or not certain or crowd in crowds or len(crowds) >= MOST_CROWDS:
            split.add(offer)
        else:
            crowds.append(crowd)
    return Learnt(crowds=tuple(crowds), split=frozenset(split))


def _crowd(canon: Canon, offer: int, members: list[tuple[int, int]]) -> Crowd | None:
    """The shares on an offer as a crowd, where they are of different bids and devices are all free: with one
    device more each further member fits, so that one less also means one member less."""
    bids, rooms = canon.tables[0], canon.devices(offer)
    rows = [(candidate, bids[bid].tolist()) for candidate, bid in members if bids[bid, kernels.DEVICES]]
    shared = [(candidate, row) for candidate, row in rows if row[kernels.SHARE] < WHOLE]
    whole = sum(row[kernels.DEVICES] for _, row in rows if row[kernels.SHARE] == WHOLE)
    alone = all(row[kernels.MEMBERS] == row[kernels.DEVICES] == 1 for _, row in shared)
    if not alone or (rooms[:, 0] < WHOLE).any() or len(np.unique(rooms[:, 1])) > 1:
        return None
    return Crowd(
        offer=offer, candidates=tuple(candidate for candidate, _ in shared), opened=len(rooms) - whole
    )


def _hosted(canon: Canon, taken: dict[int, int]) -> Hosted:
    """The members of all bids that are whole."""
    owner = canon.owners()
    placed: dict[int, int] = defaultdict(int)
    for candidate, members in taken.items():
        placed[int(owner[candidate])] += members
    hosted: Hosted = defaultdict(list)
    for candidate, members in sorted(taken.items()):
        bid = int(owner[candidate])
        if placed[bid] == canon.tables[0][bid, kernels.MEMBERS]:
            offer = int(canon.tables[2][candidate, kernels.OFFER])
            hosted[offer] += [(candidate, bid)] * members
    return hosted


def _eased(canon: Canon, offer: int, hosted: Hosted, packings: dict[int, Packing]) -> set[int]:
    """The bids that must leave an offer so that its devices hold the others, which are packed."""
    value = canon.tables[0][:, kernels.VALUE]
    out: set[int] = set()
    while packings[offer].places is None:
        out.add(min((bid for _, bid in hosted[offer]), key=lambda bid: (int(value[bid]), bid)))
        hosted[offer] = [(candidate, bid) for candidate, bid in hosted[offer] if bid not in out]
        packings[offer] = _packed(canon, offer, hosted[offer])
    return out


def _packed(canon: Canon, offer: int, members: list[tuple[int, int]]) -> Packing:
    bids, want, _, _ = canon.tables
    rows = [bid for _, bid in members]
    if (want[rows].sum(axis=0) > canon.room[0][offer]).any():
        return Packing(places=None, certain=False)
    rooms = [(milli, memory) for milli, memory in canon.devices(offer).tolist()]
    items = [(row[kernels.DEVICES], row[kernels.SHARE], row[kernels.MEMORY]) for row in bids[rows].tolist()]
    return pack(rooms, items)


def _set(canon: Canon, state: State, place: tuple[int, int, int], numbers: tuple[int, ...]) -> None:
    (lanes, devices), held = state
    bid, candidate, member = place
    bids, want, candidates, offers = canon.tables
    offer = candidates[candidate, kernels.OFFER]
    lanes[offer] -= want[bid]
    held[0][offers[offer, kernels.POOL]] -= candidates[candidate, kernels.LOCK]
    held[2][bids[bid, kernels.MEMBER] + member] = candidate
    start = bids[bid, kernels.DEVICE] + member * bids[bid, kernels.DEVICES]
    for step, number in enumerate(numbers):
        device = offers[offer, kernels.FIRST] + number
        held[3][start + step] = device
        devices[device] -= bids[bid, kernels.SHARE : kernels.MEMORY + 1]
