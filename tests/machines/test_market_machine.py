"""Hypothesis drives contract and model together; after each call the two agree and no money is lost.

The short profile runs by default; `BINGWANG_FUZZ_STEPS` asks for about that many calls in all.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.market.errors import Rejected
from ledger.market.events import LeaseOpened, MarketEvent, ReceiptSkipped, Withdrawn
from ledger.market.identity import NOBODY, Address
from ledger.market.lease import LeaseTerms
from ledger.market.money import rate_of
from ledger.market.offer import Offer
from ledger.market.policy import EMBEDDED
from ledger.market.resource import Quantities
from ledger.market.traits import ANY_REGION, ANY_VENDOR, Traits
from tests.fakes.in_process_market import NAMES, Order, a_bid, account, an_offer, party
from tests.fakes.market_twin import Claim, MarketTwin, a_funded_market

STEPS_PER_EXAMPLE = 25
STEPS = int(os.environ.get("BINGWANG_FUZZ_STEPS", "250"))

anybody = st.sampled_from(NAMES)
buyers = st.sampled_from(("buyer", "other"))
providers = st.sampled_from(("provider", "rival"))
amounts = st.sampled_from((0, 1, 999, 10**6, 10**9, 2**88))
nonces = st.sampled_from((0, 1, 2, 31, 32, 33, 255, 256, 2**21, 2**64 - 1))
mostly = st.sampled_from((True,) * 9 + (False,))
seldom = st.sampled_from((False,) * 5 + (True,))
pick = st.integers(0, 63)


class MarketMachine(RuleBasedStateMachine):
    """Calls by everybody on everything, right and wrong ones."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = MarketTwin(a_funded_market())
        self.offers: list[Offer] = []
        self.terms: list[LeaseTerms] = []
        self.claims: list[Claim] = []
        self.opened: set[tuple[Address, int]] = set()
        self.donated = 0

    def _do(self, sender: str, call: Callable[[], list[MarketEvent]]) -> None:
        """Make a call; nobody's balance fell but by the caller's or the owner's own will."""
        before = self.twin.balances()
        events: list[MarketEvent] = []
        with contextlib.suppress(Rejected):
            events = call()
        after = self.twin.balances()
        spent = dict.fromkeys(after, 0)
        for fact in events:
            event(f"{type(fact).__name__} {getattr(fact, 'reason', '')}")
            if isinstance(fact, Withdrawn):
                assert fact.account == party(sender)
                spent[fact.account] += fact.amount
            if isinstance(fact, LeaseOpened):
                self._note_opening(fact)
                spent[fact.terms.buyer] += fact.escrow
        assert all(after[name] >= before[name] - spent[name] for name in after)

    def _note_opening(self, fact: LeaseOpened) -> None:
        nonce = (fact.terms.buyer, fact.nonce)
        assert nonce not in self.opened
        self.opened.add(nonce)
        self.terms.append(fact.terms)

    @initialize(cpu=st.integers(1_000, 9_000), leases=st.integers(1, 3))
    def open_the_first_leases(self, cpu: int, leases: int) -> None:
        offer = an_offer(capacity=Quantities(cpu=cpu, memory=8_192))
        self.twin.register(offer)
        self.offers.append(offer)
        fields = [("buyer", nonce, 300, 0, True, True) for nonce in range(leases)]
        orders = [self._order(offer, 0, one) for one in fields]
        self._do("matcher", lambda: self.twin.match_many([offer], orders))

    @rule(name=providers, salt=st.integers(0, 3), cpu=st.integers(0, 9_000), epoch=st.integers(0, 1))
    def register(self, name: str, salt: int, cpu: int, epoch: int) -> None:
        offer = an_offer(
            provider=party(name),
            capacity=Quantities(cpu=cpu, memory=8_192),
            ask=Quantities(cpu=400_000 + salt, memory=1_000),
            salt=salt + 10,
            epoch=epoch,
            valid_until=self.twin.at + 5_000 * salt,
        )
        self._do(name, lambda: self.twin.register(offer, name))
        if self.twin.chain.offer_id(offer) in self.twin.model.state.offers:
            self.offers.append(offer)

    @rule(index=pick, honest=mostly, really=seldom)
    def cancel(self, index: int, honest: bool, really: bool) -> None:
        if not really:
            return
        offer = self.offers[index % len(self.offers)]
        owner = next(name for name in NAMES if party(name) == offer.provider)
        sender = owner if honest else "stranger"
        self._do(sender, lambda: self.twin.cancel(offer, sender))

    @rule(name=anybody, really=seldom)
    def bump_epoch(self, name: str, really: bool) -> None:
        if really:
            self._do(name, lambda: self.twin.bump_epoch(name))

    @rule(name=buyers, word=st.sampled_from((0, 1, 2**13, 2**56)), place=st.integers(0, 255))
    def cancel_nonces(self, name: str, word: int, place: int) -> None:
        self._do(name, lambda: self.twin.cancel_nonces(name, word, 1 << place))

    @rule(name=anybody, amount=st.sampled_from((0, 1, 10**6)))
    def deposit(self, name: str, amount: int) -> None:
        if self.twin.chain.token.balanceOf(account(name)) >= amount:
            self._do(name, lambda: self.twin.deposit(name, amount))

    @rule(name=anybody, amount=amounts)
    def withdraw(self, name: str, amount: int) -> None:
        self._do(name, lambda: self.twin.withdraw(name, amount))

    @rule(amount=st.integers(1, 1_000))
    def donate(self, amount: int) -> None:
        market = self.twin.chain.market.address
        self.twin.chain.token.transfer(market, amount, sender=self.twin.chain.deployer)
        self.donated += amount

    def _order(self, offer: Offer, index: int, drawn: tuple[str, int, int, int, bool, bool]) -> Order:
        name, nonce, cpu, over, honest, chosen = drawn
        want = Quantities(cpu=cpu, memory=64)
        bid = a_bid(
            buyer=party(name),
            want=want,
            traits=Traits(vendors=ANY_VENDOR, regions=ANY_REGION),
            limit_rate=10**13,
            duration=60 + cpu % 500,
            start_by=2**40 - 1,
            valid_until=2**40 - 1,
            epoch=self.twin.model.state.epochs.get(party(name), 0),
            nonce=nonce,
            matcher=party("matcher") if chosen else NOBODY,
        )
        rate = rate_of(offer.ask, want) + over
        return Order(bid=bid, rate=rate, signed_by=name if honest else "stranger", offer_index=index)

    drawn = st.tuples(
        buyers, nonces, st.integers(1, 3_000), st.sampled_from((0, 0, 0, 5, -1)), mostly, st.booleans()
    )

    @rule(index=pick, drawn=drawn, sender=st.sampled_from(("matcher", "matcher", "stranger")))
    def match(self, index: int, drawn: tuple[str, int, int, int, bool, bool], sender: str) -> None:
        offer = self.offers[index % len(self.offers)]
        order = self._order(offer, 0, drawn)
        self._do(sender, lambda: self.twin.match(offer, order, sender))

    @rule(
        drawn=st.lists(st.tuples(pick, drawn), max_size=4),
        sender=st.sampled_from(("matcher", "matcher", "stranger")),
    )
    def match_many(self, drawn: list[tuple[int, tuple[str, int, int, int, bool, bool]]], sender: str) -> None:
        offers = self.offers[-8:]
        orders = [self._order(offers[i % len(offers)], i % len(offers), fields) for i, fields in drawn]
        self._do(sender, lambda: self.twin.match_many(offers, orders, sender))

    def _claim(self, drawn: tuple[int, int, bool, bool]) -> Claim:
        index, milliseconds, last, honest = drawn
        terms = self.terms[index % len(self.terms)]
        signer = "signer" if honest else "stranger"
        return Claim(terms=terms, milliseconds=milliseconds, last=last, signed_by=signer)

    receipt = st.tuples(
        pick,
        st.one_of(st.integers(0, 600_000), st.integers(60, 560).map(lambda s: 1_000 * s)),
        st.booleans(),
        mostly,
    )

    @rule(drawn=receipt, sender=anybody)
    def settle(self, drawn: tuple[int, int, bool, bool], sender: str) -> None:
        claim = self._claim(drawn)
        self.claims.append(claim)
        self._do(sender, lambda: self.twin.settle(claim, sender))

    @rule(drawn=st.lists(receipt, max_size=4), sender=anybody)
    def settle_many(self, drawn: list[tuple[int, int, bool, bool]], sender: str) -> None:
        claims = [self._claim(one) for one in drawn]
        self.claims += claims
        self._do(sender, lambda: self.twin.settle_many(claims, sender))

    @precondition(lambda self: self.claims)
    @rule(index=pick)
    def settle_twice(self, index: int) -> None:
        claim = self.claims[index % len(self.claims)]
        self._do("stranger", lambda: self.twin.settle(claim))
        before = self.twin.balances()
        (again,) = self.twin.settle(claim)
        assert isinstance(again, ReceiptSkipped)
        assert self.twin.balances() == before

    @rule(index=pick, honest=mostly)
    def release(self, index: int, honest: bool) -> None:
        terms = self.terms[index % len(self.terms)]
        owner = next(name for name in NAMES if party(name) == terms.provider)
        sender = owner if honest else "stranger"
        self._do(sender, lambda: self.twin.release(terms, sender))

    @rule(index=pick, honest=mostly)
    def terminate(self, index: int, honest: bool) -> None:
        terms = self.terms[index % len(self.terms)]
        owner = next(name for name in NAMES if party(name) == terms.buyer)
        sender = owner if honest else "stranger"
        self._do(sender, lambda: self.twin.terminate(terms, sender))

    @rule(index=pick, sender=anybody)
    def close(self, index: int, sender: str) -> None:
        terms = self.terms[index % len(self.terms)]
        self._do(sender, lambda: self.twin.close(terms, sender))

    @rule(indices=st.lists(pick, max_size=4), unknown=st.booleans())
    def close_many(self, indices: list[int], unknown: bool) -> None:
        items = [self.terms[i % len(self.terms)] for i in indices]
        if unknown:
            items.append(replace(self.terms[0], member=1))
        self._do("stranger", lambda: self.twin.close_many(items))

    @rule(seconds=st.sampled_from((1, 10, 60, 100, 600, 5_000)))
    def advance(self, seconds: int) -> None:
        self.twin.chain.advance(seconds)

    @invariant()
    def contract_and_events_tell_the_same_and_nothing_is_lost(self) -> None:
        self.twin.assert_same_state(self.donated)

    def teardown(self) -> None:
        """Whatever happened, everybody gets everything out."""
        self.twin.chain.advance(10_000 + EMBEDDED.grace)
        for start in range(0, len(self.terms), 32):
            self.twin.close_many(self.terms[start : start + 32])
        for name in NAMES:
            balance = self.twin.balances()[party(name)]
            if balance:
                self.twin.withdraw(name, balance)
        state = self.twin.model.state
        assert state.held() == 0
        assert all(used == Quantities() for used in state.used.values())
        market = self.twin.chain.market.address
        assert self.twin.chain.token.balanceOf(market) == self.donated


TestMarketMachine = pytest.mark.timeout(0 if STEPS > 1_000 else 300)(MarketMachine.TestCase)
TestMarketMachine.settings = settings(
    max_examples=max(1, STEPS // STEPS_PER_EXAMPLE),
    stateful_step_count=STEPS_PER_EXAMPLE,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
