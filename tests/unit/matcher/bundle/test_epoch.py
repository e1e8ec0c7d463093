"""An epoch's bundle: bytes in are bytes out, a stranger finds the same result, and nothing can be altered."""

from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.market.errors import Rejected
from ledger.market.identity import NO_DIGEST, Digest, OfferId
from ledger.market.resource import Quantities
from matcher.book import (
    BidPlaced,
    BidRemoved,
    BookEvent,
    CapacityFreed,
    CapacityTaken,
    DemandStated,
    OfferDelisted,
    OfferListed,
    StakeChanged,
)
from matcher.bundle.bencode import Item, decode, encode
from matcher.bundle.drawing import Drawing
from matcher.bundle.epoch import Bundle, Ground, open_bundle, root_of
from matcher.bundle.recording import RecordedBook
from matcher.bundle.use import Use
from matcher.bundle.values import decoded, encoded
from matcher.bundle.verdict import check
from matcher.clearing import clear
from matcher.fragmentation.demand import Shape
from matcher.index.classes import TypicalDemand
from matcher.orders import BidOrder, OfferOrder
from tests import strategies as some
from tests.factories import NOW, a_bid, a_digest, an_address, bid_order, offer_order

SOURCES = a_digest("sources")
GROUND = Ground(chain_id=7, market=an_address("market"), matcher=an_address("node"))
Pages = dict[Digest, bytes]


def published(book: RecordedBook, drawing: Drawing, at: int = NOW) -> tuple[Digest, Pages]:
    """Root and all pages of an epoch, the header among them."""
    drawn = drawing.draw(book, clear(book, at), at, GROUND)
    root, header = drawn.after(NO_DIGEST)
    return root, drawing.pages() | {root: header} | drawn.passing


def opened(root: Digest, pages: Pages) -> Bundle:
    return open_bundle(root, lambda name: pages[name])


def a_book() -> RecordedBook:
    book = RecordedBook(stake_bps=100)
    for name in ("one", "two", "three"):
        order = offer_order(name)
        book.apply(OfferListed(order=order))
        book.apply(StakeChanged(provider=order.offer.provider, free=10**9))
    book.apply(CapacityTaken(offer=offer_order("two").id, want=a_bid().want))
    for number in range(4):
        bid = bid_order(f"bid {number}", number, nonce=number)
        book.apply(BidPlaced(order=bid))
        book.sign(bid.id, bytes([number]) * 64)
    return book


def test_a_stranger_finds_the_same_result() -> None:
    root, pages = published(a_book(), Drawing(SOURCES))
    bundle = opened(root, pages)
    again = check(bundle)
    assert again.matches == bundle.clearing.matches != ()
    assert {one.signature for one in bundle.bids.values()} == {bytes([n]) * 64 for n in range(4)}


def test_the_same_book_gives_the_same_bytes_however_it_was_made() -> None:
    book, drawing = a_book(), Drawing(SOURCES)
    published(book, drawing)
    extra = offer_order("extra")
    book.apply(OfferListed(order=extra))
    published(book, drawing)
    book.apply(OfferDelisted(offer=extra.id))
    assert published(book, drawing) == published(a_book(), Drawing(SOURCES))


def test_an_order_under_another_name_is_refused() -> None:
    book, drawing = a_book(), Drawing(SOURCES)
    drawing.follow(book)
    offer = encoded(OfferOrder, offer_order("one"))
    drawing._trees["offers"].put(a_digest("another name"), offer)
    root, pages = published(book, drawing)
    with pytest.raises(Rejected, match="stands for"):
        opened(root, pages)


def test_devices_with_half_of_their_figures_are_no_use() -> None:
    with pytest.raises(Rejected, match="free memory"):
        decoded(Use, encode([[], [1], []]))
    assert decoded(Use, encode([[], [1], [2]])) == Use(used=Quantities(), free_milli=(1,), free_memory=(2,))


event_lists = st.lists(
    st.one_of(
        st.builds(lambda order: OfferListed(order=order), some.offer_orders),
        st.builds(lambda order: BidPlaced(order=order), some.bid_orders),
    ),
    max_size=12,
)


@given(event_lists, st.data())
def test_bytes_in_are_bytes_out(events: list[BookEvent], data: st.DataObject) -> None:
    book, drawing = RecordedBook(stake_bps=100), Drawing(SOURCES)
    for event in events:
        book.apply(event)
        published(book, drawing)
        listed = [one.order.id for one in events if isinstance(one, OfferListed)]
        for name in data.draw(st.lists(st.sampled_from(listed), max_size=2)) if listed else ():
            book.apply(data.draw(st.sampled_from(_moves(name))))
    root, pages = published(book, drawing)
    bundle = opened(root, pages)
    check(bundle)
    again = RecordedBook(stake_bps=100)
    for event in _events_of(bundle):
        again.apply(event)
    for bid, waiting in bundle.bids.items():
        if waiting.signature:
            again.sign(bid, waiting.signature)
    assert published(again, Drawing(SOURCES)) == (root, pages)


def _moves(name: OfferId) -> list[BookEvent]:
    return [
        CapacityTaken(offer=name, want=Quantities(cpu=1, gpu=300, gpu_memory=7)),
        CapacityTaken(offer=name, want=Quantities(gpu=1001, gpu_memory=3), count=2),
        CapacityFreed(offer=name, want=Quantities(gpu=300, gpu_memory=7)),
        OfferDelisted(offer=name),
    ]


def _events_of(bundle: Bundle) -> list[BookEvent]:
    """What makes the bundle's book, as `Bundle.book` does."""
    events: list[BookEvent] = [StakeChanged(provider=p, free=free) for p, free in bundle.stakes.items()]
    events += [OfferListed(order=order) for order in bundle.offers.values()]
    events += [use.stated(offer) for offer, use in bundle.uses.items()]
    return events + [BidPlaced(order=waiting.order) for waiting in bundle.bids.values()]


def test_any_altered_byte_of_any_page_is_refused() -> None:
    root, pages = published(a_book(), Drawing(SOURCES))
    for name, page in pages.items():
        for place in range(0, len(page), 7):
            altered = page[:place] + bytes([page[place] ^ 1]) + page[place + 1 :]
            with pytest.raises(Rejected) as refusal:
                opened(root, pages | {name: altered})
            assert refusal.value.code == "page-altered"


def lie(change: Callable[[RecordedBook], None], at: int = NOW) -> tuple[Digest, Pages]:
    """The result of the true book, published with one that was changed after the clearing."""
    book, drawing = a_book(), Drawing(SOURCES)
    clearing = clear(book, NOW)
    change(book)
    drawn = drawing.draw(book, clearing, at, GROUND)
    root, header = drawn.after(NO_DIGEST)
    return root, drawing.pages() | {root: header} | drawn.passing


def _cheapen(book: RecordedBook) -> None:
    winner = clear(book, NOW).matches[0].offer
    order = book.offer(winner)
    assert order is not None
    ask = replace(order.offer.ask, cpu=order.offer.ask.cpu + 1)
    book.apply(OfferListed(order=replace(order, offer=replace(order.offer, ask=ask))))


def _limit(book: RecordedBook) -> None:
    order = book.bid(clear(book, NOW).matches[0].bid)
    assert order is not None
    book.apply(BidPlaced(order=replace(order, bid=replace(order.bid, limit_rate=1))))


def _capacity(book: RecordedBook) -> None:
    winner = clear(book, NOW).matches[0].offer
    order = book.offer(winner)
    assert order is not None
    book.apply(CapacityTaken(offer=winner, want=order.offer.capacity.less(book.used(winner))))


def _leave_out(book: RecordedBook) -> None:
    book.apply(BidRemoved(bid=clear(book, NOW).matches[-1].bid))


@pytest.mark.parametrize("change", [_cheapen, _limit, _capacity, _leave_out])
def test_a_node_that_lies_about_its_book_is_refused_and_the_difference_named(
    change: Callable[[RecordedBook], None],
) -> None:
    with pytest.raises(Rejected) as refusal:
        check(opened(*lie(change)))
    assert refusal.value.code == "replay-differs"
    assert "match" in str(refusal.value.facts["difference"])


def test_a_node_that_lies_about_the_time_is_refused() -> None:
    with pytest.raises(Rejected, match="match 0"):
        check(opened(*lie(lambda _: None, at=(1 << 40) - 1)))


@pytest.mark.parametrize("part", ["schema", "rules"])
def test_another_releases_epoch_is_not_judged(part: str) -> None:
    book, drawing = a_book(), Drawing(SOURCES)
    drawn = drawing.draw(book, clear(book, NOW), NOW, GROUND)
    changed: Any = {"schema": a_digest("other"), "rules": drawn.header.rules + 1}[part]
    header = replace(drawn.header, **{part: changed}).pack()
    with pytest.raises(Rejected) as refusal:
        opened(root_of(header), {root_of(header): header})
    assert refusal.value.code == "other-schema"


def test_a_page_of_the_right_hash_and_the_wrong_spelling_is_refused() -> None:
    root, pages = published(a_book(), Drawing(SOURCES))
    bundle = opened(root, pages)
    item = decode(pages[bundle.header.offers])
    assert isinstance(item, list)
    entries = item[2]
    assert isinstance(entries, list)
    swapped: list[Item] = [*item[:2], [*entries[2:4], *entries[:2], *entries[4:]]]
    page = encode(swapped)
    name = Digest(sha256(page).digest())
    header = replace(bundle.header, offers=name).pack()
    with pytest.raises(Rejected) as refusal:
        opened(root_of(header), pages | {root_of(header): header, name: page})
    assert refusal.value.code == "bundle-malformed"


@pytest.mark.parametrize(("kind", "orders"), [(OfferOrder, some.offer_orders), (BidOrder, some.bid_orders)])
def test_every_field_of_an_order_is_in_the_bundle(kind: type, orders: st.SearchStrategy[Any]) -> None:
    """A field that is added to an order is spelled: no two different orders have the same bytes."""

    @given(orders)
    def every_field(order: Any) -> None:
        read: Any = decoded(kind, encoded(kind, order))
        assert all(getattr(read, one.name) == getattr(order, one.name) for one in fields(kind))

    every_field()


def test_an_unchanged_book_costs_no_page() -> None:
    book, drawing = a_book(), Drawing(SOURCES)
    first = drawing.draw(book, clear(book, NOW), NOW, GROUND)
    second = drawing.draw(book, clear(book, NOW), NOW + 1, GROUND)
    assert first.new
    assert (second.new, second.gone) == ({}, frozenset())
    book.apply(CapacityTaken(offer=OfferId(offer_order("one").id), want=Quantities(cpu=1)))
    third = drawing.draw(book, clear(book, NOW), NOW + 2, GROUND)
    assert (len(third.new), len(third.gone)) == (1, 1)


def test_what_is_typically_asked_for_is_part_of_the_book() -> None:
    book, drawing = a_book(), Drawing(SOURCES)
    before, _ = published(book, drawing)
    demand = TypicalDemand(shapes=((Shape(cpu=500, memory=64), 3), (Shape(cpu=1, memory=1, devices=2), 1)))
    book.apply(DemandStated(demand=demand))
    root, pages = published(book, drawing)
    assert root != before
    bundle = opened(root, pages)
    assert bundle.book().demand == demand
    check(bundle)
