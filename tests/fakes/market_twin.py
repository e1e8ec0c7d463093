"""Contract and reference model in lock-step: every call goes to both, and they must agree on everything."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import boa

from ledger.market.errors import Rejected
from ledger.market.events import LeaseOpened, MarketEvent
from ledger.market.identity import NO_DIGEST, Address, Digest
from ledger.market.lease import LeaseTerms
from ledger.market.model import Fill, MarketModel, Settlement
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.receipt import UsageReceipt
from tests.fakes.in_process_market import (
    NAMES,
    PURSE,
    InProcessMarket,
    Order,
    account,
    party,
    words_of,
)


def _attempt(
    call: Callable[[], list[MarketEvent]],
) -> tuple[list[MarketEvent] | None, Exception]:
    try:
        return call(), AssertionError("nothing was refused")
    except Rejected as refusal:
        return None, refusal


DEPOSITORS = ("buyer", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A receipt for a lease, and who signed it."""

    terms: LeaseTerms
    milliseconds: int
    last: bool = False
    signed_by: str = "signer"
    evidence: Digest = NO_DIGEST


def a_funded_market() -> InProcessMarket:
    """Where the buyers have deposited their purses and nothing else happened."""
    chain = InProcessMarket()
    chain.fund(DEPOSITORS)
    return chain


class MarketTwin:
    """The calls of the market, each compared; a refused one raises the model's `Rejected`.

    It starts from a funded market; the EVM's state is put back after each test by boa's plugin.
    """

    def __init__(self, chain: InProcessMarket) -> None:
        self.chain = chain
        self.model = MarketModel(policy=EMBEDDED, lease_id=self.chain.lease_id)
        for name in DEPOSITORS:
            self.model.deposit(party(name), PURSE)

    @property
    def at(self) -> int:
        return self.chain.at

    def both(
        self, on_model: Callable[[], list[MarketEvent]], function: str, *arguments: object, sender: str
    ) -> list[MarketEvent]:
        """Run one call on both; equal events, or both refuse."""
        logged: list[MarketEvent] | None = None
        with contextlib.suppress(boa.BoaError):
            logged = self.chain.call(function, *arguments, sender=sender)
        expected, refusal = _attempt(on_model)
        assert logged == expected
        if expected is None:
            raise refusal
        return expected

    def deposit(self, name: str, amount: int) -> list[MarketEvent]:
        return self.both(lambda: self.model.deposit(party(name), amount), "deposit", amount, sender=name)

    def withdraw(self, name: str, amount: int) -> list[MarketEvent]:
        return self.both(lambda: self.model.withdraw(party(name), amount), "withdraw", amount, sender=name)

    def register(self, offer: Offer, sender: str = "provider") -> list[MarketEvent]:
        offer_id = self.chain.offer_id(offer)
        return self.both(
            lambda: self.model.register_offer(party(sender), offer_id, offer, self.at),
            "registerOffer",
            words_of(offer),
            sender=sender,
        )

    def cancel(self, offer: Offer, sender: str = "provider") -> list[MarketEvent]:
        offer_id = self.chain.offer_id(offer)
        return self.both(
            lambda: self.model.cancel_offer(party(sender), offer_id, offer),
            "cancelOffer",
            words_of(offer),
            sender=sender,
        )

    def bump_epoch(self, name: str) -> list[MarketEvent]:
        return self.both(lambda: self.model.bump_epoch(party(name)), "bumpEpoch", sender=name)

    def cancel_nonces(self, name: str, word: int, mask: int) -> list[MarketEvent]:
        return self.both(
            lambda: self.model.cancel_nonces(party(name), word, mask),
            "cancelNonces",
            word,
            mask,
            sender=name,
        )

    def fill(self, offer: Offer, order: Order) -> Fill:
        return Fill(
            offer_id=self.chain.offer_id(offer),
            offer=offer,
            bid_id=self.chain.bid_id(order.bid),
            bid=order.bid,
            rate=order.rate,
            authentic=party(order.signed_by) == order.bid.buyer,
        )

    def match(self, offer: Offer, order: Order, sender: str = "matcher") -> list[MarketEvent]:
        """One bid by the single path; the view must say the same before."""
        words, fill = self.chain.fill_words(order), self.fill(offer, order)
        told = self.chain.market.checkFill(account(sender), words_of(offer), words)
        assert told == self.model.check_fill(party(sender), fill, self.at)
        return self.both(
            lambda: self.model.match_bid(party(sender), fill, self.at),
            "matchBid",
            words_of(offer),
            words,
            sender=sender,
        )

    def match_many(
        self,
        offers: Sequence[Offer],
        orders: Sequence[Order],
        sender: str = "matcher",
        root: Digest = NO_DIGEST,
    ) -> list[MarketEvent]:
        fills = [self.fill(offers[order.offer_index], order) for order in orders]
        return self.both(
            lambda: self.model.match_bids(party(sender), fills, root, self.at),
            "matchBids",
            [words_of(offer) for offer in offers],
            [self.chain.fill_words(order) for order in orders],
            root,
            sender=sender,
        )

    def open(self, offer: Offer, order: Order, sender: str = "matcher") -> LeaseOpened:
        """Match a bid that must open."""
        (event,) = self.match(offer, order, sender)
        assert isinstance(event, LeaseOpened), event
        return event

    def receipt(self, claim: Claim) -> UsageReceipt:
        return UsageReceipt(
            lease=self.chain.lease_id(claim.terms),
            milliseconds=claim.milliseconds,
            evidence=claim.evidence,
            last=claim.last,
        )

    def settlement(self, claim: Claim) -> Settlement:
        return Settlement(
            terms=claim.terms,
            receipt=self.receipt(claim),
            authentic=party(claim.signed_by) == claim.terms.signer,
        )

    def settle(self, claim: Claim, sender: str = "stranger") -> list[MarketEvent]:
        """One receipt by the single path; the view must say the same before."""
        words = self.chain.settlement_words(claim.terms, self.receipt(claim), claim.signed_by)
        item = self.settlement(claim)
        told = self.chain.market.checkSettlement(words)
        assert told == self.model.check_settlement(item, self.at)
        return self.both(lambda: self.model.settle(item, self.at), "settle", words, sender=sender)

    def settle_many(self, claims: Sequence[Claim], sender: str = "stranger") -> list[MarketEvent]:
        items = [self.settlement(claim) for claim in claims]
        words = [self.chain.settlement_words(c.terms, self.receipt(c), c.signed_by) for c in claims]
        return self.both(lambda: self.model.settle_many(items, self.at), "settleMany", words, sender=sender)

    def release(self, terms: LeaseTerms, sender: str = "provider") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.release(party(sender), terms),
            "release",
            words_of(terms),
            sender=sender,
        )

    def terminate(self, terms: LeaseTerms, sender: str = "buyer") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.terminate(party(sender), terms, self.at),
            "terminate",
            words_of(terms),
            sender=sender,
        )

    def close(self, terms: LeaseTerms, sender: str = "stranger") -> list[MarketEvent]:
        return self.both(lambda: self.model.close(terms, self.at), "close", words_of(terms), sender=sender)

    def close_many(self, items: Sequence[LeaseTerms], sender: str = "stranger") -> list[MarketEvent]:
        return self.both(
            lambda: self.model.close_many(items, self.at),
            "closeMany",
            [words_of(terms) for terms in items],
            sender=sender,
        )

    def balances(self) -> dict[Address, int]:
        """What each party may withdraw, as the contract has it."""
        return {party(n): int(self.chain.market.balanceOf(account(n))) for n in NAMES}

    def assert_same_state(self, unsolicited: int = 0) -> None:
        """Every word of the contract's storage is what the events add up to, and nothing is lost."""
        state, market = self.model.state, self.chain.market
        assert self.balances() == {party(n): state.balances.get(party(n), 0) for n in NAMES}
        for name in NAMES:
            assert market.epochOf(account(name)) == state.epochs.get(party(name), 0)
        for offer_id, offer in state.offers.items():
            used = market.usedOf(offer_id)
            assert used == state.used[offer_id].pack()
            assert state.used[offer_id].within(offer.capacity)
            assert market.offerFlags(offer_id) == 1 + 2 * (offer_id in state.cancelled)
            wants = [le.terms.want for le in state.leases.values() if le.terms.offer == offer_id]
            assert used == sum(want.pack() for want in wants)
        for lease_id, lease in state.leases.items():
            expected = (lease.escrow, lease.paid, lease.start, lease.ended_after or 0, 1)
            assert tuple(market.leaseOf(lease_id)) == expected
            assert lease.paid <= lease.escrow
        for lease_id in state.closed:
            assert tuple(market.leaseOf(lease_id)) == (0, 0, 0, 0, 0)
        held = self.chain.token.balanceOf(market.address)
        assert state.held() == held - unsolicited
