"""Orders that exclude one another stand together: alternatives, and all that one nonce was signed for."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.identity import BidId
from matcher.batch.contests import contests, priority
from matcher.orders import BidOrder
from tests.factories import a_digest, an_address, bid_order

GROUP = BidId(a_digest("group"))


def test_orders_that_have_nothing_in_common_stand_alone_in_the_order_of_the_queue() -> None:
    late, early = bid_order("late", 2, nonce=2), bid_order("early", 1, nonce=1)
    assert contests([late, early]) == [(early,), (late,)]


def test_alternatives_stand_at_the_place_of_their_earliest() -> None:
    first = replace(bid_order("first", 1, nonce=1), group=GROUP)
    between = bid_order("between", 2, nonce=2)
    second = replace(bid_order("second", 3, nonce=3), group=GROUP)
    assert contests([second, between, first]) == [(first, second), (between,)]


def test_a_nonce_is_its_buyers_own() -> None:
    ours, theirs = bid_order("ours", 1, nonce=5), bid_order("theirs", 2, nonce=5, buyer=an_address("bob"))
    again = bid_order("again", 3, nonce=5)
    assert contests([ours, theirs, again]) == [(ours, again), (theirs,)]


def test_a_chain_of_groups_and_nonces_is_one_contest() -> None:
    one = replace(bid_order("one", 1, nonce=1), group=GROUP)
    bridge = replace(bid_order("bridge", 2, nonce=2), group=GROUP)
    far = bid_order("far", 3, nonce=2)
    assert contests([far, one, bridge]) == [(one, bridge, far)]


orders = st.lists(
    st.builds(
        lambda name, place, nonce, group: replace(
            bid_order(str(name), place, nonce=nonce), group=BidId(a_digest(str(group))) if group else None
        ),
        st.integers(0, 1_000),
        st.integers(0, 5),
        st.integers(0, 6),
        st.integers(0, 3),
    ),
    max_size=8,
    unique_by=lambda order: order.id,
)


@given(orders)
def test_each_order_is_in_one_contest_and_contests_share_nothing(some: list[BidOrder]) -> None:
    found = contests(some)
    assert sorted(order.id for contest in found for order in contest) == sorted(order.id for order in some)
    names = [
        {("nonce", order.bid.nonce) for order in contest} | {("group", order.group) for order in contest}
        for contest in found
    ]
    for number, these in enumerate(names):
        for those in names[number + 1 :]:
            assert these & those <= {("group", None)}


@given(orders)
def test_the_order_in_which_they_come_decides_nothing(some: list[BidOrder]) -> None:
    found = contests(some)
    assert found == contests(some[::-1])
    assert [contest[0] for contest in found] == sorted((contest[0] for contest in found), key=priority)
