"""Holes: what a partly used device will lose, told from the shares that are asked for.

A device with f milli free waits for shares that fit. It need not take the first: another device may,
and this one keeps its hole for a better one. What is lost of f in the end, when a number of arrivals
has passed and each was taken or left for the better, is the value of an optimal stopping problem: from
f, with k arrivals to come, loss_k(f) = E min(loss_{k-1}(f), loss_{k-1}(f - share)), and loss_0(f) = f.
"""

from typing import TypeAlias

import numpy as np

from matcher.compiled import Numbers, compiled
from matcher.devices import WHOLE

Holes: TypeAlias = tuple[tuple[int, int], ...]
"""(share in milli, how often it is asked for)"""

ONE = 1 << 20
"""one milli of a GPU in the fixed point of losses and scores"""

_ARRIVALS = 28
"""of shares that a hole may wait for: only the few devices that are partly used compete for them. Much fewer
value a hole too little, several times as many leave it empty for what does not come."""


def losses(holes: Holes) -> Numbers:
    """Expected loss of a device by its free milli, 0 to 1000, in fixed point; an idle one loses nothing."""
    asked = np.array([hole for hole in holes if 0 < hole[0] < WHOLE], dtype=np.int64).reshape(-1, 2)
    lost = _stopped(asked, np.arange(WHOLE + 1, dtype=np.int64) * ONE, _ARRIVALS)
    lost[WHOLE] = 0
    return lost


@compiled("int64[::1](int64[:, ::1], int64[::1], int64)")
def _stopped(asked: Numbers, loss: Numbers, arrivals: int) -> Numbers:
    total = asked[:, 1].sum()
    if total == 0:
        return loss
    for _ in range(arrivals):
        saved = np.zeros_like(loss)
        for kind in range(asked.shape[0]):
            share, count = asked[kind, 0], asked[kind, 1]
            for free in range(share, loss.size):
                saved[free] += count * max(0, loss[free] - loss[free - share])
        loss = loss - saved // total
    return loss
