"""Agreement: whatever a clearing decides, the contract's model opens, down to the last base unit of stake.

What was reserved for the bids pays for it, and the leases settle to the last base unit as well.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.market.bid import AGREE_SHIFT, DISTINCT, REPLICAS
from ledger.market.calls.gangs import GangFill
from ledger.market.calls.matching import Fill, sound_flags
from ledger.market.events import BidSkipped, LeaseOpened, MarketEvent
from ledger.market.identity import Address, LeaseId
from ledger.market.model import MarketModel, Settlement
from ledger.market.money import MILLISECONDS, escrow_for
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import UsageReceipt
from matcher.book import BidPlaced, Book, OfferListed, StakeChanged
from matcher.clearing import Match, clear
from matcher.eligibility import faulty_terms
from matcher.orders import BidOrder, OfferOrder
from tests import strategies as some
from tests.factories import HOUR, NOW, a_bid, a_digest, an_address

NODE = an_address("node")
offer_lists = st.lists(some.offer_orders, min_size=1, max_size=5, unique_by=lambda order: order.id)
gang_orders = st.builds(
    lambda order, members, flags: replace(
        order,
        bid=replace(
            order.bid, members=members, flags=flags if members > 1 else 0, duration=HOUR, limit_rate=1 << 40
        ),
    ),
    some.bid_orders,
    st.integers(1, 3),
    st.sampled_from([0, DISTINCT, REPLICAS | 2 << AGREE_SHIFT]),
)
bid_lists = st.lists(gang_orders, max_size=5, unique_by=lambda order: order.id)
stake_lists = st.lists(st.integers(0, 40_000), min_size=3, max_size=3)


def model_of(offers: list[OfferOrder], bids: list[BidOrder], stakes: dict[Address, int]) -> MarketModel:
    model = MarketModel(
        policy=replace(EMBEDDED, stake_bps=10_000),
        lease_id=lambda terms: LeaseId(a_digest(repr(terms))),
    )
    for offer in offers:
        provider = offer.offer.provider
        model.register_offer(provider, offer.id, offer.offer, NOW - 1)
        if stakes[provider] and not model.state.stakes.get(provider):
            model.deposit(provider, stakes[provider])
            model.stake(provider, stakes[provider])
    for order in bids:
        model.deposit(order.bid.buyer, reserved(order))
    return model


def reserved(order: BidOrder) -> int:
    """Base units that the exchange sets aside for a waiting order."""
    return order.members * escrow_for(order.bid.limit_rate, order.bid.duration)


def opened_by(
    model: MarketModel, match: Match, order: BidOrder, offers: list[OfferOrder]
) -> list[MarketEvent]:
    by_id = {offer.id: offer for offer in offers}
    fills = [fill_of(by_id[member.offer], order, member.rate) for member in match.members]
    if order.members == 1:
        return model.match_bid(NODE, fills[0], NOW)
    return model.match_gang(NODE, GangFill(members=tuple(fills), shape=fills[0]), NOW)


def fill_of(offer: OfferOrder, order: BidOrder, rate: int) -> Fill:
    return Fill(
        offer_id=offer.id, offer=offer.offer, bid_id=order.id, bid=order.bid, rate=rate, authentic=True
    )


@given(offers=offer_lists, bids=bid_lists, amounts=stake_lists)
def test_every_match_opens_and_its_money_balances(
    offers: list[OfferOrder], bids: list[BidOrder], amounts: list[int]
) -> None:
    offers = [
        replace(
            order,
            offer=replace(
                order.offer,
                min_seconds=1,
                max_seconds=HOUR,
                valid_until=NOW + HOUR,
                ask=order.offer.ask.with_lanes(cpu=order.offer.ask.cpu * 1_000_000),
            ),
        )
        for order in offers
    ]
    stakes = {an_address(name): amount for name, amount in zip(("ada", "bob", "cai"), amounts, strict=True)}
    book = Book(
        [
            *(OfferListed(order=order) for order in offers),
            *(BidPlaced(order=order) for order in bids),
            *(StakeChanged(provider=provider, free=free) for provider, free in stakes.items()),
        ],
        stake_bps=10_000,
    )
    model, by_bid = model_of(offers, bids, stakes), {order.id: order for order in bids}
    held, escrowed = model.state.held(), 0
    for match in clear(book, NOW).matches:
        order = by_bid[match.bid]
        events = opened_by(model, match, order, offers)
        assert not any(isinstance(event, BidSkipped) for event in events)
        assert sum(isinstance(event, LeaseOpened) for event in events) == order.members
        escrowed += sum(escrow_for(member.rate, order.bid.duration) for member in match.members)
    assert (model.state.held(), model.state.escrowed()) == (held, escrowed)
    assert_settled(model, escrowed)


def assert_settled(model: MarketModel, escrowed: int) -> None:
    """Every lease but those that wait for a jury runs its whole time: what their buyers pay is what providers
    and the matcher get, and nothing is left over or made up."""
    state = model.state
    held, had = state.held(), sum(state.balances.values())
    for lease in [lease for lease in state.leases.values() if not lease.undecided]:
        receipt = UsageReceipt(
            lease=model.lease_id(lease.terms),
            milliseconds=lease.terms.duration * MILLISECONDS,
            evidence=a_digest("evidence"),
            last=True,
        )
        model.settle(Settlement(terms=lease.terms, receipt=receipt, authentic=True), NOW + HOUR)
    gained = sum(state.balances.values()) + sum(state.unpaid_fees.values()) - had
    assert (gained, state.held()) == (escrowed - state.escrowed(), held)
    assert all(lease.undecided for lease in state.leases.values())


@given(members=st.integers(1, 32), flags=st.integers(0, 255))
def test_flags_are_faulty_where_the_contract_says_so(members: int, flags: int) -> None:
    bid = a_bid(members=members, flags=flags)
    sound = sound_flags(bid) if members > 1 else flags == 0
    assert (faulty_terms(bid) == ()) is sound
