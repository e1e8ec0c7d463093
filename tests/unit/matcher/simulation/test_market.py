"""A simulated market: bids find offers, leases end, and whoever is left out hears why."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.resource import Quantities
from matcher.orders import BidOrder
from matcher.simulation.market import simulate
from matcher.simulation.report import report
from matcher.simulation.scenario import Arrival, Listing, Scenario
from tests.factories import HOUR, NOW, a_bid, bid_order, offer_order

ONE_AT_A_TIME = a_bid().want
DAY = 24 * HOUR


def lent(name: str = "offer", until: int = NOW + DAY, **changes: Any) -> Listing:
    return Listing(order=offer_order(name, capacity=ONE_AT_A_TIME, **changes), since=NOW, until=until)


def came(order: BidOrder, at: int = NOW, wait: int = 0, runs: int = 600) -> Arrival:
    dated = replace(order.bid, valid_until=at + DAY, start_by=at + DAY)
    return Arrival(
        name=order.id.hex()[:4],
        ways=(replace(order, bid=dated, arrived_at=at),),
        rests_until=at + wait,
        runs=runs,
    )


def market(*arrivals: Arrival, listings: tuple[Listing, ...] = (lent(),), epoch: int = 1) -> Scenario:
    return Scenario(listings=listings, arrivals=arrivals, epoch=epoch)


def test_a_bid_waits_until_the_lease_before_it_ends() -> None:
    first, second = came(bid_order("a"), runs=300), came(bid_order("b", sequence=2), wait=400)
    served = simulate(market(first, second)).served
    assert [(one.arrival.name, one.at - NOW) for one in served] == [(first.name, 0), (second.name, 300)]


def test_a_bid_that_does_not_wait_is_left_out_and_told_when_there_will_be_room() -> None:
    outcome = simulate(market(came(bid_order("a"), runs=300), came(bid_order("b", sequence=2))))
    (left,) = outcome.left_out
    remedy = left.why[0].remedy
    assert remedy is not None
    assert [(one.demand, one.after - NOW) for one in remedy.changes] == [("wait", 300)]
    assert remedy.cost == 5_000


def test_a_bid_rests_no_longer_than_it_said() -> None:
    outcome = simulate(market(came(bid_order("a"), runs=300), came(bid_order("b", sequence=2), wait=299)))
    assert [one.at - NOW for one in outcome.left_out] == [300]
    assert len(outcome.served) == 1


def test_an_offer_that_went_serves_nobody() -> None:
    outcome = simulate(market(came(bid_order(), at=NOW + HOUR), listings=(lent(until=NOW + HOUR),)))
    assert outcome.served == ()
    assert outcome.left_out[0].why[0].excluded_count == 0


def test_of_alternatives_one_is_taken() -> None:
    dear = bid_order("dear", deny=("lab/*",))
    ways = (came(dear).ways[0], replace(came(bid_order("way")).ways[0], sequence=2))
    (one,) = simulate(market(replace(came(dear), ways=ways))).served
    assert one.order.id == ways[1].id


def test_epochs_gather_what_came_before_their_end() -> None:
    scenario = market(came(bid_order("a"), at=NOW + 1), came(bid_order("b"), at=NOW + 9), epoch=10)
    outcome = simulate(scenario)
    assert outcome.clearings == 1
    assert [one.at - NOW for one in outcome.served] == [10]
    assert [one.at - NOW for one in outcome.left_out] == [10]


def test_an_epoch_of_nothing_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        market(epoch=0)
    assert refusal.value.code == "epoch-too-short"


def test_the_report_has_welfare_prices_and_fill_rates() -> None:
    machine = lent(ask=Quantities(cpu=1_000))
    told = report(
        simulate(market(came(bid_order("a")), came(bid_order("b", sequence=2)), listings=(machine,)))
    )
    assert (told.orders.served, told.orders.asked, told.orders.per_mille) == (1, 2, 500)
    assert told.welfare == (5_000_000 - 1_000_000) * 600 // 3_600_000
    assert told.paid >= 1_000_000 * 600 // 3_600_000
    assert told.prices[0].leases == 1
    assert told.reasons.dimensions[0][1] == 1


@settings(max_examples=100, deadline=None)
@given(
    times=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900), st.integers(1, 600)), max_size=8),
    epoch=st.integers(1, 120),
    machines=st.integers(1, 3),
)
def test_every_order_is_served_or_left_out_and_no_room_is_lent_twice(
    times: list[tuple[int, int, int]], epoch: int, machines: int
) -> None:
    arrivals = tuple(
        came(bid_order(str(number), sequence=number, nonce=number), at=NOW + at, wait=wait, runs=runs)
        for number, (at, wait, runs) in enumerate(times)
    )
    listings = tuple(lent(str(number)) for number in range(machines))
    scenario = market(*arrivals, listings=listings, epoch=epoch)
    outcome = simulate(scenario)
    assert outcome == simulate(scenario)
    names = [one.arrival.name for one in outcome.served] + [one.arrival.name for one in outcome.left_out]
    assert sorted(names) == sorted(arrival.name for arrival in arrivals)
    for one in outcome.served:
        beside = [other for other in outcome.served if other.places == one.places and other is not one]
        assert all(other.at + other.arrival.runs <= one.at or other.at > one.at for other in beside)
        assert one.arrival.at <= one.at
