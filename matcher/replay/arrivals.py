"""Arrivals: the protocol of "Beware of Fragmentation" (ATC'23), and the only chance in the replay.

Everything is drawn from Python's Mersenne Twister, `random.Random(seed)`, in this order: the shuffle of the
tasks, the tasks appended or removed until the load is met, the permutation of the machines, and what the
random policy chooses. The machines' permutation has a generator of its own, so that it does not depend on
whether a file gave the order.
"""

import random
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ledger.market.errors import Rejected

_LOAD = re.compile(r"[0-9]{1,3}(\.[0-9]{0,12})?|\.[0-9]{1,12}")
_MOST_ARRIVALS = 1 << 24


def arrivals(requested: Sequence[int], limit: Fraction, seed: int) -> list[int]:
    """The tasks by number, in the order of arrival. `requested` is the GPU milli of each; tasks are drawn
    with replacement until the next would take their sum beyond `limit`, or removed while it is above.
    `Rejected` where that takes more tasks than memory should hold."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable draw is the point
    order = list(range(len(requested)))
    chance.shuffle(order)
    total = sum(requested)
    while total > limit:
        total -= requested[order.pop(chance.randrange(len(order)))]
    if len(order) < len(requested) or not total:
        return order
    while True:
        drawn = chance.randrange(len(requested))
        total += requested[drawn]
        if total > limit:
            return order
        if len(order) == _MOST_ARRIVALS:
            raise Rejected(
                "too-many-arrivals",
                f"The load takes more than {_MOST_ARRIVALS} tasks.",
                "Give a smaller load, or tasks that ask for more.",
            )
        order.append(drawn)


def ranks(machines: int, seed: int) -> list[int]:
    """The machines by number, in the order in which equal ones are preferred."""
    order = list(range(machines))
    random.Random(f"machines {seed}").shuffle(order)  # noqa: S311 - as above
    return order


class Chance:
    """What the random policy chooses."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"choices {seed}")  # noqa: S311 - as above

    def one_of(self, rows: NDArray[np.int64]) -> int:
        """Any of them, uniformly."""
        return int(rows[self._chance.randrange(rows.size)])


def load_of(text: str) -> Fraction:
    """A load such as 1.3, exactly; `Rejected` where it is none from 0 to 100."""
    load = Fraction(text) if _LOAD.fullmatch(text) else Fraction()
    if not 0 < load <= 100:
        raise _no_load(text)
    return load


def _no_load(text: str) -> Rejected:
    return Rejected(
        "load-out-of-range",
        f"The load is {text[:40]!r}.",
        "Give a share of the capacity such as 1.3, to 100.",
    )
