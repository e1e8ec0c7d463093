"""What is typical, as the arrivals tell it: seldom, bounded, and the same for the same arrivals."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.identity import BidId
from ledger.market.resource import Quantities
from matcher.fragmentation.demand import Shape
from matcher.orders import BidOrder
from node.trading.arrivals import MOST_SHAPES, Arrivals
from tests.factories import NOW, a_bid


def order(cpu: int, memory: int = 1_024, members: int = 1) -> BidOrder:
    name = BidId(cpu.to_bytes(32))
    bid = a_bid(want=Quantities(cpu=cpu, memory=memory), members=members)
    return BidOrder(id=name, job=name, bid=bid, sequence=cpu, arrived_at=NOW)


def test_the_first_few_arrivals_tell_nothing() -> None:
    arrivals = Arrivals()
    assert all(arrivals.arrived([order(1_000)]) is None for _ in range(15))
    stated = arrivals.arrived([order(2_000)])
    assert stated is not None
    assert stated.shapes == ((Shape(cpu=1_000, memory=0), 15), (Shape(cpu=2_000, memory=0), 1))


def test_it_is_told_anew_when_a_quarter_more_arrived() -> None:
    arrivals = Arrivals()
    told = [number for number in range(1, 41) if arrivals.arrived([order(1_000)]) is not None]
    assert told == [16, 20, 25, 31, 38]


def test_every_member_of_a_gang_counts_and_memory_does_not() -> None:
    arrivals = Arrivals()
    stated = arrivals.arrived([order(1_000, memory=1, members=12), order(1_000, memory=2, members=4)])
    assert stated is not None
    assert stated.shapes == ((Shape(cpu=1_000, memory=0), 16),)


def test_a_restart_forgets_and_counts_what_it_is_given() -> None:
    arrivals = Arrivals()
    arrivals.arrived(order(9_000) for _ in range(100))
    assert arrivals.restart([order(1_000)]) is None
    stated = arrivals.restart(order(2_000) for _ in range(16))
    assert stated is not None
    assert stated.shapes == ((Shape(cpu=2_000, memory=0), 16),)


def test_old_arrivals_fade() -> None:
    arrivals = Arrivals()
    arrivals.arrived([order(1_000, members=64)] * 100)
    arrivals.arrived([order(2_000, members=64)] * 1_000)
    stated = arrivals.arrived([order(2_000, members=64)] * 200)
    assert stated is not None
    old, new = (count for _, count in stated.shapes)
    assert old * 10 < new


@given(st.lists(st.integers(1, 5_000), min_size=16, max_size=400))
def test_a_flood_of_shapes_is_cut_to_the_most_popular_in_a_fixed_order(asked: list[int]) -> None:
    stated = Arrivals().arrived(map(order, asked))
    assert stated is not None
    shapes = [shape for shape, _ in stated.shapes]
    assert len(shapes) == min(MOST_SHAPES, len(set(asked)))
    assert [shape.cpu for shape in shapes] == sorted(shape.cpu for shape in shapes)
    left_out = [asked.count(cpu) for cpu in set(asked) - {shape.cpu for shape in shapes}]
    assert max(left_out, default=0) <= min(count for _, count in stated.shapes)
    assert stated == Arrivals().arrived(map(order, reversed(asked)))
