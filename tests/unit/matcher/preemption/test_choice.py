"""Who yields to a bid that found no room: the least welfare is lost, and never more than is won."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.identity import BidId, LeaseId, OfferId
from ledger.market.resource import Quantities
from matcher.devices import Devices
from matcher.orders import BidOrder
from matcher.preemption.choice import choose, fits
from matcher.preemption.running import Preemption, Room, Running
from tests.factories import HOUR, NOW, a_digest, an_address, bid_order

OFFER = OfferId(a_digest("offer"))
LATER = NOW + HOUR


def cores(count: int) -> Quantities:
    return Quantities(cpu=count * 1_000)


def a_lease(name: str, **changes: Any) -> Running:
    """One core for half an hour more at a limit of 2,000 over a cost of 1,000, with a minute's notice."""
    lease = Running(
        lease=LeaseId(a_digest(name)),
        bid=BidId(a_digest(f"bid {name}")),
        job=BidId(a_digest(f"job {name}")),
        buyer=an_address(f"buyer {name}"),
        offer=OFFER,
        want=cores(1),
        limit=2_000,
        cost=1_000,
        ends_at=NOW + 1_860,
        notice=60,
    )
    return replace(lease, **changes)


def a_room(**changes: Any) -> Room:
    return replace(Room(offer=OFFER, free=cores(0), rate=1_000, valid_until=NOW + 24 * HOUR), **changes)


def an_order(name: str = "bid", **changes: Any) -> BidOrder:
    """One core for half an hour at a limit of 3,000."""
    given_here: dict[str, Any] = {"want": cores(1), "limit_rate": 3_000, "duration": 1_800}
    return bid_order(name, **(given_here | changes))


def chosen(*running: Running, order: BidOrder | None = None, **changes: Any) -> Preemption | None:
    return choose(order or an_order(), [a_room(**changes)], running, NOW, latest=LATER)


def victims(found: Preemption | None) -> set[LeaseId]:
    return set() if found is None else {one.lease for one in found.victims}


def test_a_higher_bid_takes_the_place_of_a_lower_interruptible_lease_after_its_notice() -> None:
    found = chosen(a_lease("low"))
    assert found is not None
    assert victims(found) == {a_lease("low").lease}
    assert (found.loss, found.gain, found.until) == (1_000 * 1_800, 2_000 * 1_800, NOW + 60)


@pytest.mark.parametrize(
    "changes",
    [
        {"notice": 0},
        {"limit": 3_000},
        {"limit": 3_001},
        {"buyer": an_address("buyer")},
        {"ends_at": NOW + 60},
        {"notice": HOUR + 1, "ends_at": NOW + 9 * HOUR},
        {"cost": 0, "ends_at": NOW + 60 + 1_800},
        {"want": Quantities(cpu=999)},
        {"offer": OfferId(a_digest("elsewhere"))},
    ],
    ids=[
        "not sold as interruptible",
        "an equal limit",
        "a higher limit",
        "the buyer's own",
        "it ends by itself",
        "the notice is longer than the bid waits",
        "no more is won than lost",
        "too little room",
        "another offer",
    ],
)
def test_nobody_yields_without_right_and_gain(changes: dict[str, Any]) -> None:
    assert chosen(a_lease("low", **changes)) is None


def test_a_bid_that_has_room_makes_nobody_yield() -> None:
    assert chosen(a_lease("low"), free=cores(1)) is None


def test_a_job_does_not_preempt_the_one_to_which_it_yielded() -> None:
    low = a_lease("low")
    room, spared = [a_room()], frozenset({low.job})
    assert choose(an_order(), room, [low], NOW, latest=LATER, spared=spared) is None


def test_what_has_least_to_lose_yields() -> None:
    found = chosen(a_lease("dear", limit=2_500), a_lease("cheap", limit=1_200), a_lease("fair"))
    assert victims(found) == {a_lease("cheap").lease}


def test_a_gang_yields_whole_also_where_it_stands_elsewhere() -> None:
    bid, elsewhere = BidId(a_digest("gang")), OfferId(a_digest("elsewhere"))
    here = a_lease("here", bid=bid, limit=1_100)
    other = a_lease("other", bid=bid, limit=1_100, offer=elsewhere)
    assert victims(chosen(here, other)) == {here.lease, other.lease}
    assert chosen(here, replace(other, notice=0)) is None


def test_several_small_ones_make_room_together_and_none_that_is_not_needed() -> None:
    low = [a_lease(f"low {n}", limit=1_100 + n) for n in range(4)]
    found = chosen(*low, order=an_order(want=cores(2)), rate=2_000, free=Quantities())
    assert victims(found) == {low[0].lease, low[1].lease}


def test_a_device_must_come_free_and_not_only_its_milli() -> None:
    """Half a device on each of two makes no whole one."""
    half = Quantities(gpu=500)
    low = [a_lease(f"low {n}", want=half, devices=(n,), share=500, limit=1_100 + n) for n in range(2)]
    devices = Devices(free_milli=(500, 500), free_memory=(0, 0), milli=1_000, memory=0)
    order = an_order(want=Quantities(gpu=1_000))
    assert len(victims(chosen(*low, order=order, free=Quantities(gpu=1_000), devices=devices))) == 1
    full = replace(devices, free_milli=(500, 0))
    dear = a_lease("dear", want=half, devices=(1,), share=500, notice=0)
    found = chosen(*low, dear, order=order, free=half, devices=full)
    assert victims(found) == {low[0].lease}


def test_the_stake_that_victims_lock_counts_as_free() -> None:
    assert chosen(a_lease("low", lock=5), stake=5, lock=10) is not None
    assert chosen(a_lease("low", lock=4), stake=5, lock=10) is None


def test_a_gang_preempts_nobody() -> None:
    assert chosen(a_lease("low"), order=an_order(members=2)) is None


RUNNING = st.lists(
    st.builds(
        lambda cpu, memory, limit, left, notice, gang: (cpu, memory, limit, left, notice, gang),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(900, 3_100),
        st.integers(0, 4_000),
        st.sampled_from((0, 30, 60)),
        st.integers(0, 9),
    ),
    max_size=7,
)


def leases_of(drawn: list[tuple[int, int, int, int, int, int]]) -> list[Running]:
    return [
        a_lease(
            f"{number}",
            want=Quantities(cpu=cpu, memory=memory),
            limit=limit,
            ends_at=NOW + left,
            notice=notice,
            bid=BidId(a_digest(f"gang {gang}")) if gang < 3 else BidId(a_digest(f"bid {number}")),
        )
        for number, (cpu, memory, limit, left, notice, gang) in enumerate(drawn)
    ]


def least_loss(order: BidOrder, room: Room, running: list[Running], gain: int) -> int | None:
    """By trying every set of bids whose leases may all yield."""
    bids = {one.bid: [other for other in running if other.bid == one.bid] for one in running}
    able = [
        members
        for members in bids.values()
        if all(one.notice and one.left(NOW) and one.limit < order.bid.limit_rate for one in members)
    ]
    losses = [
        sum(one.loss(NOW) for one in gone)
        for count in range(1, len(able) + 1)
        for some in combinations(able, count)
        if fits(order, room, gone := [one for members in some for one in members])
    ]
    return min((loss for loss in losses if loss < gain), default=None)


@settings(max_examples=400, deadline=None)
@given(RUNNING, st.integers(0, 6), st.integers(0, 6), st.integers(1_000, 3_000))
def test_the_loss_is_the_least_there_is_and_below_the_gain(
    drawn: list[tuple[int, int, int, int, int, int]], cpu: int, memory: int, rate: int
) -> None:
    running, room = leases_of(drawn), a_room(free=Quantities(cpu=1, memory=1), rate=rate)
    order = an_order(want=Quantities(cpu=cpu, memory=memory))
    found = choose(order, [room], running, NOW, latest=LATER)
    gain = (order.bid.limit_rate - rate) * order.bid.duration
    least = None if fits(order, room, ()) else least_loss(order, room, running, gain)
    assert (None if found is None else found.loss) == least
    if found is not None:
        assert fits(order, room, found.victims)
        assert found.loss < found.gain
        assert all(one.limit < order.bid.limit_rate for one in found.victims)
        assert {one.bid for one in running if one not in found.victims}.isdisjoint(
            one.bid for one in found.victims
        )


@settings(max_examples=100, deadline=None)
@given(RUNNING, st.randoms(use_true_random=False))
def test_the_order_in_which_leases_are_told_decides_nothing(
    drawn: list[tuple[int, int, int, int, int, int]], random: Any
) -> None:
    running, order = leases_of(drawn), an_order(want=Quantities(cpu=3, memory=3))
    shuffled = list(running)
    random.shuffle(shuffled)
    rooms = [a_room()]
    assert choose(order, rooms, running, NOW, latest=LATER) == choose(
        order, rooms, shuffled, NOW, latest=LATER
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1_001, 9_000), min_size=2, max_size=6, unique=True))
def test_no_chain_of_preemptions_comes_back_to_where_it_began(limits: list[int]) -> None:
    """Whoever yields bids again, for ever: the place changes hands at most once a limit."""
    bids = {limit: an_order(f"{limit}", limit_rate=limit, buyer=an_address(f"{limit}")) for limit in limits}
    held, changes = limits[0], 0
    for _ in range(len(limits) ** 2):
        lease = a_lease(f"{held}", limit=held, ends_at=NOW + 61)
        rivals = [limit for limit in limits if limit != held]
        winner = next((r for r in rivals if choose(bids[r], [a_room()], [lease], NOW, latest=LATER)), None)
        if winner is None:
            break
        assert winner > held
        held, changes = winner, changes + 1
    assert changes < len(limits)
    assert held == max(limits)
