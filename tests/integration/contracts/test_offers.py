"""Offers on and off the market."""

from dataclasses import replace
from typing import Any

import boa
import pytest

from ledger.market.errors import Rejected
from ledger.market.events import OfferCancelled, OfferRegistered
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.resource import Quantities
from ledger.market.traits import Traits
from tests.fakes.in_process_market import NOW, Order, a_bid, an_offer, party, words_of
from tests.fakes.market_twin import Claim, MarketTwin


def test_an_offer_is_registered_whole(twin: MarketTwin) -> None:
    offer = an_offer()
    assert twin.register(offer) == [OfferRegistered(id=twin.chain.offer_id(offer), offer=offer)]
    twin.assert_same_state()


def test_an_offer_is_registered_once(twin: MarketTwin) -> None:
    twin.register(an_offer())
    with pytest.raises(Rejected):
        twin.register(an_offer())


def test_nobody_registers_for_another(twin: MarketTwin) -> None:
    with pytest.raises(Rejected):
        twin.register(an_offer(), "rival")


REFUSED: dict[str, dict[str, Any]] = {
    "no capacity": {"capacity": Quantities()},
    "a reserved lane of capacity": {"capacity": Quantities(cpu=1, reserved=1)},
    "a price for the reserved lane": {"ask": Quantities(reserved=1)},
    "two vendors": {"traits": Traits(vendors=3, regions=1)},
    "no vendor": {"traits": Traits(regions=1)},
    "two regions": {"traits": Traits(vendors=1, regions=5)},
    "no region": {"traits": Traits(vendors=1)},
    "expired": {"valid_until": NOW},
    "a coming epoch": {"epoch": 1},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=list(REFUSED))
def test_an_unsound_offer_is_refused(twin: MarketTwin, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        twin.register(an_offer(**changes))
    twin.assert_same_state()


HOSTILE = {
    "capacity": 1 << 31,
    "ask": 1 << 224,
    "min_seconds": 2**32,
    "max_seconds": 2**32,
    "valid_until": 2**40,
    "epoch": 2**64,
    "salt": 2**64,
}


@pytest.mark.parametrize(("name", "word"), HOSTILE.items())
def test_a_word_out_of_its_range_is_refused(twin: MarketTwin, name: str, word: int) -> None:
    words = words_of(an_offer())
    words[Offer.__slots__.index(name)] = word
    with boa.reverts("market: offer field"):
        twin.chain.call("registerOffer", words, sender="provider")


def test_an_offer_of_one_single_duration_is_possible(twin: MarketTwin) -> None:
    (registered,) = twin.register(an_offer(min_seconds=600, max_seconds=600))
    assert isinstance(registered, OfferRegistered)
    twin.assert_same_state()


def test_a_free_offer_and_a_free_lease_are_possible(twin: MarketTwin) -> None:
    offer = an_offer(ask=Quantities())
    twin.register(offer)
    lease = twin.open(offer, Order(bid=a_bid(), rate=0))
    twin.settle(Claim(terms=lease.terms, milliseconds=1_000, last=True))
    twin.assert_same_state()


def test_an_offer_of_the_new_epoch_registers_after_a_bump(twin: MarketTwin) -> None:
    twin.bump_epoch("provider")
    with pytest.raises(Rejected):
        twin.register(an_offer())
    twin.register(an_offer(epoch=1))


def test_a_cancelled_offer_keeps_its_leases_and_never_returns(twin: MarketTwin) -> None:
    offer = an_offer()
    twin.register(offer)
    lease = twin.open(offer, Order(bid=a_bid(), rate=rate_of(offer.ask, a_bid().want)))
    assert twin.cancel(offer) == [OfferCancelled(id=twin.chain.offer_id(offer), provider=party("provider"))]
    with pytest.raises(Rejected):
        twin.register(offer)
    twin.settle(Claim(terms=lease.terms, milliseconds=1_000, last=True))
    twin.assert_same_state()


def test_only_a_standing_offer_is_cancelled_and_only_by_its_provider(twin: MarketTwin) -> None:
    offer = an_offer()
    with pytest.raises(Rejected):
        twin.cancel(offer)
    twin.register(offer)
    with pytest.raises(Rejected):
        twin.cancel(offer, "rival")
    twin.cancel(offer)
    with pytest.raises(Rejected):
        twin.cancel(offer)


def test_another_salt_is_another_offer(twin: MarketTwin) -> None:
    twin.register(an_offer())
    twin.register(replace(an_offer(), salt=2))
