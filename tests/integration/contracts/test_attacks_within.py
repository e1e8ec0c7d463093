"""Attacks by those who have a part in a lease, a key or an office: each plays both sides and shows that the
attacker gains nothing and the honest party loses nothing."""

import boa
import pytest

from ledger.market.errors import Rejected
from ledger.market.events import (
    LeaseClosed,
    LeaseOpened,
    MarketEvent,
    UsageSettled,
)
from ledger.market.identity import Digest
from ledger.market.lease import LeaseTerms
from ledger.market.policy import EMBEDDED
from ledger.market.reasons import SkipReason
from ledger.market.withdrawal import Withdrawal
from tests.fakes.hour_lease import ASK, DURATION, ESCROW, LOCK, an_hour_lease, pay, reasons
from tests.fakes.in_process_market import (
    NOW,
    PURSE,
    Order,
    a_bid,
    account,
    an_offer,
    party,
    words_of,
)
from tests.fakes.market_twin import Claim, GangOrder, MarketTwin
from tests.fakes.wealth import changes, wallet

INTERVAL = EMBEDDED.receipt_interval
WEEK = 7 * 24 * 3600


@pytest.fixture
def lease(twin: MarketTwin) -> LeaseOpened:
    return an_hour_lease(twin)


class TestTheEndOfALease:
    def test_no_receipt_goes_beyond_a_termination_and_none_before_it_is_lost(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.chain.advance(100)
        twin.terminate(lease.terms)
        twin.chain.advance(EMBEDDED.grace - 1)
        beyond = [Claim(terms=lease.terms, milliseconds=ms) for ms in (100_001, 115_000, 159_000)]
        assert changes(twin, lambda: twin.settle_many(beyond)) == {}
        with pytest.raises(Rejected):
            twin.claim(lease.terms, 100_001)
        got = changes(twin, lambda: twin.settle(Claim(terms=lease.terms, milliseconds=100_000, last=True)))
        assert got["buyer"] == -pay(100_000)

    @pytest.mark.parametrize("sender", ["buyer", "stranger", "provider"])
    def test_nobody_closes_before_the_grace_while_a_receipt_is_on_its_way(
        self, twin: MarketTwin, lease: LeaseOpened, sender: str
    ) -> None:
        twin.chain.advance(DURATION + EMBEDDED.grace - 1)
        with pytest.raises(Rejected):
            twin.close(lease.terms, sender)
        assert reasons(twin.close_many([lease.terms], sender)) == [SkipReason.NOT_YET]
        last = Claim(terms=lease.terms, milliseconds=DURATION * 1000, last=True)
        assert isinstance(twin.settle(last)[0], UsageSettled)

    def test_open_and_terminate_burns_nobodys_lock(self, twin: MarketTwin, lease: LeaseOpened) -> None:
        twin.terminate(lease.terms)
        twin.chain.advance(INTERVAL + EMBEDDED.grace)
        assert changes(twin, lambda: twin.close(lease.terms)) == {}

    def test_a_buyer_who_lets_nobody_sign_burns_nothing_of_a_provider_that_claims(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.chain.advance(INTERVAL + 1)
        twin.terminate(lease.terms)
        twin.claim(lease.terms, INTERVAL * 1000)
        twin.chain.advance(EMBEDDED.challenge_window)
        with pytest.raises(Rejected):
            twin.close(lease.terms)
        got = changes(twin, lambda: twin.finalize(lease.terms))
        assert got["provider"] == pay(INTERVAL * 1000) - EMBEDDED.fee_on(pay(INTERVAL * 1000))

    def test_a_provider_that_never_comes_pays_for_it_and_the_buyer_has_its_escrow(
        self, twin: MarketTwin, lease: LeaseOpened
    ) -> None:
        twin.chain.advance(DURATION + EMBEDDED.grace)
        got = changes(twin, lambda: twin.close(lease.terms))
        assert got == {"provider": -EMBEDDED.no_show_of(LOCK)}
        assert twin.balances()[party("buyer")] == PURSE


class TestPermits:
    def deposit(self, twin: MarketTwin, words: list[object], sender: str) -> list[MarketEvent]:
        return twin.chain.call("depositWithPermit", *words, sender=sender)

    @pytest.fixture
    def words(self, twin: MarketTwin) -> list[object]:
        """A permit of a party that approved nothing."""
        twin.chain.send("token", "approve", twin.chain.market.address, 0, sender=account("laptop"))
        return list(twin.chain.permit_words("laptop", 500, NOW + 60))

    def test_a_permit_delivered_to_the_token_first_is_used_on(
        self, twin: MarketTwin, words: list[object]
    ) -> None:
        owner, amount, deadline, r, vs = words
        assert isinstance(vs, bytes)
        s = bytes([vs[0] & 0x7F]) + vs[1:]
        market = twin.chain.market.address
        twin.chain.send(
            "token", "permit", owner, market, amount, deadline, 27 + (vs[0] >> 7), r, s,
            sender=account("stranger"),
        )  # fmt: skip
        self.deposit(twin, words, "stranger")
        assert twin.chain.view("market", "balanceOf", account("laptop")) == 500
        assert twin.chain.view("market", "balanceOf", account("stranger")) == 0

    def test_whoever_delivers_it_the_owner_is_credited_once(
        self, twin: MarketTwin, words: list[object]
    ) -> None:
        self.deposit(twin, words, "rival")
        with pytest.raises(boa.BoaError):
            self.deposit(twin, words, "stranger")
        assert twin.chain.view("market", "balanceOf", account("laptop")) == 500
        assert wallet(twin, "laptop") == PURSE - 500

    def test_a_standing_allowance_is_nobodys_to_pull_but_the_owners(self, twin: MarketTwin) -> None:
        """Except for exactly its own amount, into the owner's own balance."""
        forged = twin.chain.permit_words("laptop", 500, NOW + 60, signed_by="stranger")
        with pytest.raises(boa.BoaError):
            self.deposit(twin, list(forged), "stranger")
        assert wallet(twin, "laptop") == PURSE


class TestDelegates:
    @pytest.fixture(autouse=True)
    def delegated(self, twin: MarketTwin) -> None:
        """The laptop may spend two leases' escrow for an hour."""
        twin.register(an_offer())
        twin.set_delegate("buyer", "laptop", 1, 2 * ESCROW, NOW + 3_600)

    def orders(self, *nonces: int) -> list[Order]:
        return [Order(bid=a_bid(nonce=n), rate=ASK, signed_by="laptop") for n in nonces]

    def test_a_batch_does_not_spend_beyond_the_allowance(self, twin: MarketTwin) -> None:
        events = twin.match_many([an_offer()], self.orders(1, 2, 3, 4))
        assert sum(isinstance(event, LeaseOpened) for event in events) == 2
        assert set(reasons(events)) == {SkipReason.DELEGATE}
        assert twin.balances()[party("buyer")] == PURSE - 2 * ESCROW

    def test_a_gang_does_not_either(self, twin: MarketTwin) -> None:
        gang = GangOrder(bid=a_bid(members=3), members=((0, ASK),) * 3, signed_by="laptop")
        assert reasons(twin.match_gang([an_offer()], gang)) == [SkipReason.DELEGATE]

    def test_a_refund_does_not_fill_the_allowance_up(self, twin: MarketTwin) -> None:
        for number in (1, 2):
            *_, opened = twin.match(an_offer(), self.orders(number)[0])
            assert isinstance(opened, LeaseOpened)
            twin.release(opened.terms)
        assert reasons(twin.match(an_offer(), self.orders(3)[0])) == [SkipReason.DELEGATE]

    @pytest.mark.parametrize("how", ["expired", "revoked"])
    def test_an_old_key_spends_nothing(self, twin: MarketTwin, how: str) -> None:
        if how == "expired":
            twin.set_delegate("buyer", "laptop", 1, 2 * ESCROW, NOW - 1)
        else:
            twin.set_delegate("buyer", "laptop", 0, 0, 0)
        (reason,) = reasons(twin.match(an_offer(), self.orders(1)[0]))
        assert reason == (SkipReason.DELEGATE if how == "expired" else SkipReason.SIGNATURE)

    def test_it_reaches_none_of_the_buyers_money_otherwise(self, twin: MarketTwin) -> None:
        item = Withdrawal(account=party("buyer"), to=party("laptop"), amount=1, nonce=7, deadline=NOW + 9)

        def grab() -> None:
            for take in (twin.withdraw, twin.stake, twin.request_unstake):
                with pytest.raises(Rejected):
                    take("laptop", 1)
            with pytest.raises(Rejected):
                twin.withdraw_signed(item, "laptop", "laptop")

        assert changes(twin, grab) == {}


class TestReplicas:
    SALT, TRUTH = Digest(b"s" * 32), Digest(b"t" * 32)
    BID = a_bid(members=3, flags=2 | 2 << 4)

    @pytest.fixture
    def replicas(self, twin: MarketTwin) -> list[LeaseTerms]:
        """Three replicas of one job on three providers; two equal results decide."""
        offers = [an_offer(provider=party(name)) for name in ("provider", "rival", "third")]
        for name, offer in zip(("provider", "rival", "third"), offers, strict=True):
            twin.register(offer, name)
        order = GangOrder(bid=self.BID, members=((0, ASK), (1, ASK), (2, ASK)))
        events = twin.match_gang(offers, order)
        return [event.terms for event in events if isinstance(event, LeaseOpened)]

    def test_a_copied_commitment_cannot_be_opened(self, twin: MarketTwin, replicas: list[LeaseTerms]) -> None:
        first, second, third = replicas
        copied = twin.chain.commitment(first, self.TRUTH, self.SALT)
        twin.commit(first, self.TRUTH, self.SALT, "provider")
        twin.commit(third, self.TRUTH, self.SALT, "third")
        twin.chain.call("commit", words_of(second), copied, sender="rival", on="jury")
        shown = [words_of(self.BID), words_of(first), self.TRUTH, self.SALT]
        twin.chain.call("reveal", *shown, sender="provider", on="jury")
        shown[1] = words_of(second)
        with boa.reverts("jury: not the commitment"):
            twin.chain.call("reveal", *shown, sender="rival", on="jury")

    def test_a_liar_loses_its_lock_and_nobody_gets_it(
        self, twin: MarketTwin, replicas: list[LeaseTerms]
    ) -> None:
        names = ("provider", "rival", "third")
        results = (self.TRUTH, Digest(b"l" * 32), self.TRUTH)
        for name, terms, result in zip(names, replicas, results, strict=True):
            twin.commit(terms, result, self.SALT, name)
        for name, terms, result in zip(names, replicas, results, strict=True):
            twin.reveal(self.BID, terms, result, self.SALT, name)
        assert changes(twin, lambda: twin.decide_replicas(self.BID, replicas)) == {"rival": -LOCK}

    def test_a_member_that_its_buyer_ended_early_has_its_grace_from_the_judgement_on(
        self, twin: MarketTwin, replicas: list[LeaseTerms]
    ) -> None:
        """So that nobody decides and closes at once, and burns a lock that had no chance to claim."""
        ended, *others = replicas
        twin.chain.advance(INTERVAL + 1)
        twin.terminate(ended)
        twin.chain.advance(2 * INTERVAL + 1)
        with pytest.raises(Rejected):
            twin.commit(ended, self.TRUTH, self.SALT, "provider")
        for name, terms in zip(("rival", "third"), others, strict=True):
            twin.commit(terms, self.TRUTH, self.SALT, name)
        twin.chain.advance(DURATION + 4 * INTERVAL)
        twin.decide_replicas(self.BID, replicas)
        with pytest.raises(Rejected):
            twin.close(ended)
        with pytest.raises(Rejected):
            twin.claim(ended, (INTERVAL + 1) * 1000 + 1)
        twin.claim(ended, INTERVAL * 1000)
        twin.chain.advance(EMBEDDED.challenge_window)
        paid = pay(INTERVAL * 1000)
        got = changes(twin, lambda: twin.finalize(ended))
        assert got["provider"] == paid - EMBEDDED.fee_on(paid)
        twin.assert_same_state()

    def test_nobody_is_paid_or_closed_before_the_judgement(
        self, twin: MarketTwin, replicas: list[LeaseTerms]
    ) -> None:
        twin.chain.advance(60)
        receipts = [Claim(terms=terms, milliseconds=60_000, last=True) for terms in replicas]
        assert reasons(twin.settle_many(receipts)) == [SkipReason.UNDECIDED] * 3
        with pytest.raises(Rejected):
            twin.release(replicas[0])
        with pytest.raises(Rejected):
            twin.claim(replicas[0], 10_000)
        twin.chain.advance(DURATION + EMBEDDED.grace)
        assert reasons(twin.close_many(replicas)) == [SkipReason.UNDECIDED] * 3


class TestAGuardianWhoPausesForEver:
    def test_half_of_the_time_at_least_is_free(self, twin: MarketTwin) -> None:
        free = 0
        for _ in range(20):
            try:
                twin.pause()
            except Rejected:
                free += twin.at >= twin.model.state.paused_until
            twin.chain.advance(WEEK // 2)
        assert free >= 10

    def test_a_pause_and_unpause_does_not_shorten_the_wait(self, twin: MarketTwin) -> None:
        twin.pause()
        twin.unpause()
        twin.chain.advance(WEEK - 1)
        with pytest.raises(Rejected):
            twin.pause()
        twin.deposit("matcher", 1)

    def test_every_exit_stays_open(self, twin: MarketTwin) -> None:
        twin.register(an_offer())
        leases = [twin.open(an_offer(), Order(bid=a_bid(nonce=n), rate=ASK)).terms for n in range(4)]
        twin.pause()
        twin.chain.advance(60)
        twin.settle(Claim(terms=leases[0], milliseconds=30_000, last=True))
        twin.release(leases[1])
        twin.claim(leases[2], 10_000)
        twin.contest(leases[2])
        twin.decide(leases[2], 0, 0)
        twin.terminate(leases[3])
        twin.request_unstake("provider", twin.model.state.stakes[party("provider")])
        twin.chain.advance(EMBEDDED.unstake_delay + 60)
        assert isinstance(twin.close(leases[3])[0], LeaseClosed)
        twin.request_unstake("provider", twin.model.state.stakes[party("provider")])
        twin.chain.advance(EMBEDDED.unstake_delay)
        twin.finish_unstake("provider", "stranger")
        for name in ("buyer", "provider", "matcher"):
            twin.withdraw(name, twin.balances()[party(name)])
        assert twin.at < twin.model.state.paused_until
        with pytest.raises(Rejected):
            twin.deposit("buyer", 1)
        twin.assert_same_state()
