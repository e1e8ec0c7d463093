"""Attacks: each plays both sides and shows that the attacker gains nothing and the honest party loses
nothing, or no more than what the protocol says openly."""

from collections.abc import Iterator
from contextlib import contextmanager

import boa
import pytest

from ledger.market.errors import Rejected
from ledger.market.events import (
    LeaseOpened,
    MarketEvent,
)
from ledger.market.identity import NOBODY
from ledger.market.money import escrow_for, highest_rate, rate_of
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.resource import Quantities
from ledger.market.withdrawal import Withdrawal
from tests.fakes.hour_lease import ASK, DURATION, ESCROW, LOCK, an_hour_lease, pay, reasons
from tests.fakes.in_process_market import (
    NAMES,
    NOW,
    PURSE,
    STAKE,
    InProcessMarket,
    Order,
    a_bid,
    account,
    an_offer,
    party,
    split,
    words_of,
)
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin
from tests.fakes.wealth import changes, wealth

INTERVAL = EMBEDDED.receipt_interval


@pytest.fixture
def lease(twin: MarketTwin) -> LeaseOpened:
    return an_hour_lease(twin)


class TestAMatchLiftedFromTheMempool:
    def test_a_copy_of_the_call_before_its_time_opens_nothing_and_stops_nothing(
        self, twin: MarketTwin
    ) -> None:
        twin.register(an_offer())
        order = Order(bid=a_bid(), rate=highest_rate(ASK, 500))
        assert changes(twin, lambda: twin.match(an_offer(), order, "stranger")) == {}
        opened = twin.open(an_offer(), order, "matcher")
        assert opened.terms.matcher == party("matcher")

    def test_a_copy_after_it_serves_the_buyer_at_the_ask_and_never_above(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        twin.chain.advance(300)
        dear = Order(bid=a_bid(), rate=highest_rate(ASK, 500))
        assert reasons(twin.match(an_offer(), dear, "stranger")) == [SkipReason.OVER_ASK]
        opened = twin.open(an_offer(), Order(bid=a_bid(), rate=ASK), "stranger")
        late = twin.match(an_offer(), dear, "matcher")
        assert reasons(late) == [SkipReason.NONCE_USED]
        twin.chain.advance(DURATION)
        receipt = Claim(terms=opened.terms, milliseconds=DURATION * 1000, last=True)
        got = changes(twin, lambda: twin.settle(receipt))
        fee = EMBEDDED.fee_on(ESCROW)
        assert got == {"buyer": -ESCROW, "provider": ESCROW - fee, "stranger": fee}

    def test_nobody_redirects_a_bid_to_another_provider_price_or_matcher(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        words = twin.chain.fill_words(Order(bid=a_bid(provider=party("rival")), rate=ASK))
        for field, forged in (
            ("provider", NOBODY),
            ("matcher", party("stranger")),
            ("limit_rate", 2**96 - 1),
        ):
            changed = list(words)
            changed[2] = words_of(a_bid(**{"provider": party("rival"), field: forged}))
            told = twin.chain.call("matchBid", words_of(an_offer()), changed, sender="stranger")
            assert reasons(told) in ([SkipReason.SIGNATURE], [SkipReason.PROVIDER], [SkipReason.MATCHER])

    def test_a_copied_gang_and_a_copied_continuation_are_as_useless(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        gang = GangOrder(
            bid=a_bid(nonce=2, members=2, want=Quantities(cpu=500)), members=((0, 250_000_000),) * 2
        )
        assert changes(twin, lambda: twin.match_gang([an_offer()], gang, "stranger")) == {}
        twin.chain.advance(60)
        last = Claim(terms=lease.terms, milliseconds=60_000, last=True)
        follows = Order(bid=a_bid(nonce=3, continues=lease.id), rate=ASK)
        with pytest.raises(Rejected):
            twin.continue_lease(last, an_offer(), follows, "stranger")
        assert any(isinstance(event, LeaseOpened) for event in twin.match_gang([an_offer()], gang))
        assert any(isinstance(event, LeaseOpened) for event in twin.continue_lease(last, an_offer(), follows))
        twin.assert_same_state()


class TestAReceiptForMoreThanElapsed:
    def test_node_and_provider_together_take_no_more_than_the_time_it_stood_open(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        greedy = Claim(terms=lease.terms, milliseconds=DURATION * 1000)
        assert changes(twin, lambda: twin.settle(greedy)) == {}
        twin.chain.advance(10)
        twin.settle_many([greedy, Claim(terms=lease.terms, milliseconds=25_001)])
        most = Claim(terms=lease.terms, milliseconds=25_000)
        got = changes(twin, lambda: twin.settle(most))
        assert got["buyer"] == -pay(25_000)
        got = changes(twin, lambda: twin.terminate(lease.terms))
        assert got == {}
        twin.chain.advance(DURATION)
        assert reasons(twin.settle(greedy)) == [SkipReason.BEYOND_TERMINATION]

    def test_a_claim_takes_no_more_either(self, twin: MarketTwin, lease: LeaseOpened) -> None:
        twin.deposit("provider", 10**6)
        with pytest.raises(Rejected):
            twin.claim(lease.terms, 15_001)
        twin.chain.advance(600)
        with pytest.raises(Rejected):
            twin.claim(lease.terms, 20_010)
        twin.claim(lease.terms, 20_000)


class TestASecondGrid:
    """Signatures bind market and chain."""

    @pytest.fixture
    def elsewhere(self, twin: MarketTwin) -> MarketTwin:
        """The same parties on another market, as rich there as here."""
        second = InProcessMarket()
        second.fund(("buyer", "other"))
        return MarketTwin(second)

    def test_a_bid_of_one_market_opens_nothing_on_another(
        self, twin: MarketTwin, elsewhere: MarketTwin
    ) -> None:
        elsewhere.register(an_offer())
        words = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK))
        before = wealth(elsewhere)
        told = elsewhere.chain.call("matchBid", words_of(an_offer()), words, sender="matcher")
        assert reasons(told) == [SkipReason.SIGNATURE]
        assert wealth(elsewhere) == before
        elsewhere.open(an_offer(), Order(bid=a_bid(), rate=ASK))

    def test_nor_does_a_receipt_or_a_withdrawal_count_there(
        self, twin: MarketTwin, lease: LeaseOpened, elsewhere: MarketTwin
    ) -> None:
        elsewhere.register(an_offer())
        there = elsewhere.open(an_offer(), Order(bid=a_bid(), rate=ASK))
        receipt = twin.receipt(Claim(terms=there.terms, milliseconds=5_000))
        words = twin.chain.settlement_words(there.terms, receipt)
        assert reasons(elsewhere.chain.call("settle", words, sender="stranger")) == [
            SkipReason.RECEIPT_SIGNATURE
        ]
        item = Withdrawal(account=party("buyer"), to=party("stranger"), amount=5, nonce=9, deadline=NOW + 60)
        signature = twin.chain.sign("Withdraw", words_of(item), "buyer")
        with boa.reverts("market: wrong signature"):
            elsewhere.chain.call("withdrawSigned", words_of(item), *split(signature), sender="stranger")

    def test_after_a_fork_to_another_chain_id_old_bids_are_void_there(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        words = twin.chain.fill_words(Order(bid=a_bid(), rate=ASK))
        with other_chain_id():
            # The offer's digest is another one there, too: it would have to be registered anew.
            told = twin.chain.call("matchBid", words_of(an_offer()), words, sender="matcher")
            assert reasons(told) == [SkipReason.OFFER_UNKNOWN]
            twin.chain.call("registerOffer", words_of(an_offer()), sender="provider")
            told = twin.chain.call("matchBid", words_of(an_offer()), words, sender="matcher")
            assert reasons(told) == [SkipReason.SIGNATURE]
        (opened,) = twin.chain.call("matchBid", words_of(an_offer()), words, sender="matcher")
        assert isinstance(opened, LeaseOpened)

    def test_after_a_fork_to_another_chain_id_the_same_terms_are_another_lease_there(
        self, twin: MarketTwin
    ) -> None:
        twin.register(an_offer())
        terms = words_of(twin.open(an_offer(), Order(bid=a_bid(), rate=ASK)).terms)
        here = twin.chain.view("market", "leaseId", terms)
        with other_chain_id():
            assert twin.chain.view("market", "leaseId", terms) != here
        assert twin.chain.view("market", "leaseId", terms) == here


@contextmanager
def other_chain_id() -> Iterator[None]:
    patch = boa.env.evm.patch
    kept = patch.chain_id
    patch.chain_id = kept + 1
    try:
        yield
    finally:
        patch.chain_id = kept


class TestAnOfferCancelledUnderALiveLease:
    def test_it_cannot_come_back_and_what_is_used_is_never_reset(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.cancel(an_offer())
        with pytest.raises(Rejected):
            twin.register(an_offer())
        assert twin.chain.view("market", "usedOf", lease.terms.offer) == a_bid().want.pack()
        refused = twin.match(an_offer(), Order(bid=a_bid(nonce=2), rate=ASK))
        assert reasons(refused) == [SkipReason.OFFER_CANCELLED]

    def test_the_lease_goes_on_to_its_end_and_the_buyer_pays_what_was_agreed(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.cancel(an_offer())
        twin.bump_epoch("provider")
        dearer = an_offer(salt=2, ask=Quantities(cpu=9_000_000, memory=100_000), epoch=1)
        twin.register(dearer)
        twin.chain.advance(DURATION)
        last = Claim(terms=lease.terms, milliseconds=DURATION * 1000, last=True)
        assert changes(twin, lambda: twin.settle(last))["buyer"] == -ESCROW
        assert twin.chain.view("market", "usedOf", lease.terms.offer) == 0
        twin.assert_same_state()


class TestHalfAGang:
    WANT = Quantities(cpu=2_000)
    RATE = rate_of(an_offer().ask, WANT)

    def order(self, members: int, *where: int) -> GangOrder:
        bid = a_bid(members=members, want=self.WANT)
        return GangOrder(bid=bid, members=tuple((index, self.RATE) for index in where))

    def test_four_of_five_fit_and_none_opens(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        five = self.order(5, *[0] * 5)
        assert changes(twin, lambda: twin.match_gang([an_offer()], five)) == {}
        assert not twin.chain.view("market", "nonceUsed", account("buyer"), five.bid.nonce)
        assert twin.chain.view("market", "usedOf", twin.chain.offer_id(an_offer())) == 0

    def test_a_matcher_cannot_leave_members_out_or_open_one_alone(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        for where in ((0,), (0, 0), (0, 0, 0, 0)):
            told = twin.match_gang([an_offer()], self.order(3, *where))
            assert reasons(told) == [SkipReason.MEMBERS]
        alone = Order(bid=self.order(3).bid, rate=self.RATE)
        assert reasons(twin.match(an_offer(), alone)) == [SkipReason.MEMBERS]

    @pytest.mark.parametrize("poor", ["buyer", "rival"])
    def test_one_that_cannot_pay_or_stake_for_all_of_it_opens_nothing(
        self, twin: MarketTwin, poor: str
    ) -> None:
        offers = [an_offer(), an_offer(provider=party("rival"))]
        twin.register(offers[0])
        twin.register(offers[1], "rival")
        escrow = escrow_for(self.RATE, DURATION)
        if poor == "buyer":
            twin.withdraw("buyer", PURSE - 3 * escrow + 1)
        else:
            twin.request_unstake("rival", STAKE - 2 * EMBEDDED.lock_for(escrow) + 1)
        told: list[MarketEvent] = []
        gang = self.order(3, 0, 1, 1)
        assert changes(twin, lambda: told.extend(twin.match_gang(offers, gang))) == {}
        assert reasons(told) == [SkipReason.FUNDS if poor == "buyer" else SkipReason.STAKE]
        twin.assert_same_state()

    def test_the_whole_one_opens_with_one_nonce(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        four = self.order(4, *[0] * 4)
        opened = [e for e in twin.match_gang([an_offer()], four) if isinstance(e, LeaseOpened)]
        assert [event.terms.member for event in opened] == [0, 1, 2, 3]
        assert len({event.id for event in opened}) == 4
        assert reasons(twin.match_gang([an_offer(salt=1)], four)) != []


class TestTheUnstakeRace:
    def test_stake_that_left_before_the_match_locks_nothing_and_the_bid_stays_good(
        self, twin: MarketTwin
    ) -> None:
        twin.register(an_offer())
        twin.request_unstake("provider", STAKE - LOCK + 1)
        assert reasons(twin.match(an_offer(), Order(bid=a_bid(), rate=ASK))) == [SkipReason.STAKE]
        twin.register(an_offer(provider=party("rival")), "rival")
        twin.open(an_offer(provider=party("rival")), Order(bid=a_bid(), rate=ASK))

    def test_what_a_lease_locked_cannot_be_asked_back_and_is_burned_all_the_same(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        with pytest.raises(Rejected):
            twin.request_unstake("provider", STAKE)
        twin.request_unstake("provider", STAKE - LOCK)
        twin.chain.advance(DURATION + EMBEDDED.grace)
        twin.finish_unstake("provider", "stranger")
        got = changes(twin, lambda: twin.close(lease.terms))
        assert got == {"provider": -EMBEDDED.no_show_of(LOCK)}

    def test_the_arbiter_still_slashes_who_left_with_everything_else(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.request_unstake("provider", STAKE - LOCK)
        twin.claim(lease.terms, 10_000)
        twin.contest(lease.terms)
        got = changes(twin, lambda: twin.decide(lease.terms, 0, LOCK))
        assert got == {"provider": -LOCK}
        twin.assert_same_state()

    def test_each_request_starts_the_clock_of_all_anew(self, twin: MarketTwin) -> None:
        twin.request_unstake("provider", STAKE - 1)
        twin.chain.advance(EMBEDDED.unstake_delay - 1)
        twin.request_unstake("provider", 1)
        twin.chain.advance(1)
        with pytest.raises(Rejected):
            twin.finish_unstake("provider", "provider")


class TestContests:
    def test_an_empty_wallet_cannot_contest_and_loses_two_intervals_at_most(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.withdraw("buyer", PURSE - ESCROW)
        twin.deposit("provider", 10**6)
        twin.chain.advance(600)
        twin.claim(lease.terms, 2 * INTERVAL * 1000)
        with pytest.raises(Rejected):
            twin.contest(lease.terms)
        twin.chain.advance(EMBEDDED.challenge_window)
        got = changes(twin, lambda: twin.finalize(lease.terms))
        most = pay(2 * INTERVAL * 1000)
        assert -got["buyer"] == most
        assert got["provider"] + got["matcher"] == most
        twin.assert_same_state()

    def test_a_lie_that_is_contested_costs_the_liar_and_not_the_buyer(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.deposit("provider", 10**6)
        twin.chain.advance(600)
        bond = pay(20_000) - escrow_for(ASK, INTERVAL)

        def lie() -> None:
            twin.claim(lease.terms, 20_000)
            twin.contest(lease.terms)
            twin.decide(lease.terms, 0, LOCK)

        assert changes(twin, lie) == {"provider": -bond - LOCK}

    def test_a_contest_of_an_honest_claim_costs_the_buyer_its_bond(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.chain.advance(600)
        due = pay(10_000)

        def quarrel() -> None:
            twin.claim(lease.terms, 10_000)
            twin.contest(lease.terms)
            twin.decide(lease.terms, due, 0)

        got = changes(twin, quarrel)
        assert got["buyer"] == -2 * due
        assert got["provider"] + got["matcher"] == due

    def test_a_silent_arbiter_gives_neither_more_than_half(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.chain.advance(600)
        due = pay(10_000)
        twin.claim(lease.terms, 10_000)
        twin.contest(lease.terms)
        twin.chain.advance(EMBEDDED.arbitration_window)
        got = changes(twin, lambda: twin.finalize(lease.terms))
        half = due // 2
        # Half of the claim from the escrow, and as much from the bond, so that a lie is no bargain.
        assert got["buyer"] == -2 * half
        assert got["provider"] + got["matcher"] == 2 * half
        twin.assert_same_state()

    @pytest.mark.parametrize("sender", sorted(set(NAMES) - {"buyer"}))
    def test_nobody_contests_for_the_buyer(self, twin: MarketTwin, lease: LeaseOpened, sender: str) -> None:
        twin.claim(lease.terms, 10_000)
        with pytest.raises(Rejected):
            twin.contest(lease.terms, sender)
