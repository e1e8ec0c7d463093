"""Epochs in real books: published with their plans or not at all, linked into one chain, read whole."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.books.books import Books, open_books
from ledger.chain.keys import LocalKey
from ledger.chain.typed_data import Domain, bid_id
from ledger.market.bid import SignedBid
from ledger.market.events import BlockRef
from ledger.market.identity import NO_DIGEST, Digest
from ledger.market.instructions import AnchorEpoch, OpenLease
from ledger.market.policy import EMBEDDED
from matcher.bundle.epoch import Bundle, open_bundle
from matcher.bundle.verdict import check
from node.trading.epochs import DAY_SECONDS, own_sources
from node.trading.venue import Retention, Venue
from tests.factories import NOW, a_bid, an_address, an_offer
from tests.fakes.published_epochs import Publisher

NODE, BUYER = LocalKey(b"\1" * 32), LocalKey(b"\2" * 32)
VENUE = Venue(domain=Domain(chain_id=7, market=an_address("market")), address=NODE.address, policy=EMBEDDED)
BLOCK = BlockRef(number=5, hash=b"\5" * 32, parent=bytes(32), at=NOW)


@pytest.fixture
def books(books_url: str) -> Iterator[Books]:
    with open_books(books_url) as books:
        yield books


@pytest.fixture
def publisher(books: Books) -> Publisher:
    made = Publisher(books, VENUE)
    for number in range(3):
        made.list(an_offer(salt=number, provider=an_address(f"provider {number}")), 10**9)
    return made


def a_signed(nonce: int) -> SignedBid:
    bid = a_bid(nonce=nonce, buyer=BUYER.address, signer=BUYER.address, matcher=NODE.address)
    return SignedBid(bid=bid, signature=BUYER.sign(bid_id(VENUE.domain, bid)))


def epoch(publisher: Publisher, nonce: int) -> Digest:
    publisher.place(a_signed(nonce), NOW)
    return publisher.clear(BLOCK, NOW)


def opened(books: Books, root: Digest) -> Bundle:
    def fetch(name: Digest) -> bytes:
        row = books.bundles.bundle(name)
        page = books.bundles.page(name) if row is None else row.header
        assert page is not None, "a page is missing"
        return page

    return open_bundle(root, fetch)


def test_every_epoch_is_whole_in_the_books_and_agrees(publisher: Publisher, books: Books) -> None:
    roots = [epoch(publisher, nonce) for nonce in range(6)]
    for root in roots:
        assert check(opened(books, root)).matches
    assert opened(books, roots[0]).header.sources == own_sources()


def test_epochs_are_linked_in_the_order_of_their_clearing(publisher: Publisher, books: Books) -> None:
    roots = [epoch(publisher, nonce) for nonce in range(3)]
    assert [opened(books, root).header.previous for root in roots] == [NO_DIGEST, *roots[:2]]


def test_the_root_is_wished_with_the_plans(publisher: Publisher, books: Books) -> None:
    root = epoch(publisher, 1)
    wished = [one.instruction for one in books.outbox(NODE.address).pending(10)]
    assert [type(one) for one in wished] == [AnchorEpoch, OpenLease]
    assert wished[0] == AnchorEpoch(root=root)


def test_a_node_that_starts_again_goes_on_where_it_was(publisher: Publisher, books: Books) -> None:
    first = epoch(publisher, 1)
    publisher.restart()
    second = epoch(publisher, 2)
    third = epoch(publisher, 3)
    for root, before in ((first, NO_DIGEST), (second, first), (third, second)):
        assert opened(books, root).header.previous == before
        check(opened(books, root))


def test_an_epoch_whose_unit_was_undone_leaves_no_gap(publisher: Publisher, books: Books) -> None:
    first = epoch(publisher, 1)
    publisher.place(a_signed(2), NOW)
    publisher.undone(BLOCK, NOW)
    second = publisher.clear(BLOCK, NOW)
    third = epoch(publisher, 3)
    assert opened(books, second).header.previous == first
    for root in (second, third):
        check(opened(books, root))


def test_an_epoch_that_was_drawn_and_never_published_leaves_no_gap(
    publisher: Publisher, books: Books
) -> None:
    epoch(publisher, 1)
    publisher.place(a_signed(2), NOW)
    publisher.dropped(BLOCK, NOW)
    check(opened(books, publisher.clear(BLOCK, NOW)))


def test_two_nodes_that_take_turns_share_one_chain_of_epochs(publisher: Publisher, books: Books) -> None:
    other = Publisher(books, VENUE)
    other.list(an_offer(salt=9), 10**9)
    first = epoch(publisher, 1)
    second = epoch(other, 2)
    third = epoch(publisher, 3)
    assert opened(books, second).header.previous == first
    assert opened(books, third).header.previous == second
    for root in (first, second, third):
        check(opened(books, root))


def test_what_is_too_old_is_dropped_and_the_rest_stays_whole(books: Books) -> None:
    publisher = Publisher(books, replace(VENUE, retention=Retention(days=1, bytes=1 << 30)))
    for number in range(3):
        publisher.list(an_offer(salt=number, provider=an_address(f"provider {number}")), 10**9)
    old, new = epoch(publisher, 1), epoch(publisher, 2)
    with books.transaction() as unit:
        unit.bundles.retire(NOW + 1, 1 << 30)
        publisher.epochs.retire(unit, NOW + DAY_SECONDS + 1)
    row = books.bundles.bundle(old)
    assert row is not None
    assert not row.kept
    check(opened(books, new))
    check(opened(books, epoch(publisher, 3)))
