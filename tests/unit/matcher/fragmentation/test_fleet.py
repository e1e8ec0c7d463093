"""The fleet chooses a place wherever there is one, never lends one twice, and remembers what it scored."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from matcher.compiled import Numbers
from matcher.fragmentation.demand import NO_DEMAND, Demand, Shape, demand_for, typical_shapes
from matcher.fragmentation.fleet import Choice, Fleet, Room, numbers, tables
from matcher.fragmentation.scores import (
    BEST_FIT,
    FGD,
    FIRST,
    NOWHERE,
    OURS,
    RANDOM,
    class_of,
    survey,
    surveyed,
)
from matcher.fragmentation.ties import classes

POLICIES = (OURS, FGD, BEST_FIT, RANDOM)
WHOLE = Shape(cpu=8, memory=8, devices=1, share=1000)
HALF = Shape(cpu=4, memory=4, devices=1, share=500)
SHAPES = (
    WHOLE,
    HALF,
    Shape(cpu=2, memory=1, devices=1, share=320),
    Shape(cpu=2, memory=1, devices=1, share=190, models=0b01),
    Shape(cpu=9, memory=1, devices=2, share=1000),
    Shape(cpu=3, memory=1, devices=2, share=400, models=0b10),
    Shape(cpu=5, memory=2),
)
shapes = st.sampled_from(SHAPES)
milli = st.sampled_from((0, 110, 190, 320, 500, 680, 1000))
rooms = st.builds(
    Room,
    cpu=st.integers(0, 40),
    memory=st.integers(0, 40),
    milli=st.lists(milli, max_size=4).map(tuple),
    model=st.integers(0, 1),
    slots=st.integers(0, 3),
)
fleets = st.lists(rooms, min_size=1, max_size=8)
demands = st.lists(shapes, max_size=20).map(demand_for)


def room(*free: int, cpu: int = 64, model: int = 0, slots: int = 9) -> Room:
    return Room(cpu=cpu, memory=64, milli=free, model=model, slots=slots)


def fits(at: Room, shape: Shape) -> bool:
    """The rule, in plain words."""
    lanes = at.cpu >= shape.cpu and at.memory >= shape.memory and at.slots > 0
    model = not shape.devices or bool(shape.models >> at.model & 1)
    return lanes and model and sum(free >= shape.share for free in at.milli) >= shape.devices


def row_of(at: Room) -> Numbers:
    return np.array((at.cpu, at.memory, at.slots, at.model, len(at.milli), *at.milli), dtype=np.int64)


def classes_of(rooms: list[Room], shape: Shape, demand: Demand, policy: int) -> list[int]:
    """Each room's class by itself."""
    return [class_of(row, numbers(shape), tables(demand, policy, row.size)) for row in map(row_of, rooms)]


def fragments(row: Numbers, cpu: int, demand: Demand, popular: Numbers) -> int:
    """Of a row that is surveyed as it is."""
    found = np.zeros((len(demand.typical), 2), dtype=np.int64)
    survey(row, demand.typical, found)
    return surveyed(cpu, int(row[FIRST:].sum()), demand.typical, popular, found, 0, 0)


def test_a_share_goes_where_it_fills_a_hole() -> None:
    fleet = Fleet([room(1000), room(1000, 500), room(320)], demand_for([WHOLE, HALF]))
    assert fleet.choose(HALF) == Choice(row=1, devices=(1,))


def test_an_awkward_remainder_is_not_left_where_a_fitting_hole_is() -> None:
    share = Shape(cpu=2, memory=1, devices=1, share=320)
    fleet = Fleet([room(1000, 500), room(1000, 320)], demand_for([share, HALF]))
    assert fleet.choose(share) == Choice(row=1, devices=(1,))


def test_work_with_many_cores_spares_the_gpus_that_need_them() -> None:
    greedy = Shape(cpu=30, memory=1, devices=1, share=1000)
    fleet = Fleet([room(1000, 1000, cpu=32), room(1000, 1000, cpu=64)], demand_for([WHOLE]))
    assert fleet.choose(greedy) == Choice(row=1, devices=(0,))


def test_of_equal_places_the_first_row_is_chosen() -> None:
    fleet = Fleet([room(1000, cpu=1), room(1000), room(1000)], NO_DEMAND)
    assert fleet.choose(WHOLE) == Choice(row=1, devices=(0,))


def test_where_nothing_fits_nothing_is_chosen() -> None:
    fleet = Fleet([room(999, 999), room(1000, cpu=7), room(1000, slots=0)], NO_DEMAND)
    assert fleet.choose(WHOLE) is None
    assert Fleet([], NO_DEMAND).choose(WHOLE) is None


def test_a_model_is_asked_of_gpu_work_alone() -> None:
    bound = Shape(cpu=1, memory=1, devices=1, share=100, models=0b10)
    fleet = Fleet([room(1000), room(1000, model=1)], NO_DEMAND)
    assert fleet.choose(bound) == Choice(row=1, devices=(0,))
    assert Fleet([room(1000)], NO_DEMAND).choose(Shape(cpu=1, memory=1, models=0b10)) is not None


def test_what_was_given_back_is_chosen_again() -> None:
    fleet = Fleet([room(1000)], NO_DEMAND)
    choice = fleet.choose(WHOLE)
    assert choice is not None
    fleet.take(choice, WHOLE)
    assert fleet.choose(WHOLE) is None
    fleet.give(choice, WHOLE)
    assert fleet.choose(WHOLE) == choice


@pytest.mark.parametrize("devices", [(0,), (5,), (0, 0), ()])
def test_room_that_is_not_there_cannot_be_taken(devices: tuple[int, ...]) -> None:
    fleet = Fleet([room(500, 1000)], NO_DEMAND)
    with pytest.raises(Rejected, match="no room on devices"):
        fleet.take(Choice(row=0, devices=devices), WHOLE)


def test_more_than_a_whole_device_cannot_be_given_back() -> None:
    fleet = Fleet([room(900)], NO_DEMAND)
    with pytest.raises(Rejected, match="no room on devices"):
        fleet.give(Choice(row=0, devices=(0,)), HALF)


@pytest.mark.parametrize("free", [(1001,), (-1,), (0,) * 65])
def test_a_room_with_impossible_devices_is_refused(free: tuple[int, ...]) -> None:
    with pytest.raises(Rejected, match="milli"):
        room(*free)


def test_a_model_beyond_the_mask_is_refused() -> None:
    with pytest.raises(Rejected, match="Model 62"):
        room(1000, model=62)


def test_fitting_rows_are_all_that_fit() -> None:
    fleet = Fleet([room(500), room(1000), room(999), room(0, 1000)], NO_DEMAND, RANDOM)
    assert fleet.fitting(WHOLE).tolist() == [1, 3]


@given(given_rooms=fleets, demand=demands, shape=shapes, policy=st.sampled_from(POLICIES))
def test_a_place_is_found_exactly_where_one_fits(
    given_rooms: list[Room], demand: Demand, shape: Shape, policy: int
) -> None:
    fleet = Fleet(given_rooms, demand, policy)
    choice = fleet.choose(shape)
    assert (choice is not None) == any(fits(at, shape) for at in given_rooms)
    if choice is not None:
        at = given_rooms[choice.row]
        assert fits(at, shape)
        assert len(set(choice.devices)) == shape.devices
        assert all(at.milli[device] >= shape.share for device in choice.devices)


@settings(deadline=None)
@given(
    given_rooms=fleets,
    demand=demands,
    steps=st.lists(st.tuples(shapes, st.booleans(), st.integers(0, 7)), max_size=25),
    policy=st.sampled_from(POLICIES),
)
def test_kept_scores_are_those_from_scratch_and_no_room_is_lent_twice(
    given_rooms: list[Room], demand: Demand, steps: list[tuple[Shape, bool, int]], policy: int
) -> None:
    fleet, held = Fleet(given_rooms, demand, policy), list[tuple[Choice, Shape]]()
    for shape, back, number in steps:
        if back and held:
            fleet.give(*held.pop(number % len(held)))
        fresh = Fleet([fleet.room(row) for row in range(len(fleet))], demand, policy)
        choice = fleet.choose(shape)
        assert choice == fresh.choose(shape)
        ranked = classes_of([fleet.room(row) for row in range(len(fleet))], shape, demand, policy)
        assert (choice.row if choice else -1) == (ranked.index(max(ranked)) if max(ranked) > NOWHERE else -1)
        if choice is not None:
            fleet.take(choice, shape)
            held.append((choice, shape))
    for choice, shape in held:
        fleet.give(choice, shape)
    assert [fleet.room(row) for row in range(len(fleet))] == given_rooms


@given(at=rooms, demand=demands, device=st.integers(0, 3), new=st.integers(0, 1000))
def test_a_changed_device_is_counted_as_if_the_row_were_surveyed_anew(
    at: Room, demand: Demand, device: int, new: int
) -> None:
    row, idle, popular = row_of(at), sum(at.milli), demand.popular[at.model]
    found = np.zeros((len(demand.typical), 2), dtype=np.int64)
    survey(row, demand.typical, found)
    if device < len(at.milli):
        old, row[FIRST + device] = at.milli[device], new
        quick = surveyed(at.cpu, idle, demand.typical, popular, found, old, new)
        assert quick == fragments(row, at.cpu, demand, popular)


@given(at=rooms, tasks=st.lists(shapes, max_size=20))
def test_fragments_are_those_of_the_paper(at: Room, tasks: list[Shape]) -> None:
    expected, demand = 0, demand_for(tasks)
    for cpu, share, devices, models, count in typical_shapes(Counter(tasks)):
        usable = sum(free for free in at.milli if free >= share)
        fit = devices and at.cpu >= cpu and models >> at.model & 1
        fit = fit and sum(free >= share for free in at.milli) >= devices
        expected += count * (sum(at.milli) - (usable if fit else 0))
    assert fragments(row_of(at), at.cpu, demand, demand.popular[at.model]) == expected


@given(given_rooms=fleets, demand=demands, shape=shapes)
def test_a_market_sees_the_classes_that_the_fleet_sees(
    given_rooms: list[Room], demand: Demand, shape: Shape
) -> None:
    open_rooms = [
        Room(cpu=at.cpu, memory=at.memory, milli=at.milli, model=at.model, slots=1) for at in given_rooms
    ]
    width = max(len(at.milli) for at in open_rooms)
    free = np.array([(*at.milli, *(-1,) * (width - len(at.milli))) for at in open_rooms], dtype=np.int64)
    seen = classes(
        demand,
        shape,
        np.array([at.cpu for at in open_rooms]),
        np.array([at.memory for at in open_rooms]),
        free.reshape(len(open_rooms), width),
        np.array([at.model for at in open_rooms]),
    )
    assert seen.tolist() == classes_of(open_rooms, shape, demand, OURS)
    assert [value > NOWHERE for value in seen] == [fits(at, shape) for at in open_rooms]


def test_a_shape_is_read_as_five_numbers() -> None:
    assert numbers(WHOLE).tolist() == [8, 8, 1, 1000, (1 << 62) - 1]
