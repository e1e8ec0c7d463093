"""Which offers would serve an order were they empty: as clearing has it, but for what stands there."""

from ledger.market.identity import OfferId
from ledger.market.resource import Quantities
from matcher.book import Book, CapacityTaken, OfferListed, StakeChanged
from matcher.preemption.rooms import rooms
from tests.factories import HOUR, NOW, a_digest, an_address, bid_order, offer_order

FULL = Quantities(cpu=4_000, memory=8_192, disk=20_480)
OFFER = OfferId(a_digest("offer"))


def a_full_book(stake_bps: int = 0) -> Book:
    taken = CapacityTaken(offer=OFFER, want=FULL)
    stake = StakeChanged(provider=an_address("provider"), free=3)
    return Book([OfferListed(order=offer_order("offer")), taken, stake], stake_bps=stake_bps)


def test_a_full_offer_is_a_room_without_anything_free() -> None:
    (room,) = rooms(bid_order(), a_full_book(), [OFFER], NOW)
    assert (room.offer, room.free, room.rate) == (OFFER, Quantities(), 1_102_400)


def test_a_full_offer_that_could_never_serve_the_order_is_none() -> None:
    small = bid_order(want=Quantities(cpu=4_001))
    dear = bid_order(limit_rate=1_102_399)
    long = bid_order(duration=25 * HOUR)
    for order in (small, dear, long):
        assert rooms(order, a_full_book(), [OFFER], NOW) == []


def test_an_offer_that_is_not_live_is_none() -> None:
    assert rooms(bid_order(), Book(), [OFFER], NOW) == []


def test_a_stake_that_others_lock_does_not_rule_a_room_out() -> None:
    (room,) = rooms(bid_order(), a_full_book(stake_bps=1_000), [OFFER], NOW)
    assert (room.stake, room.lock) == (3, 18)
