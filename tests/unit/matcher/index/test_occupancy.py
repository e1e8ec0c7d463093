"""The devices of a few offers are those that they have among all, and are spent by their viewer alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.resource import Quantities
from matcher.devices import Devices
from matcher.index.occupancy import Occupancy
from tests.factories import offer_order

COUNTS = (0, 1, 2, 4, 8)
moves = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from((1, 1, -1)), st.sampled_from((100, 300, 1000))), max_size=40
)


def lending(count: int) -> Quantities:
    return Quantities(cpu=1_000, memory=1_024, gpu=1_000 * count, gpu_memory=80 * count)


def move(occupancy: Occupancy, rows: int, steps: list[tuple[int, int, int]]) -> None:
    for row, sign, share in steps:
        if row < rows:
            occupancy.shift(row, sign, (-1,), share, share // 100)


def devices(occupancy: Occupancy, rows: int) -> list[Devices]:
    return [occupancy.devices(row) for row in range(rows)]


@given(
    counts=st.lists(st.sampled_from(COUNTS), min_size=1, max_size=12),
    before=moves,
    after=moves,
    data=st.data(),
)
def test_a_few_rows_are_spent_as_they_would_be_among_all(
    counts: list[int],
    before: list[tuple[int, int, int]],
    after: list[tuple[int, int, int]],
    data: st.DataObject,
) -> None:
    whole = Occupancy()
    for row, count in enumerate(counts):
        whole.put(row, offer_order(capacity=lending(count)))
    move(whole, len(counts), before)
    rows = data.draw(st.lists(st.sampled_from(range(len(counts))), unique=True))
    untouched, part, copied = devices(whole, len(counts)), whole.some(np.array(rows, np.intp)), whole.copy()
    assert devices(part, len(rows)) == [untouched[row] for row in rows]
    move(part, len(rows), after)
    move(copied, len(counts), [(rows[row], sign, share) for row, sign, share in after if row < len(rows)])
    assert devices(part, len(rows)) == [copied.devices(row) for row in rows]
    assert devices(whole, len(counts)) == untouched
