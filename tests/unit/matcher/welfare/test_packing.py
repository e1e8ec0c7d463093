"""Members onto devices: found whenever there is a way, and told apart from not having looked long enough."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from matcher.welfare.packing import Item, Rooms, pack

rooms = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=3)
items = st.lists(st.tuples(st.just(1), st.integers(1, 6), st.integers(0, 6)), max_size=5)


def by_trying_all(free: Rooms, wanted: list[Item]) -> bool:
    return any(_holds(free, wanted, places) for places in product(range(len(free)), repeat=len(wanted)))


def _holds(free: Rooms, wanted: list[Item], places: tuple[int, ...]) -> bool:
    for number, (milli, memory) in enumerate(free):
        here = [item for item, place in zip(wanted, places, strict=True) if place == number]
        if sum(item[1] for item in here) > milli or sum(item[2] for item in here) > memory:
            return False
    return True


@given(rooms, items)
def test_items_are_packed_exactly_when_there_is_a_way(free: Rooms, wanted: list[Item]) -> None:
    packing = pack(free, wanted)
    assert packing.certain
    assert (packing.places is not None) == by_trying_all(free, wanted)


def test_a_member_of_two_devices_gets_two_different_ones() -> None:
    assert pack([(1000, 8), (1000, 8)], [(2, 500, 4)]).places == ((0, 1),)
    assert pack([(1000, 8)], [(2, 500, 4)]).places is None


def test_a_fuller_device_is_taken_before_an_emptier_one() -> None:
    assert pack([(1000, 8), (400, 8), (1000, 8)], [(1, 300, 0)]).places == ((1,),)


def test_giving_up_is_not_called_certain() -> None:
    free = [(1000 - number, 1000) for number in range(12)]
    wanted = [(1, 334 + number, 1) for number in range(26)]
    packing = pack(free, wanted)
    assert packing.places is None
    assert not packing.certain
