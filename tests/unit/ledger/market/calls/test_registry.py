"""Offers and delegates in the model."""

from dataclasses import replace

import pytest

from ledger.market.calls.registry import sound_offer
from ledger.market.delegation import Role
from ledger.market.errors import Rejected
from ledger.market.identity import NOBODY, Address
from ledger.market.model import MarketModel
from tests.factories import NOW, an_offer
from tests.fakes.model_market import BUYER, KEY, PROVIDER, a_market, offer_id, offer_of

LATER = 2**40 - 1


@pytest.fixture
def market() -> MarketModel:
    return a_market()


def test_an_offer_is_of_one_vendor_and_one_region() -> None:
    offer = offer_of()
    assert sound_offer(offer)
    assert not sound_offer(an_offer(traits=replace(offer.traits, vendors=0b11)))
    assert not sound_offer(an_offer(traits=replace(offer.traits, regions=0)))


def test_several_offers_stand_all_or_none(market: MarketModel) -> None:
    good, other = replace(offer_of(), salt=8), replace(offer_of(), salt=9)
    before = dict(market.state.offers)
    for spoiled in (replace(other, epoch=1), good, offer_of(), replace(other, valid_until=NOW)):
        pair = [(offer_id(good), good), (offer_id(spoiled), spoiled)]
        with pytest.raises(Rejected):
            market.register_offers(PROVIDER, pair, NOW)
        assert market.state.offers == before
    market.register_offers(PROVIDER, [(offer_id(good), good), (offer_id(other), other)], NOW)
    assert len(market.state.offers) == len(before) + 2


def test_an_operator_registers_and_cancels_until_its_date_and_a_spender_never(market: MarketModel) -> None:
    offer = replace(offer_of(), salt=8)
    market.set_delegate(PROVIDER, KEY, Role.SPEND, 0, LATER)
    with pytest.raises(Rejected):
        market.register_offer(KEY, offer_id(offer), offer, NOW)
    market.set_delegate(PROVIDER, KEY, Role.OPERATE, 0, NOW)
    market.register_offer(KEY, offer_id(offer), offer, NOW)
    with pytest.raises(Rejected):
        market.cancel_offer(KEY, offer_id(offer), offer, NOW + 1)
    market.cancel_offer(KEY, offer_id(offer), offer, NOW)


def test_a_revoked_key_is_gone(market: MarketModel) -> None:
    market.set_delegate(BUYER, KEY, 3, 10, LATER)
    market.set_delegate(BUYER, KEY, 0, 0, 0)
    assert market.state.delegations == {}
    assert not market.may(KEY, BUYER, Role.SPEND, NOW)


@pytest.mark.parametrize(
    ("key", "roles", "allowance", "until"),
    [
        (NOBODY, 1, 0, 0),
        (BUYER, 1, 0, 0),
        (KEY, 4, 0, 0),
        (KEY, 1, 1 << 128, 0),
        (KEY, 1, 0, 1 << 40),
        (KEY, 0, 1, 0),
        (KEY, 0, 0, 1),
    ],
)
def test_a_delegation_that_means_nothing_is_refused(
    market: MarketModel, key: Address, roles: int, allowance: int, until: int
) -> None:
    with pytest.raises(Rejected):
        market.set_delegate(BUYER, key, roles, allowance, until)


def test_nonces_have_64_bits(market: MarketModel) -> None:
    market.cancel_nonces(BUYER, (1 << 56) - 1, 1)
    with pytest.raises(Rejected):
        market.cancel_nonces(BUYER, 1 << 56, 1)
