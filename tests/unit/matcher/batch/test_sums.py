"""Sums fit a machine word, exactly where they can and never in anybody's disfavour where not."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from matcher.batch.sums import Scale, scale_for
from matcher.orders import BidOrder
from tests.factories import bid_order


def an_order(rate: int, seconds: int, members: int = 1) -> BidOrder:
    order = bid_order(members=members)
    return replace(order, bid=replace(order.bid, limit_rate=rate, duration=seconds))


def test_the_common_divisor_of_the_durations_is_taken_out_exactly() -> None:
    scale = scale_for([an_order(100, 3_600), an_order(100, 5_400)], [0, 0])
    assert scale == Scale(seconds=1_800, cut=0)
    assert scale.exact(scale.worth(100, 5_400)) == 100 * 5_400


def test_what_a_single_bid_of_no_duration_is_worth_is_nothing() -> None:
    assert scale_for([an_order(100, 0)], [0]).worth(100, 0) == 0


rates = st.integers(0, (1 << 96) - 1)
seconds = st.integers(1, (1 << 32) - 1)
some_orders = st.lists(st.builds(an_order, rates, seconds, st.integers(1, 64)), min_size=1, max_size=5)


@given(some_orders, st.integers(0, 1 << 90))
def test_all_together_stay_within_62_bits(orders: list[BidOrder], premium: int) -> None:
    scale = scale_for(orders, [-premium] * len(orders))
    worth = [scale.worth(order.bid.limit_rate + premium, order.bid.duration) for order in orders]
    assert sum(each * order.members**2 for each, order in zip(worth, orders, strict=True)) < 1 << 62


@given(some_orders, rates)
def test_worth_is_rounded_down_and_cost_up(orders: list[BidOrder], rate: int) -> None:
    scale = scale_for(orders, [0] * len(orders))
    for order in orders:
        duration = order.bid.duration
        worth, cost = scale.worth(rate, duration), scale.cost(rate, duration)
        assert scale.exact(worth) <= rate * duration <= scale.exact(cost)
        assert cost - worth <= 1
        assert scale.cut or worth == cost
