"""The clearing's laws: every rule kept, nothing better left out, and nothing but the market decides."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.replay.epoch import parsed, problem_of
from matcher.welfare import kernels
from matcher.welfare.greedy import orders
from matcher.welfare.problem import SAME_DOMAIN, Problem, Solution
from matcher.welfare.solve import solve
from matcher.welfare.tables import canon
from scripts.welfare.epochs import epoch
from tests.fakes.clearings import Ask, Host, asks, hosts, optimum, problem, problems, shuffled
from tests.fakes.feasible import faults

WHOLE_DEVICE = (1000, 16)


def crowded(seed: int, offers: int = 60, bids: int = 150) -> Problem:
    """A market large enough to be searched."""
    return problem_of(*parsed(epoch(seed, offers, bids), "made"))


def served(solution: Solution) -> set[int]:
    return {bid for bid, members in enumerate(solution.chosen) if members}


@given(problems())
def test_every_rule_is_kept_and_no_solution_is_worth_more_than_the_bound(made: Problem) -> None:
    solution = solve(made)
    assert faults(made, solution) == []
    assert solution.bound >= solution.welfare


@settings(max_examples=60)
@given(problems(most=3))
def test_a_small_market_gets_its_optimum(made: Problem) -> None:
    solution = solve(made)
    best = optimum(made)
    assert solution.welfare == best
    assert solution.bound >= best


@given(problems())
def test_no_order_of_serving_is_worth_more(made: Problem) -> None:
    table = canon(made)
    welfare = solve(made).welfare
    for order in orders(table):
        room, held = table.state()
        kernels.construct(table.tables, room, held, order, table.words())
        assert int(held[5][0]) * table.unit <= welfare


@given(problems(), st.integers(2, 10**9))
def test_the_unit_of_money_decides_nothing(made: Problem, scale: int) -> None:
    dearer = replace(
        made,
        bids=replace(made.bids, value=made.bids.value * scale),
        candidates=replace(made.candidates, cost=made.candidates.cost * scale),
    )
    first, second = solve(made), solve(dearer)
    assert second.chosen == first.chosen
    assert second.welfare == first.welfare * scale


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_listing_decides_nothing(made: Problem, chance: object) -> None:
    bids, offers = list(range(len(made.bids.keys))), list(range(len(made.offers.keys)))
    chance.shuffle(bids)  # type: ignore[attr-defined]
    chance.shuffle(offers)  # type: ignore[attr-defined]
    first, second = solve(made), solve(shuffled(made, bids, offers))
    renamed = {
        bids[bid]: tuple((offers[member.offer], member.devices) for member in members)
        for bid, members in enumerate(second.chosen)
    }
    assert renamed == {
        bid: tuple((member.offer, member.devices) for member in members)
        for bid, members in enumerate(first.chosen)
    }
    assert (second.welfare, second.bound) == (first.welfare, first.bound)


@given(st.data())
def test_one_offer_more_never_lowers_the_optimum(data: st.DataObject) -> None:
    lent = data.draw(hosts)
    wanted = data.draw(asks(len(lent), 6))
    fewer = [
        replace(ask, costs=tuple((offer, cost) for offer, cost in ask.costs if offer != len(lent) - 1))
        for ask in wanted
    ]
    assert solve(problem(lent, wanted)).welfare >= solve(problem(lent, fewer)).welfare


@given(st.integers(1, 4), st.lists(st.integers(5, 9), min_size=2, max_size=8))
def test_of_bids_that_ask_for_the_same_the_higher_limits_win_then_the_earlier(
    room: int, values: list[int]
) -> None:
    wanted = [Ask(value=value, costs=((0, 5),), want=(1, 0), seq=seq) for seq, value in enumerate(values)]
    winners = served(solve(problem([Host(lanes=(room, 0))], wanted)))
    ranked = sorted(range(len(values)), key=lambda bid: (-values[bid], bid))
    assert winners == set(ranked[:room])


def test_everybody_gets_the_cheapest_where_all_fit_and_that_is_proven() -> None:
    wanted = [Ask(value=9, costs=((0, 3), (1, 4))) for _ in range(4)]
    solution = solve(problem([Host(), Host()], wanted))
    assert solution.proven
    assert solution.welfare == 4 * (9 - 3)


def test_two_alternatives_are_never_both_served() -> None:
    wanted = [Ask(value=9, costs=((0, 3),), group=0), Ask(value=8, costs=((1, 1),), group=0)]
    solution = solve(problem([Host(), Host()], wanted))
    assert served(solution) == {1}
    assert solution.proven


def test_a_gang_in_one_domain_is_served_there_or_not_at_all() -> None:
    places = [Host(lanes=(1, 1), domain=domain) for domain in (0, 1, 1)]
    gang = Ask(value=30, costs=((0, 1), (1, 5), (2, 6)), members=2, together=SAME_DOMAIN)
    assert [member.offer for member in solve(problem(places, [gang])).chosen[0]] == [1, 2]
    assert not served(solve(problem(places[:2], [replace(gang, costs=((0, 1), (1, 5)))])))


def test_shares_that_fit_in_sum_but_on_no_device_are_not_sold() -> None:
    host = Host(devices=(WHOLE_DEVICE, WHOLE_DEVICE))
    wanted = [Ask(value=10, costs=((0, 1),), want=(0, 0), devices=1, share=600, memory=4) for _ in range(3)]
    assert len(served(solve(problem([host], wanted)))) == 2


def test_more_work_is_served_where_welfare_is_the_same() -> None:
    host = Host(lanes=(1, 1), devices=(WHOLE_DEVICE,))
    small = Ask(value=9, costs=((0, 1),), devices=1, share=300, seq=0)
    large = replace(small, share=900, seq=1)
    assert served(solve(problem([host], [small, large]))) == {1}


def test_a_large_market_keeps_every_rule_is_near_its_bound_and_leaves_no_room_unused() -> None:
    made = crowded(3)
    solution = solve(made)
    assert faults(made, solution) == []
    assert solution.bound >= solution.welfare >= 0.97 * solution.bound
    assert not _could_be_served(made, solution)


def test_a_large_market_is_cleared_alike_in_any_order_and_money() -> None:
    made = crowded(4)
    bids, offers = list(range(len(made.bids.keys))), list(range(len(made.offers.keys)))
    turned = shuffled(made, bids[::-1], offers[::-1])
    turned = replace(
        turned,
        bids=replace(turned.bids, value=turned.bids.value * 7),
        candidates=replace(turned.candidates, cost=turned.candidates.cost * 7),
    )
    first, second = solve(made), solve(turned)
    assert second.welfare == 7 * first.welfare
    assert [
        tuple((offers[::-1][member.offer], member.devices) for member in members)
        for members in second.chosen[::-1]
    ] == [tuple((member.offer, member.devices) for member in members) for members in first.chosen]


def test_an_empty_market_has_nothing_to_clear() -> None:
    solution = solve(problem([], []))
    assert solution.proven
    assert solution.chosen == ()


def _could_be_served(made: Problem, solution: Solution) -> list[int]:
    """Single bids without a place for which one is left that would not be a loss."""
    lanes, milli, memory = (
        made.offers.capacity.copy(),
        made.offers.device_milli.copy(),
        made.offers.device_memory.copy(),
    )
    for bid, members in enumerate(solution.chosen):
        for member in members:
            lanes[member.offer] -= made.bids.want[bid]
            rows = [int(made.offers.device_from[member.offer]) + number for number in member.devices]
            milli[rows] -= made.bids.share[bid]
            memory[rows] -= made.bids.memory[bid]
    found = []
    for bid in set(range(len(solution.chosen))) - served(solution):
        for row in range(int(made.candidates.first[bid]), int(made.candidates.first[bid + 1])):
            offer = int(made.candidates.offer[row])
            span = slice(int(made.offers.device_from[offer]), int(made.offers.device_from[offer + 1]))
            fits = (milli[span] >= made.bids.share[bid]) & (memory[span] >= made.bids.memory[bid])
            roomy = bool((lanes[offer] >= made.bids.want[bid]).all())
            affordable = made.candidates.cost[row] <= made.bids.value[bid]
            if (
                made.bids.members[bid] == 1
                and affordable
                and roomy
                and np.sum(fits) >= made.bids.devices[bid]
            ):
                found.append(bid)
    return found
