"""A recorded book: it tells each change once, and nothing that did not change."""

import pytest

from ledger.market.identity import BidId
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    BidRemoved,
    BookEvent,
    CapacityFreed,
    CapacityStated,
    CapacityTaken,
    DemandStated,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)
from matcher.bundle.recording import MOST_SIGNATURES, Changes, RecordedBook
from matcher.index.classes import TypicalDemand
from tests.factories import a_bid, a_digest, bid_order, offer_order

OFFER, BID = offer_order(), bid_order()
WANT = a_bid().want
SIGNATURE = b"s" * 64


def a_book() -> RecordedBook:
    """A book whose changes so far were told."""
    book = RecordedBook([OfferListed(order=OFFER)])
    book.changes()
    return book


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (OfferListed(order=OFFER), Changes(offers={OFFER.id}, uses={OFFER.id})),
        (OfferDelisted(offer=OFFER.id), Changes(offers={OFFER.id}, uses={OFFER.id})),
        (CapacityTaken(offer=OFFER.id, want=WANT), Changes(uses={OFFER.id})),
        (CapacityFreed(offer=OFFER.id, want=WANT), Changes(uses={OFFER.id})),
        (CapacityStated(offer=OFFER.id, used=Quantities()), Changes(uses={OFFER.id})),
        (StakeChanged(provider=OFFER.offer.provider, free=1), Changes(stakes={OFFER.offer.provider})),
        (BidPlaced(order=BID), Changes(bids={BID.id})),
        (BidRemoved(bid=BID.id), Changes(bids={BID.id})),
        (DemandStated(demand=TypicalDemand()), Changes()),
    ],
)
def test_each_event_is_told_as_what_it_changes_and_once(event: BookEvent, changed: Changes) -> None:
    book = a_book()
    book.apply(event)
    assert book.changes() == changed
    assert book.changes() == Changes()


def test_what_a_book_is_made_with_counts_as_changed() -> None:
    assert RecordedBook([OfferListed(order=OFFER)]).changes().offers == {OFFER.id}


def test_a_signature_is_a_change_of_its_bid_and_the_same_one_is_none() -> None:
    book = a_book()
    for signature, changed in ((SIGNATURE, {BID.id}), (SIGNATURE, set()), (b"t" * 64, {BID.id})):
        book.sign(BID.id, signature)
        assert book.signature(BID.id) == signature
        assert book.changes().bids == changed


def test_a_signature_outlives_the_bids_place_in_the_book_and_an_unknown_one_is_empty() -> None:
    book = a_book()
    book.apply(BidPlaced(order=BID))
    book.sign(BID.id, SIGNATURE)
    book.apply(BidRemoved(bid=BID.id))
    assert book.signature(BID.id) == SIGNATURE
    assert book.signature(BidId(a_digest("unknown"))) == b""


def test_the_signatures_that_were_given_longest_ago_go_first() -> None:
    book = a_book()
    names = [BidId(number.to_bytes(32)) for number in range(MOST_SIGNATURES + 1)]
    for name in [*names[:2], names[0], *names[2:]]:
        book.sign(name, SIGNATURE)
    assert book.signature(names[1]) == b""
    assert book.signature(names[0]) == book.signature(names[-1]) == SIGNATURE
