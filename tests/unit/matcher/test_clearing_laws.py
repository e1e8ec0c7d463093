"""Laws of one clearing and of a sequence of them: what no trader can ever be made to suffer.

`LAW_EXAMPLES` in the environment says how many markets each law is tried on, in place of 100.
"""

import os
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.market.identity import BidId, OfferId
from ledger.market.money import escrow_for
from ledger.market.resource import LANE_NAMES, Quantities
from matcher.batch.candidates import Entrant, pose
from matcher.batch.contests import contests
from matcher.book import BidPlaced, BidRemoved, Book, CapacityFreed, CapacityTaken, StakeChanged
from matcher.clearing import Clearing, MatchMember, clear
from matcher.orders import BidOrder, OfferOrder
from matcher.welfare.solve import solve
from tests.factories import NOW
from tests.fakes.waiting_market import (
    PROVIDERS,
    Market,
    ask_rate,
    bids,
    faults,
    markets,
    offers,
    overfull,
    surplus,
    without,
)

LAW = settings(max_examples=int(os.environ.get("LAW_EXAMPLES", "100")), deadline=None)
Leases = list[tuple[BidOrder, MatchMember]]


def opened(market: Market, clearing: Clearing) -> Leases:
    return [(market.bid(match.bid), member) for match in clearing.matches for member in match.members]


@LAW
@given(markets())
def test_a_clearing_breaks_no_rule_that_can_be_counted_by_hand(market: Market) -> None:
    assert faults(market, clear(market.book(), NOW)) == []


@LAW
@given(markets())
def test_no_side_trades_at_a_loss(market: Market) -> None:
    for order, member in opened(market, clear(market.book(), NOW)):
        assert ask_rate(market.offer(member.offer), order) <= member.rate <= order.bid.limit_rate


@LAW
@given(markets())
def test_welfare_is_what_the_matches_are_worth_and_within_the_bound(market: Market) -> None:
    clearing = clear(market.book(), NOW)
    assert clearing.welfare == sum(surplus(market, match) for match in clearing.matches)
    assert clearing.welfare <= clearing.bound


@LAW
@given(markets())
def test_what_was_reserved_for_a_bid_covers_its_leases_whatever_it_pays(market: Market) -> None:
    for match in clear(market.book(), NOW).matches:
        bid = market.bid(match.bid).bid
        reserved = bid.members * escrow_for(bid.limit_rate, bid.duration)
        assert sum(escrow_for(member.rate, bid.duration) for member in match.members) <= reserved


@LAW
@given(markets())
def test_a_gang_is_whole_or_absent(market: Market) -> None:
    clearing = clear(market.book(), NOW)
    served = {match.bid: len(match.members) for match in clearing.matches}
    assert all(served.get(order.id, 0) in (0, order.members) for order in market.bids)


def accept(book: Book, market: Market, clearing: Clearing) -> None:
    """What the exchange does: alternatives and twins of the same nonce leave with a matched bid."""
    for order, member in opened(market, clearing):
        book.apply(CapacityTaken(offer=member.offer, want=order.bid.want, devices=member.devices))
        if market.stakes:
            provider = market.offer(member.offer).offer.provider
            lock = escrow_for(member.rate, order.bid.duration)
            book.apply(StakeChanged(provider=provider, free=book.stake(provider) - lock))
    served = [market.bid(match.bid) for match in clearing.matches]
    for order in served:
        for other in book.bids():
            if other is order or excludes(order, other):
                book.apply(BidRemoved(bid=other.id))


def excludes(one: BidOrder, other: BidOrder) -> bool:
    nonce = (one.bid.buyer, one.bid.nonce) == (other.bid.buyer, other.bid.nonce)
    return nonce or (one.group is not None and one.group == other.group)


@LAW
@given(markets())
def test_after_a_clearing_nobody_left_could_still_be_served(market: Market) -> None:
    book = market.book()
    accept(book, market, clear(book, NOW))
    assert clear(book, NOW).matches == ()


def end(book: Book, market: Market, order: BidOrder, member: MatchMember) -> None:
    book.apply(CapacityFreed(offer=member.offer, want=order.bid.want, devices=member.devices))
    if market.stakes:
        provider = market.offer(member.offer).offer.provider
        lock = escrow_for(member.rate, order.bid.duration)
        book.apply(StakeChanged(provider=provider, free=book.stake(provider) + lock))


@LAW
@given(markets(), st.lists(st.lists(st.integers(1, 12), max_size=4), max_size=5), st.data())
def test_no_lane_device_or_stake_is_ever_lent_twice_while_leases_come_and_go(
    market: Market, turns: list[list[int]], data: st.DataObject
) -> None:
    late = [data.draw(bids(100 + number)) for number in range(2 * len(turns))]
    book, live = market.book(), []
    market = replace(market, bids=(*market.bids, *late))
    for turn in turns:
        for _ in range(min(2, len(late))):
            book.apply(BidPlaced(order=late.pop()))
        clearing = clear(book, NOW)
        live += opened(market, clearing)
        accept(book, market, clearing)
        assert list(overfull(market, live)) == []
        assert all(book.stake(provider) >= 0 for provider in PROVIDERS)
        for number in turn:
            if live:
                end(book, market, *live.pop(number % len(live)))


@LAW
@given(markets())
def test_when_all_leases_have_ended_the_book_is_as_it_was(market: Market) -> None:
    book = market.book()
    clearing = clear(book, NOW)
    leases = opened(market, clearing)
    accept(book, market, clearing)
    for order, member in leases:
        end(book, market, order, member)
    for order in market.bids:
        book.apply(BidPlaced(order=order))
    assert clear(book, NOW) == clearing
    assert all(not any(book.used(offer.id)) for offer in market.offers)


@LAW
@given(markets(), st.data())
def test_a_cancelled_bid_is_never_matched(market: Market, data: st.DataObject) -> None:
    cancelled = data.draw(st.sets(st.sampled_from([order.id for order in market.bids])))
    book = market.book()
    for bid in cancelled:
        book.apply(BidRemoved(bid=bid))
    clearing = clear(book, NOW)
    rest = replace(market, bids=tuple(order for order in market.bids if order.id not in cancelled))
    assert clearing == clear(rest.book(), NOW)
    assert cancelled.isdisjoint({match.bid for match in clearing.matches})


@LAW
@given(markets(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_come_decides_nothing(market: Market, draw: Random) -> None:
    events = list(market.events())
    draw.shuffle(events)
    book = Book(events, stake_bps=market.book().stake_bps)
    assert clear(book, NOW) == clear(market.book(), NOW)


@LAW
@given(markets())
def test_clearing_changes_nothing_in_the_book(market: Market) -> None:
    book = market.book()
    first = clear(book, NOW)
    assert clear(book, NOW) == first
    assert {order.id for order in book.bids()} == {order.id for order in market.bids}
    assert all(not any(book.used(offer.id)) for offer in market.offers)


@LAW
@given(markets(), st.sampled_from([2, 7, 1_000]))
def test_all_prices_times_a_number_give_the_same_allocation(market: Market, factor: int) -> None:
    market = without(replace(market, stakes=()), "prefer")
    dearer = replace(
        market,
        offers=tuple(
            replace(one, offer=replace(one.offer, ask=times(one.offer.ask, factor))) for one in market.offers
        ),
        bids=tuple(
            replace(one, bid=replace(one.bid, limit_rate=one.bid.limit_rate * factor)) for one in market.bids
        ),
    )
    assert allocation(clear(dearer.book(), NOW)) == allocation(clear(market.book(), NOW))


def times(prices: Quantities, factor: int) -> Quantities:
    return Quantities(**{name: getattr(prices, name) * factor for name in LANE_NAMES})


def allocation(clearing: Clearing) -> dict[BidId, list[tuple[OfferId, tuple[int, ...]]]]:
    return {
        match.bid: [(member.offer, member.devices) for member in match.members] for match in clearing.matches
    }


twins = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=4, unique_by=lambda pair: pair[1]
)


@LAW
@given(markets(most_bids=3), twins)
def test_identical_bids_are_served_by_limit_then_by_time(
    market: Market, pairs: list[tuple[int, int]]
) -> None:
    market = without(market, "prefer")
    model = replace(market.bids[0], group=None)
    alike = [
        replace(
            model,
            id=BidId(bytes([n]) * 32),
            sequence=20 + place,
            bid=replace(model.bid, limit_rate=model.bid.limit_rate + more, nonce=50 + n),
        )
        for n, (more, place) in enumerate(pairs)
    ]
    alike.sort(key=lambda order: (-order.bid.limit_rate, order.sequence))
    crowded = replace(market, bids=(*market.bids[1:], *alike))
    served = {match.bid for match in clear(crowded.book(), NOW).matches}
    answers = [order.id in served for order in alike]
    assert answers == sorted(answers, reverse=True)


@pytest.mark.parametrize("huge", [1 << 64, 1 << 95, (1 << 96) - 1])
@LAW
@given(market=markets(), data=st.data())
def test_a_bid_of_absurd_size_takes_nothing_from_the_rules(
    market: Market, data: st.DataObject, huge: int
) -> None:
    rich = data.draw(st.sampled_from(market.bids))
    absurd = replace(rich, bid=replace(rich.bid, limit_rate=huge))
    market = replace(market, bids=tuple(absurd if one is rich else one for one in market.bids))
    book = market.book()
    clearing = clear(book, NOW)
    assert faults(market, clearing) == []
    accept(book, market, clearing)
    assert clear(book, NOW).matches == ()


def optimum(market: Market) -> int:
    """The greatest welfare there is: every place of every bid, solved to proof."""
    book = market.book()
    entrants = [
        Entrant(order=order, contest=number, places=places)
        for number, contest in enumerate(contests(book.bids()))
        for order in contest
        if (places := book.cheapest(order, NOW, len(market.offers)))
    ]
    if not entrants:
        return 0
    posed = pose(book.some(offer.id for offer in market.offers), entrants, None)
    solution = solve(posed.problem, to_proof=True)
    assert solution.proven
    return posed.scale.exact(solution.welfare)


@LAW
@given(markets(most_bids=4), offers(9))
def test_one_more_offer_never_lowers_the_optimum(market: Market, newcomer: OfferOrder) -> None:
    market = replace(market, bids=tuple(order for order in market.bids if not order.replicated))
    cleared = clear(market.book(), NOW)
    assert cleared.welfare <= optimum(market) <= cleared.bound
    assert optimum(market) <= optimum(replace(market, offers=(*market.offers, newcomer)))
