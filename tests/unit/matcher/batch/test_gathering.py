"""A gang that must be together is shown no place at which it cannot be."""

from ledger.market.resource import Quantities
from matcher.batch.gathering import roomy
from matcher.book import Book, OfferListed
from matcher.orders import BidOrder, OfferOrder
from tests.factories import NOW, a_bid, an_address, bid_order, offer_order

ONE = a_bid().want


def shown(order: BidOrder, *offers: OfferOrder) -> set[bytes]:
    book = Book(OfferListed(order=offer) for offer in offers)
    places = book.cheapest(order, NOW, len(offers))
    return {place.offer for place in roomy(book.some(place.offer for place in places), order, places)}


def test_a_domain_too_small_for_all_members_is_left_out() -> None:
    small = offer_order("small", "lab/berlin", capacity=ONE)
    halves = [offer_order(f"half {n}", "lab/paris", capacity=ONE) for n in range(2)]
    gang = bid_order(members=2, same_domain=True)
    assert shown(gang, small, *halves) == {half.id for half in halves}


def test_a_provider_is_judged_by_all_its_offers_wherever_they_are() -> None:
    ada = [offer_order(f"{n}", f"lab/{n}", provider=an_address("ada"), capacity=ONE) for n in range(2)]
    bob = offer_order("bob", provider=an_address("bob"), capacity=ONE, ask=Quantities(cpu=1))
    assert shown(bid_order(members=2, same_provider=True), *ada, bob) == {one.id for one in ada}
    assert shown(bid_order(members=3, same_provider=True), *ada, bob) == set()
