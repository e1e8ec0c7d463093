"""Orders in which bids may be served one after the other: first solutions, and what the search refills by.

None of them is good on every market, the best of them usually is. Ratios are single divisions of doubles,
which every machine rounds alike; bids that tie keep the queue's order.
"""

import numpy as np
import numpy.typing as npt

from matcher.compiled import Numbers
from matcher.welfare import kernels
from matcher.welfare.kernels import Held, Room
from matcher.welfare.tables import Canon

PULL = 3
Doubles = npt.NDArray[np.float64]


def orders(canon: Canon) -> Numbers:
    """One order of bids a row, without those that no offer could ever serve at a profit."""
    bids, _, candidates, _ = canon.tables
    first, end = bids[:-1, kernels.CANDIDATE], bids[1:, kernels.CANDIDATE]
    listed = np.flatnonzero(end > first)
    cheapest = candidates[first[listed], kernels.COST]
    rows = bids[listed]
    fits = cheapest <= rows[:, kernels.VALUE] // rows[:, kernels.MEMBERS]
    rows, listed = rows[fits], listed[fits]
    surplus = rows[:, kernels.VALUE] - cheapest[fits] * rows[:, kernels.MEMBERS]
    size, choices = _size(canon, listed), (end - first)[listed]
    gained = surplus.astype(np.float64)
    keys = (
        gained,
        rows[:, kernels.VALUE].astype(np.float64),
        gained / size,
        gained / np.sqrt(size),
        rows[:, kernels.VALUE] / size,
        gained / choices,
    )
    return np.array([listed[np.argsort(-key, kind="stable")] for key in keys], dtype=np.int64)


def guided(ranking: Numbers, gain: list[float]) -> Numbers:
    """The orders with one more: by what each bid would gain at prices that the relaxation found."""
    listed = np.sort(ranking[0])
    order = listed[np.argsort(-np.array(gain)[listed], kind="stable")]
    return np.concatenate((ranking, np.array([order] * PULL)))


def best_greedy(canon: Canon, ranking: Numbers) -> tuple[Room, Held]:
    """The best state that serving by one of the orders gives."""
    words = canon.words()
    room, held = canon.state()
    for order in ranking:
        tried_room, tried = canon.state()
        kernels.construct(canon.tables, tried_room, tried, order, words)
        if kernels.better(tried[5], held[5]):
            room, held = tried_room, tried
    return room, held


def _size(canon: Canon, listed: Numbers) -> Doubles:
    """How much of the whole supply a bid takes: its shares of each lane and of the devices, added."""
    bids, want = canon.tables[0][listed], canon.tables[1][listed]
    supply = np.maximum(canon.room[0].sum(axis=0), 1)
    milli = max(int(canon.room[1][:, 0].sum()), 1)
    size = (bids[:, kernels.DEVICES] * bids[:, kernels.SHARE]) / milli
    for lane in range(want.shape[1]):
        size = size + want[:, lane] / supply[lane]
    return np.asarray(np.maximum(size * bids[:, kernels.MEMBERS], 1e-9), dtype=np.float64)
