"""Invariant 16: what a batch costs grows with its items and no faster, and the largest fits a transaction."""

import pytest

from ledger.market.events import LeaseOpened, MarketEvent
from ledger.market.identity import NO_DIGEST
from ledger.market.resource import Quantities
from tests.fakes.in_process_market import Order, a_bid, an_offer, party
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin
from tests.fakes.twin.invariants import BLOCK_GAS, GAS

SMALL = Quantities(cpu=100, memory=64)
RATE = 100 * 500_000 + 64 * 100_000
SIZES = (1, 2, 8, 32)


def fits(twin: MarketTwin, function: str, items: int) -> None:
    """At most a + b x n, and within a transaction with call data of 40 gas a byte (EIP-7623)."""
    fixed, each = GAS[function]
    assert twin.chain.gas <= fixed + each * items
    bytes_of_an_item = 32 * (len(a_bid().__slots__) + 12)
    assert twin.chain.gas + 21_000 + 40 * bytes_of_an_item * items < BLOCK_GAS


def opened(events: list[MarketEvent], items: int) -> list[LeaseOpened]:
    leases = [event for event in events if isinstance(event, LeaseOpened)]
    assert len(leases) == items
    return leases


@pytest.mark.parametrize("items", SIZES)
def test_a_batch_of_matches_receipts_and_closes(twin: MarketTwin, items: int) -> None:
    offer = an_offer()
    twin.register(offer)
    orders = [Order(bid=a_bid(nonce=n * 1_000, want=SMALL), rate=RATE) for n in range(items)]
    leases = opened(twin.match_many([offer], orders), items)
    fits(twin, "matchBids", items + 1)
    twin.chain.advance(60)
    twin.settle_many([Claim(terms=lease.terms, milliseconds=60_000) for lease in leases])
    fits(twin, "settleMany", items)
    twin.chain.advance(10_000)
    twin.close_many([lease.terms for lease in leases])
    fits(twin, "closeMany", items)


@pytest.mark.parametrize("items", SIZES)
def test_a_batch_of_offers(twin: MarketTwin, items: int) -> None:
    twin.register_many([an_offer(salt=salt) for salt in range(items)])
    fits(twin, "registerOffers", items)


@pytest.mark.parametrize("items", [2, 8, 32])
@pytest.mark.parametrize("spread", [False, True], ids=["on one offer", "on as many offers"])
def test_a_gang(twin: MarketTwin, items: int, spread: bool) -> None:
    offers = [an_offer(salt=salt) for salt in range(items if spread else 1)]
    twin.register_many(offers)
    bid = a_bid(members=items, want=SMALL)
    members = tuple((number % len(offers), RATE) for number in range(items))
    opened(twin.match_gang(offers, GangOrder(bid=bid, members=members, seed=NO_DIGEST)), items)
    fits(twin, "matchGang", items + len(offers))


def test_a_provider_of_another_offer_pays_no_more(twin: MarketTwin) -> None:
    offers = [an_offer(provider=party(name)) for name in ("provider", "rival", "third")]
    for offer, name in zip(offers, ("provider", "rival", "third"), strict=True):
        twin.register(offer, name)
    orders = [Order(bid=a_bid(nonce=n, want=SMALL), rate=RATE, offer_index=n % 3) for n in range(12)]
    opened(twin.match_many(offers, orders), 12)
    fits(twin, "matchBids", 15)
