"""Quantities: seven lanes in a word, compared all at once and never mixed up."""

import pytest
from hypothesis import given

from ledger.market.errors import Rejected
from ledger.market.resource import GUARDS, LANE_LIMIT, LANE_NAMES, LANES_MASK, Quantities
from tests import strategies as some

HALF = dict.fromkeys(LANE_NAMES, LANE_LIMIT // 2)


def test_lanes_lie_lowest_first() -> None:
    assert Quantities(cpu=1, memory=2, network=3).pack() == 1 | 2 << 32 | 3 << 160


@given(lanes=some.quantities)
def test_a_word_comes_back_as_the_same_lanes(lanes: Quantities) -> None:
    assert Quantities.unpack(lanes.pack()) == lanes
    assert lanes.pack() & GUARDS == 0
    assert lanes.pack() <= LANES_MASK


@pytest.mark.parametrize("word", [1 << 31, 1 << 63, 1 << 223, 1 << 224, 1 << 255, 1 << 256, -1])
def test_a_guard_bit_or_one_above_the_lanes_is_refused(word: int) -> None:
    with pytest.raises(Rejected):
        Quantities.unpack(word)


@pytest.mark.parametrize("value", [-1, LANE_LIMIT, 1.5, True, None])
def test_a_lane_takes_31_bits_of_integer_only(value: object) -> None:
    assert Quantities(cpu=LANE_LIMIT - 1).cpu == LANE_LIMIT - 1
    with pytest.raises(Rejected):
        Quantities(cpu=value)  # type: ignore[arg-type]  # what must be refused


@given(want=some.quantities, free=some.quantities)
def test_the_one_word_test_agrees_with_lane_by_lane(want: Quantities, free: Quantities) -> None:
    fits = all(w <= f for w, f in zip(want, free, strict=True))
    assert want.within(free) is fits
    assert (want.lacking(free) == {}) is fits


@given(one=some.quantities, other=some.quantities)
def test_what_is_taken_and_given_back_leaves_nothing(one: Quantities, other: Quantities) -> None:
    small = one.less(Quantities(**HALF))
    smaller = other.less(Quantities(**HALF))
    assert small.plus(smaller).less(smaller) == small
    assert small.less(small) == Quantities()


def test_less_saturates_and_plus_does_not() -> None:
    assert Quantities(cpu=1).less(Quantities(cpu=2, disk=3)) == Quantities()
    with pytest.raises(Rejected):
        Quantities(cpu=LANE_LIMIT - 1).plus(Quantities(cpu=1))


def test_lacking_says_by_how_much() -> None:
    assert Quantities(cpu=5, memory=2).lacking(Quantities(cpu=3, memory=2)) == {"cpu": 2}


def test_with_lanes_changes_only_what_is_named() -> None:
    assert Quantities(cpu=1, disk=2).with_lanes(disk=3) == Quantities(cpu=1, disk=3)
    with pytest.raises(Rejected):
        Quantities(cpu=1).with_lanes(cpu=-1)
