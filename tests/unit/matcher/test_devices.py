"""A device is lent up to what it has, the fullest first, and what is given back is free again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.resource import Quantities
from matcher.devices import Devices, devices_of, lent_devices, per_device


def devices(*free_milli: int, memory: int = 100) -> Devices:
    return Devices(free_milli=free_milli, free_memory=(memory,) * len(free_milli), milli=1000, memory=memory)


@st.composite
def some_devices(draw: st.DrawFn) -> Devices:
    milli, memory = draw(st.integers(1, 1000)), draw(st.integers(0, 80))
    count = draw(st.integers(0, 8))
    return Devices(
        free_milli=tuple(draw(st.integers(0, milli)) for _ in range(count)),
        free_memory=tuple(draw(st.integers(0, memory)) for _ in range(count)),
        milli=milli,
        memory=memory,
    )


def test_a_lane_of_thousands_lends_whole_devices() -> None:
    assert lent_devices(2500) == (2, 1000)


def test_a_lane_below_a_thousand_lends_one_slice() -> None:
    assert lent_devices(250) == (1, 250)


def test_a_lane_of_nothing_lends_no_device() -> None:
    assert lent_devices(0) == (0, 0)


def test_a_want_is_spread_over_as_few_devices_as_can_be_and_evenly() -> None:
    want = Quantities(gpu=2500, gpu_memory=100)
    assert devices_of(want) == 3
    assert per_device(want, 3) == (834, 34)


def test_the_fullest_device_that_fits_is_taken() -> None:
    assert devices(1000, 400, 700, 300).places(1, 350, 10) == (1,)


def test_of_equally_full_devices_the_lowest_number_is_taken() -> None:
    assert devices(1000, 500, 500).places(1, 500, 10) == (1,)


def test_several_whole_devices_are_named_in_ascending_numbers() -> None:
    assert devices(1000, 999, 1000, 1000).places(2, 1000, 10) == (0, 2)


def test_halves_of_two_devices_make_no_whole_one() -> None:
    assert devices(500, 500).places(1, 1000, 10) is None


def test_a_device_without_memory_left_does_not_fit() -> None:
    full = devices(500, 900).take((0,), 100, 95)
    assert full.places(1, 300, 10) == (1,)


def test_more_cannot_be_taken_than_is_free() -> None:
    with pytest.raises(Rejected, match="A device has -100 free"):
        devices(500).take((0,), 600, 10)


def test_more_cannot_be_given_than_was_taken() -> None:
    with pytest.raises(Rejected, match="A device has 1100 free"):
        devices(500).give((0,), 600, 0)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(Rejected, match="no device 1"):
        devices(500).take((1,), 100, 0)


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(Rejected, match="2 devices have free milli, 1 free memory"):
        Devices(free_milli=(1, 2), free_memory=(1,), milli=1000, memory=1)


def test_the_fullest_that_holds_so_much_gives_it_back() -> None:
    used = devices(1000, 600, 400, 900).take((0, 1, 2, 3), 0, 50)
    assert used.holders(1, 300, 50) == (2,)
    assert used.holders(2, 300, 50) == (1, 2)
    assert used.holders(4, 300, 50) is None


@given(free=some_devices(), count=st.integers(1, 8), share=st.integers(1, 1000), memory=st.integers(0, 80))
def test_places_are_found_wherever_enough_devices_fit(
    free: Devices, count: int, share: int, memory: int
) -> None:
    fitting = [
        n
        for n in range(len(free.free_milli))
        if free.free_milli[n] >= share and free.free_memory[n] >= memory
    ]
    placed = free.places(count, share, memory)
    if placed is None:
        assert len(fitting) < count
        return
    assert len(set(placed)) == count
    assert set(placed) <= set(fitting)
    left = [free.free_milli[n] for n in fitting if n not in placed]
    assert all(free.free_milli[n] <= other for n in placed for other in left)
    assert free.take(placed, share, memory).give(placed, share, memory) == free


@given(free=some_devices(), count=st.integers(1, 8), share=st.integers(1, 1000), memory=st.integers(0, 80))
def test_what_was_taken_can_always_be_given_back_by_somebody(
    free: Devices, count: int, share: int, memory: int
) -> None:
    placed = free.places(count, share, memory)
    if placed is not None:
        used = free.take(placed, share, memory)
        holders = used.holders(count, share, memory)
        assert holders is not None
        assert sum(used.give(holders, share, memory).free_milli) == sum(free.free_milli)
