"""The columns of prices agree with the kernel's rate, at any size."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.resource import Quantities
from matcher.book import Book, OfferListed
from matcher.pricing import ask_rates
from tests import strategies as some
from tests.factories import bid_order, offer_order
from tests.fakes.waiting_market import ask_rate


@given(asks=st.lists(some.quantities, max_size=4), want=some.quantities)
def test_every_column_is_the_exact_rate(asks: list[Quantities], want: Quantities) -> None:
    offers = [offer_order(f"offer {n}", ask=ask) for n, ask in enumerate(asks)]
    view = Book(OfferListed(order=offer) for offer in offers).offers()
    rates = ask_rates(view.ask, want).tolist()
    assert rates == [ask_rate(offer, bid_order(want=want)) for offer in view.orders]
